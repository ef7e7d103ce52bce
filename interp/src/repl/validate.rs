//! Whether an input is complete: nothing is evaluated to find out.

use rhai::{Engine, LexError, ParseError, ParseErrorType};

use crate::engine::for_syntax;

/// Tells whole inputs from beginnings.
pub struct Validator(Engine);

impl Default for Validator {
    fn default() -> Self {
        let mut engine = for_syntax();
        engine.set_strict_variables(false); // an unknown name is for the evaluation to complain about
        Self(engine)
    }
}

impl Validator {
    /// Whether more lines are needed.
    #[must_use]
    pub fn is_incomplete(&self, text: &str) -> bool {
        match self.0.compile(text) {
            Ok(_) => has_open_comment(text),
            Err(error) => lies_behind(&error, text),
        }
    }
}

/// The rule: the parser's complaint lies behind the last character.
fn lies_behind(error: &ParseError, text: &str) -> bool {
    let (line, column) = (error.position().line().unwrap_or(0), error.position().position().unwrap_or(0));
    match error.err_type() {
        // Its position is the beginning of the literal: ` and #" may go on, " only behind a backslash.
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            let opened = text.lines().nth(line.saturating_sub(1)).and_then(|l| l.chars().nth(column.saturating_sub(1)));
            match opened {
                Some('"') => text.ends_with('\\') || text.ends_with("\\\n"),
                Some('\'') => false,
                _ => true,
            }
        }
        // What it documents is still to come.
        ParseErrorType::WrongDocComment => {
            let last = text.trim_end().lines().last().unwrap_or_default().trim_start();
            last.contains("///") || last.ends_with("*/")
        }
        _ => {
            let lines: Vec<&str> = text.split('\n').collect();
            let end = (lines.len(), lines.last().map_or(0, |last| last.chars().count()));
            (line, column) > end
        }
    }
}

/// Rhai accepts a `/*` that never ends; comments nest.
fn has_open_comment(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    let mut quote: Option<u8> = None;
    while at < bytes.len() {
        let pair = (bytes[at], bytes.get(at + 1).copied());
        match (quote, pair) {
            (Some(_), (b'\\', _)) => at += 1,
            (Some(open), (byte, _)) if byte == open => quote = None,
            (None, (b'/', Some(b'*'))) => {
                depth += 1;
                at += 1;
            }
            (None, (b'*', Some(b'/'))) if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            (None, (b'/', Some(b'/'))) if depth == 0 => {
                at += text[at..].find('\n').unwrap_or(bytes.len() - at);
            }
            (None, (byte @ (b'"' | b'`'), _)) if depth == 0 => quote = Some(byte),
            _ => {}
        }
        at += 1;
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::Validator;

    #[test]
    fn open_blocks_wait_for_more_lines() {
        let validator = Validator::default();
        for text in [
            "within ns {",
            "fn f(",
            "let x = [1,",
            "if true {\n  1",
            "foo(",
            "`a\n",
            "/* open",
            "1 +",
            "#{a:",
            "within ns {\n  up(\"lo\");",
            "/// Doubles.",
            "let a = 1; /// Doubles.\n",
            "/** Doubles. */",
        ] {
            assert!(validator.is_incomplete(text), "{text}");
        }
    }

    #[test]
    fn whole_and_wrong_inputs_do_not() {
        let validator = Validator::default();
        for text in [
            "1",
            "let x = 1",
            "within ns { }",
            "\"open",
            "1 + )",
            "let 1",
            "/* a /* b */ */ 1",
            "// {",
            "x = \"/*\"",
            "/// Doubles.\n1",
        ] {
            assert!(!validator.is_incomplete(text), "{text}");
        }
    }
}
