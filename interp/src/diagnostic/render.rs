//! A diagnostic as text: the message, the source lines with marks under them, the hint.

use std::ops::Range;

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};
use stdlib::name::printable;

use super::cut::Cut;
use super::{Diagnostic, Spot};
use crate::console::{self, Console, Palette, Style, escaped, escaped_offset, restyled};

impl Diagnostic {
    /// The text in the colours of `palette`, for a terminal of `width` columns. All of it is escaped, the quoted source
    /// lines included; the marks stand under the escaped text. A line that is too wide is cut around its mark.
    #[must_use]
    pub fn render(&self, palette: Palette, width: usize) -> String {
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
        let quotes = self.quotes(at, width.saturating_sub(MARGIN).max(LEAST));
        let shown = |spot: &Spot| {
            let quote = quotes.iter().find(|quote| quote.source == spot.source);
            (printable(&spot.source), quote.map_or(0..0, |quote| quote.cut.range(&quote.marked(&spot.span))))
        };
        let mut report = Report::build(ReportKind::Error, shown(at))
            .with_config(config)
            .with_message(message)
            .with_label(Label::new(shown(at)).with_color(Color::Red).with_message("here"));
        for (n, (call, spot)) in self.calls.iter().enumerate() {
            let order = i32::try_from(n).unwrap_or(i32::MAX) + 1;
            let label = Label::new(shown(spot)).with_color(Color::Magenta).with_order(order);
            report = report.with_label(label.with_message(escaped(call)));
        }
        if let Some(hint) = hint {
            report = report.with_help(hint);
        }
        let texts = quotes.iter().map(|quote| (printable(quote.source), quote.cut.text.clone()));
        let mut bytes = Vec::new();
        let _ = report.finish().write(ariadne::sources(texts), &mut bytes); // a vector takes every write
        let text = restyled(&String::from_utf8_lossy(&bytes), &RESTYLED).replacen("Error:", "error:", 1);
        // ariadne counts columns in the text that it is given.
        let spots = [at].into_iter().chain(self.calls.iter().map(|(_, spot)| spot));
        spots.fold(text, |text, spot| {
            let quote = quotes.iter().find(|quote| quote.source == spot.source);
            let columns = quote.and_then(|quote| quote.cut.columns(&quote.escaped, quote.marked(&spot.span).start));
            columns.map_or_else(
                || text.clone(),
                |(column, cut)| text.replacen(&format!(":{cut} ]"), &format!(":{column} ]"), 1),
            )
        })
    }

    /// The sources, escaped and cut around the marks; those of the error first.
    fn quotes<'d>(&'d self, at: &'d Spot, width: usize) -> Vec<Quote<'d>> {
        let spots = || [at].into_iter().chain(self.calls.iter().map(|(_, spot)| spot));
        let quote = |(source, text): &'d (String, String)| {
            let escaped = Source::from(escaped(text)).text().to_owned();
            let mut quote = Quote { source, text, escaped, cut: Cut::new("", width, &[]) };
            let marks: Vec<_> =
                spots().filter(|spot| spot.source == *source).map(|spot| quote.marked(&spot.span)).collect();
            quote.cut = Cut::new(&quote.escaped, width, &marks);
            quote
        };
        self.sources.iter().map(quote).collect()
    }

    /// Writes the diagnostic to the console.
    pub fn report(&self, console: &Console) {
        console.report(&self.render(console.error_palette(), console::width()));
    }
}

/// The columns that ariadne uses beside a source line.
const MARGIN: usize = 12;

/// The least width of a quoted line.
const LEAST: usize = 20;

/// A source as it is quoted.
struct Quote<'d> {
    source: &'d str,
    text: &'d str,
    escaped: String,
    cut: Cut,
}

impl Quote<'_> {
    /// Where a range of the text is after the escape.
    fn marked(&self, span: &Range<usize>) -> Range<usize> {
        let at = |byte: usize| if self.text.is_char_boundary(byte) { escaped_offset(self.text, byte) } else { byte };
        at(span.start)..at(span.end)
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
        let shown = diagnostic("\x1bx + \u{202e}é;\r\n", 8..10).render(Palette::PLAIN, 80);
        assert!(!shown.contains(['\x1b', '\u{202e}', '\r']), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let column = |line: &str, c: char| line.chars().position(|other| other == c);
        assert_eq!(lines[3], " 1 │ \\u{1b}x + \\u{202e}é;", "{shown}");
        assert_eq!(column(lines[3], 'é'), column(lines[4], '┬'), "{shown}");
        assert!(shown.contains("a\\u{1b}.rhai:1:") && shown.starts_with("error: no \\u{1b}[31m\n"), "{shown}");
    }

    #[test]
    fn a_line_wider_than_the_terminal_is_cut_around_the_mark() {
        let source = format!("let x = \"{}\"; frob();\n", "é\x07".repeat(100_000));
        let at = source.find("frob").unwrap();
        let shown = diagnostic(&source, at..at + 4).render(Palette::PLAIN, 60);
        assert!(shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
        assert!(shown.contains("\"; frob();") && shown.contains("a\\u{1b}.rhai:1:600013 ]"), "{shown}");
        // A mark wider than the terminal is cut, too.
        let shown = diagnostic(&source, 8..at - 2).render(Palette::PLAIN, 60);
        assert!(shown.lines().all(|line| line.chars().count() <= 60) && shown.contains(":1:9 ]"), "{shown}");
    }

    #[test]
    fn colours_come_from_the_palette_alone() {
        let shown = diagnostic("\n\nx\n", 2..3).render(Palette::COLOURED, 80);
        assert!(shown.contains("\x1b[31m") && !shown.contains("38;5"), "{shown:?}");
    }
}
