//! A diagnostic as text: the message, the source lines with marks under them, the hint.

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};
use stdlib::name::printable;

use super::{Diagnostic, Spot};
use crate::console::{Console, Palette, Style, escaped, escaped_offset, restyled};

impl Diagnostic {
    /// The text in the colours of `palette`. All of it is escaped, the quoted source lines included; the marks stand
    /// under the escaped text.
    #[must_use]
    pub fn render(&self, palette: Palette) -> String {
        let message = escaped(&self.message);
        let hint = self.hint.as_deref().map(escaped);
        let Some(at) = &self.at else {
            let hint = hint.map_or(String::new(), |hint| format!("hint: {hint}\n"));
            return format!("{} {message}\n{hint}", palette.paint(Style::Error, "error:"));
        };
        let config = Config::default()
            .with_color(palette.is_coloured())
            .with_index_type(IndexType::Byte)
            .with_char_set(CharSet::Unicode);
        let mut report = Report::build(ReportKind::Error, self.shown(at))
            .with_config(config)
            .with_message(message)
            .with_label(Label::new(self.shown(at)).with_color(Color::Red).with_message("here"));
        for (n, (call, spot)) in self.calls.iter().enumerate() {
            let order = i32::try_from(n).unwrap_or(i32::MAX) + 1;
            let label = Label::new(self.shown(spot)).with_color(Color::Magenta).with_order(order);
            report = report.with_label(label.with_message(escaped(call)));
        }
        if let Some(hint) = hint {
            report = report.with_help(hint);
        }
        let texts = self.sources.iter();
        let texts = texts.map(|(name, text)| (printable(name), Source::from(escaped(text)).text().to_owned()));
        let mut bytes = Vec::new();
        let _ = report.finish().write(ariadne::sources(texts), &mut bytes); // a vector takes every write
        restyled(&String::from_utf8_lossy(&bytes), &RESTYLED).replacen("Error:", "error:", 1)
    }

    /// Writes the diagnostic to the console.
    pub fn report(&self, console: &Console) {
        console.report(&self.render(console.error_palette()));
    }

    /// The source and the bytes of a spot after the escape.
    fn shown(&self, spot: &Spot) -> (String, std::ops::Range<usize>) {
        let text = self.sources.iter().find(|(name, _)| *name == spot.source).map_or("", |(_, text)| text);
        let at = |byte: usize| if text.is_char_boundary(byte) { escaped_offset(text, byte) } else { byte };
        (printable(&spot.source), at(spot.span.start)..at(spot.span.end))
    }
}

/// ariadne's own colours and the styles in their place. Its greys and its green vanish on a light background, and it has
/// no way to set them.
const RESTYLED: [(&str, Option<Style>); 4] = [
    ("38;5;246", Some(Style::Dim)),    // margins
    ("38;5;240", Some(Style::Dim)),    // margins of skipped lines
    ("38;5;249", None),                // source text without a mark
    ("38;5;115", Some(Style::Strong)), // `Help`
];

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(source: &str, span: std::ops::Range<usize>) -> Diagnostic {
        Diagnostic {
            message: "no \x1b[31m".into(),
            hint: Some("\u{202e}".into()),
            is_check: false,
            at: Some(Spot { source: "a\x1b.rhai".into(), span }),
            calls: Vec::new(),
            sources: vec![("a\x1b.rhai".into(), source.into())],
        }
    }

    #[test]
    fn the_mark_stands_under_the_escaped_text() {
        let shown = diagnostic("\x1bx + \u{202e}é;\r\n", 8..10).render(Palette::PLAIN);
        assert!(!shown.contains(['\x1b', '\u{202e}', '\r']), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let column = |line: &str, c: char| line.chars().position(|other| other == c);
        assert_eq!(lines[3], " 1 │ \\u{1b}x + \\u{202e}é;", "{shown}");
        assert_eq!(column(lines[3], 'é'), column(lines[4], '┬'), "{shown}");
        assert!(shown.contains("a\\u{1b}.rhai:1:") && shown.starts_with("error: no \\u{1b}[31m\n"), "{shown}");
    }

    #[test]
    fn colours_come_from_the_palette_alone() {
        let shown = diagnostic("\n\nx\n", 2..3).render(Palette::COLOURED);
        assert!(shown.contains("\x1b[31m") && !shown.contains("38;5"), "{shown:?}");
    }
}
