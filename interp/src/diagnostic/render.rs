//! A diagnostic as text: the source lines with marks under them.

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};

use super::Diagnostic;

impl Diagnostic {
    /// The text for a terminal, or without colour for everything else.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let Some(at) = &self.at else {
            let hint = self.hint.as_ref().map_or(String::new(), |hint| format!("hint: {hint}\n"));
            return format!("error: {}\n{hint}", self.message);
        };
        let config =
            Config::default().with_color(colour).with_index_type(IndexType::Byte).with_char_set(CharSet::Unicode);
        let mut report = Report::build(ReportKind::Error, (at.source.clone(), at.span.clone()))
            .with_config(config)
            .with_message(&self.message)
            .with_label(Label::new((at.source.clone(), at.span.clone())).with_color(Color::Red).with_message("here"));
        for (n, (function, spot)) in self.calls.iter().enumerate() {
            let order = i32::try_from(n).unwrap_or(i32::MAX) + 1;
            report = report.with_label(
                Label::new((spot.source.clone(), spot.span.clone()))
                    .with_color(Color::Blue)
                    .with_order(order)
                    .with_message(function),
            );
        }
        if let Some(hint) = &self.hint {
            report = report.with_help(hint);
        }
        let texts =
            self.sources.iter().map(|(name, text)| (name.clone(), Source::from(text.clone()).text().to_owned()));
        let mut bytes = Vec::new();
        let _ = report.finish().write(ariadne::sources(texts), &mut bytes);
        String::from_utf8_lossy(&bytes).replacen("Error:", "error:", 1)
    }
}
