//! Whether an input is complete. Nothing is evaluated.

use rhai::{Engine, LexError, ParseError, ParseErrorType, Scope};

use crate::language::compile::parse;
use crate::language::engine::for_syntax;
use crate::repl::commands::table::{self, Completes};
use crate::text::tokens::{Kind, tokens};

/// Tells complete inputs from incomplete ones.
pub struct Validator(Engine);

impl Default for Validator {
    fn default() -> Self {
        let mut engine = for_syntax();
        engine.set_strict_variables(false); // the evaluation reports unknown names
        Self(engine)
    }
}

impl Validator {
    /// Cuts a text into inputs, as if its lines were typed one after another.
    #[must_use]
    pub fn inputs(&self, text: &str) -> Vec<String> {
        let mut inputs = Vec::new();
        let mut input = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            input.push_str(line);
            let next = lines.peek().map_or("", |next| next.trim_start());
            // After a syntax error the end of the block is unknown, so read on until the brackets balance.
            let goes_on = || !is_command(&input) && (goes_on(next) || is_open(&input));
            if lines.peek().is_some() && (self.is_incomplete(&input) || goes_on()) {
                input.push('\n');
                continue;
            }
            inputs.push(std::mem::take(&mut input).trim().to_owned());
        }
        inputs.retain(|input| !input.is_empty());
        inputs
    }

    /// Whether a text is one script, not a sequence of inputs and commands.
    #[must_use]
    pub fn is_script(&self, text: &str) -> bool {
        !is_command(text) && parse(&self.0, &Scope::new(), text).is_ok()
    }

    /// Whether an input requires more lines.
    #[must_use]
    pub fn is_incomplete(&self, text: &str) -> bool {
        let text = match text.strip_prefix(':').and_then(|rest| rest.split_once(' ')) {
            Some((name, input)) if takes_input(name) => input,
            _ if is_command(text) => return false,
            _ => text,
        };
        match parse(&self.0, &Scope::new(), text) {
            Ok(_) => has_open_comment(text),
            Err(error) => lies_behind(&error, text),
        }
    }
}

fn is_command(text: &str) -> bool {
    text.trim_start().starts_with([':', '?'])
}

fn takes_input(command: &str) -> bool {
    table::find(command).is_some_and(|known| known.completes == Completes::Input)
}

/// Whether a bracket of the text is open.
fn is_open(text: &str) -> bool {
    let depth = tokens(text).iter().filter(|token| token.kind == Kind::Sign).fold(0_i32, |depth, token| {
        match &text[token.range.clone()] {
            "(" | "[" | "{" | "#{" => depth + 1,
            ")" | "]" | "}" => depth - 1,
            _ => depth,
        }
    });
    depth > 0
}

/// Whether a line continues the statement before it, which is complete without it.
fn goes_on(line: &str) -> bool {
    let word = line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    matches!(word, "else" | "catch") || line.starts_with('.') && !line.starts_with("..")
}

/// Whether the position of a syntax error lies behind the last character, so that more text may resolve it.
fn lies_behind(error: &ParseError, text: &str) -> bool {
    let (line, column) = (error.position().line().unwrap_or(0), error.position().position().unwrap_or(0));
    match error.err_type() {
        // Its position is the beginning of the literal. ` and #" may span lines, " only after a backslash.
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            let opened = text.lines().nth(line.saturating_sub(1)).and_then(|l| l.chars().nth(column.saturating_sub(1)));
            match opened {
                Some('"') => text.ends_with('\\') || text.ends_with("\\\n"),
                Some('\'') => false,
                _ => true,
            }
        }
        // The function that the comment documents is still missing.
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

/// Whether a block comment is open. Rhai accepts one that never ends; comments nest.
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
    fn lines_are_cut_into_inputs() {
        let validator = Validator::default();
        let cut = |text| validator.inputs(text);
        assert_eq!(cut("let a = 1\n:topo\n\nlinks(a)"), ["let a = 1", ":topo", "links(a)"]);
        assert_eq!(cut("if x {\n1\n}\nelse {\n2\n}\n3"), ["if x {\n1\n}\nelse {\n2\n}", "3"]);
        assert_eq!(cut("netns(\"n\")\n  .name\n:ns"), ["netns(\"n\")\n  .name", ":ns"]);
        assert_eq!(cut(":time within host() {\n1\n}\n2"), [":time within host() {\n1\n}", "2"]);
        assert_eq!(cut("foo(1,"), ["foo(1,"]);
        let wrong = "for i in 0..3 {\n  print(i)\n  print(i + 1)\n}";
        assert_eq!(cut(&format!("let a = 1\n{wrong}\nlet b = 2")), ["let a = 1", wrong, "let b = 2"]);
        assert!(
            validator.is_script("let a = 1;\na") && !validator.is_script("let a = 1\na") && !validator.is_script(":ns")
        );
    }

    #[test]
    fn complete_and_wrong_inputs_do_not_wait() {
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
