//! Colours for the input line.

use stdlib::catalog::Catalog;

use crate::console::{Palette, Style};
use crate::text::tokens::{Kind, tokens};

const KEYWORDS: [&str; 24] = [
    "let", "const", "if", "else", "while", "loop", "for", "in", "do", "until", "break", "continue", "return", "throw",
    "try", "catch", "fn", "private", "import", "export", "as", "true", "false", "this",
];

/// The input with keywords, nslab's functions, strings and comments in colour.
#[must_use]
pub fn highlight(catalog: &Catalog, palette: Palette, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut end = 0;
    for token in tokens(text) {
        out.push_str(&text[end..token.range.start]);
        end = token.range.end;
        let word = &text[token.range];
        let style = match token.kind {
            Kind::Comment => Some(Style::Dim),
            Kind::Text { closed: true } => Some(Style::Text),
            Kind::Text { closed: false } => Some(Style::OpenText),
            Kind::Word if KEYWORDS.contains(&word) => Some(Style::Keyword),
            Kind::Word => {
                let known = catalog.functions.iter().find(|function| function.name == word);
                known.map(|f| if f.family == "syntax" { Style::Keyword } else { Style::Function })
            }
            Kind::Number | Kind::Sign => None,
        };
        match style {
            Some(style) => out.push_str(&palette.paint(style, word)),
            None => out.push_str(word),
        }
    }
    out.push_str(&text[end..]);
    out
}
