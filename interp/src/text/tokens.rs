//! The tokens of a text, finished or not.
//!
//! Rhai's own lexer rejects an unfinished line, so the input line needs a lexer of its own.

use std::ops::Range;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `// …` or `/* … */`.
    Comment,
    /// A string.
    Text {
        /// Whether its closing quote is there.
        closed: bool,
    },
    /// A number.
    Number,
    /// A name or a keyword.
    Word,
    /// Anything else: one character, or `#{`.
    Sign,
}

/// One token and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The kind.
    pub kind: Kind,
    /// Where it is.
    pub range: Range<usize>,
}

/// The tokens of `text`, without white space.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if rest.starts_with("//") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Comment, comment(rest))
        } else if matches!(first, '"' | '`' | '\'') {
            string(rest, first)
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
            let length = end.unwrap_or(rest.len());
            // `1.max(2)` and `0..3`: the dot belongs to what follows.
            let dot = rest[..length].find('.').filter(|dot| !rest[dot + 1..].starts_with(|c: char| c.is_ascii_digit()));
            (Kind::Number, dot.unwrap_or(length))
        } else if first.is_alphabetic() || first == '_' {
            (Kind::Word, rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()))
        } else if rest.starts_with("#{") {
            (Kind::Sign, 2)
        } else {
            (Kind::Sign, first.len_utf8())
        };
        tokens.push(Token { kind, range: at..at + length });
        at += length;
    }
    tokens
}

/// The length of a block comment, which may contain others.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str, quote: char) -> (Kind, usize) {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return (Kind::Text { closed: true }, at + c.len_utf8()),
            '\n' if quote != '`' => return (Kind::Text { closed: false }, at),
            _ => {}
        }
    }
    (Kind::Text { closed: false }, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| &text[token.range]).collect()
    }

    #[test]
    fn a_text_is_cut_into_tokens() {
        assert_eq!(
            words("let x = ping(ns1, \"a b\"); // c"),
            ["let", "x", "=", "ping", "(", "ns1", ",", "\"a b\"", ")", ";", "// c"]
        );
        assert_eq!(words("0..3 1.5 #{a: `x\ny`}"), ["0", ".", ".", "3", "1.5", "#{", "a", ":", "`x\ny`", "}"]);
        assert_eq!(words("/* a /* b */ c */ d"), ["/* a /* b */ c */", "d"]);
        assert_eq!(tokens("\"open").first().map(|t| t.kind), Some(Kind::Text { closed: false }));
        assert_eq!(words("é = \"ü\""), ["é", "=", "\"ü\""]);
    }
}
