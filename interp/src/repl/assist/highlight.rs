//! Colours for what is typed.

use std::fmt::Write;

use stdlib::catalog::Catalog;

use crate::text::tokens::{Kind, tokens};

const KEYWORDS: [&str; 24] = [
    "let", "const", "if", "else", "while", "loop", "for", "in", "do", "until", "break", "continue", "return", "throw",
    "try", "catch", "fn", "private", "import", "export", "as", "true", "false", "this",
];

/// The input with colours: keywords, our functions, strings, numbers, comments.
#[must_use]
pub fn highlight(catalog: &Catalog, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut end = 0;
    for token in tokens(text) {
        out.push_str(&text[end..token.range.start]);
        end = token.range.end;
        let word = &text[token.range];
        let colour = match token.kind {
            Kind::Comment => Some("90"),
            Kind::Text { closed: true } => Some("32"),
            Kind::Text { closed: false } => Some("33"),
            Kind::Number => Some("36"),
            Kind::Word if KEYWORDS.contains(&word) => Some("35"),
            Kind::Word => {
                let known = catalog.functions.iter().find(|function| function.name == word);
                known.map(|function| if function.family == "syntax" { "35" } else { "34" })
            }
            Kind::Sign => None,
        };
        match colour {
            Some(colour) => {
                let _ = write!(out, "\x1b[{colour}m{word}\x1b[0m");
            }
            None => out.push_str(word),
        }
    }
    out.push_str(&text[end..]);
    out
}
