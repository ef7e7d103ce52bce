//! Compiling within limits, and until Ctrl-C.
//!
//! Rhai reads tokens one at a time and compares each new name with all that are in scope, so the time is quadratic in
//! the names. The limits bound it; between two tokens an interrupt ends it. No single token can take long, since the
//! text itself is limited.

use std::cell::RefCell;
use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, LexError, ParseError, ParseErrorType, Position, Scope, Token};
use stdlib::bindings::RhaiResultOf;
use stdlib::exec::Executor;

/// The bytes that a text may have.
pub(crate) const TEXT: usize = 4 << 20;

/// The tokens that a text may have.
const TOKENS: usize = 1_000_000;

/// The names that may be in scope: variables, parameters, and the keys of a map that is being written.
const NAMES: usize = 10_000;

thread_local! {
    /// The text that this thread compiles; none while it compiles nothing.
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// What has been read of a text.
#[derive(Default)]
struct Reading {
    tokens: usize,
    /// The names in scope.
    names: usize,
    /// The open brackets, each with the names that end with it.
    open: Vec<(Bracket, usize)>,
    /// The parameters of a closure whose list is open.
    parameters: Option<usize>,
    /// Whether the last token ended an operand: then `|` is an operator.
    after_operand: bool,
    is_interrupted: bool,
}

/// An opening bracket, by what a comma in it separates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// `(` or `#{`: names, or arguments, which are as few.
    Names,
    /// `{` or `[`: anything.
    Other,
}

impl Reading {
    /// Counts a token. An error says which limit is passed.
    fn read(&mut self, token: &Token) -> Result<(), String> {
        self.tokens += 1;
        if self.tokens > TOKENS {
            return Err(format!("the text has more than {TOKENS} tokens"));
        }
        match token {
            Token::LeftParen | Token::MapStart => self.open.push((Bracket::Names, 0)),
            Token::LeftBrace | Token::LeftBracket => self.open.push((Bracket::Other, 0)),
            Token::RightParen | Token::RightBrace | Token::RightBracket => {
                self.names -= self.open.pop().map_or(0, |(_, names)| names);
            }
            Token::Let | Token::Const => self.name(),
            Token::Pipe if self.parameters.is_some() => self.parameters = None,
            Token::Pipe if !self.after_operand => self.parameters = Some(0),
            Token::Comma => match &mut self.parameters {
                Some(parameters) => *parameters += 1,
                None if self.open.last().is_some_and(|(bracket, _)| *bracket == Bracket::Names) => self.name(),
                None => {}
            },
            _ => {}
        }
        self.after_operand = matches!(
            token,
            Token::Identifier(_)
                | Token::IntegerConstant(_)
                | Token::FloatConstant(_)
                | Token::CharConstant(_)
                | Token::StringConstant(_)
                | Token::InterpolatedString(_)
                | Token::True
                | Token::False
                | Token::RightParen
                | Token::RightBracket
                | Token::RightBrace
        );
        if self.names + self.parameters.unwrap_or(0) > NAMES {
            return Err(format!("more than {NAMES} names in one scope"));
        }
        Ok(())
    }

    fn name(&mut self) {
        self.names += 1;
        if let Some((_, names)) = self.open.last_mut() {
            *names += 1;
        }
    }
}

/// Sets the limits, and ends compiling when `exec` is interrupted.
#[expect(deprecated, reason = "Rhai calls this function volatile; the version is pinned")]
pub(super) fn limit(engine: &mut Engine, exec: Option<Arc<Executor>>) {
    engine.on_parse_token(move |token, _, _| {
        READING.with_borrow_mut(|reading| {
            let Some(reading) = reading else { return token };
            if exec.as_ref().is_some_and(|exec| exec.is_interrupted()) {
                reading.is_interrupted = true;
                return Token::LexError(Box::new(LexError::Runtime("interrupted".into())));
            }
            match reading.read(&token) {
                Ok(()) => token,
                Err(limit) => Token::LexError(Box::new(LexError::Runtime(limit))),
            }
        })
    });
}

/// Compiles a text.
///
/// # Errors
/// A syntax error, or a limit that the text passes.
pub(crate) fn parse(engine: &Engine, scope: &Scope<'_>, text: &str) -> Result<AST, ParseError> {
    reading(engine, scope, text).0
}

/// Compiles a text in the course of an evaluation.
///
/// # Errors
/// As [`parse`], or the end of the evaluation after an interrupt.
pub(super) fn compile(engine: &Engine, scope: &Scope<'_>, text: &str) -> RhaiResultOf<AST> {
    match reading(engine, scope, text) {
        (Err(_), true) => Err(EvalAltResult::ErrorTerminated(Dynamic::from("interrupted"), Position::NONE).into()),
        (done, _) => done.map_err(Into::into),
    }
}

/// The result of compiling, and whether it was interrupted.
fn reading(engine: &Engine, scope: &Scope<'_>, text: &str) -> (Result<AST, ParseError>, bool) {
    if text.len() > TEXT {
        let limit = LexError::Runtime(too_large());
        return (Err(ParseError(Box::new(ParseErrorType::BadInput(limit)), Position::new(1, 1))), false);
    }
    READING.set(Some(Reading::default()));
    let done = engine.compile_with_scope(scope, text);
    let reading = READING.take();
    (done, reading.is_some_and(|reading| reading.is_interrupted))
}

/// What is wrong with a text that is too large.
pub(crate) fn too_large() -> String {
    format!("the text has more than {} MiB", TEXT >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(exec: Option<Arc<Executor>>) -> Engine {
        let mut engine = Engine::new();
        limit(&mut engine, exec);
        engine
    }

    fn error(text: &str) -> String {
        parse(&engine(None), &Scope::new(), text).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn repeated(count: usize, item: impl Fn(usize) -> String) -> String {
        (0..count).fold(String::new(), |mut text, n| {
            text.push_str(&item(n));
            text
        })
    }

    #[test]
    fn a_text_within_the_limits_compiles() {
        for text in [
            format!("[{}]", repeated(50_000, |n| format!("{n},"))),
            format!("#{{{}}}", repeated(5_000, |n| format!("k{n}: 1,"))),
            repeated(20_000, |_| "{ let a = 1; }".into()),
            repeated(3_000, |n| format!("let v{n} = `x${{v}}y`;")).replace("${v}", "${1}"),
            "let f = |a, b, c| a | b; f.call(1 | 2, 3, 4); switch 1 { 1 => 2, 3 | 4 => 5 }".into(),
        ] {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(error(&text), "", "{shown}");
        }
    }

    #[test]
    fn names_in_one_scope_are_limited() {
        let many = |item: &dyn Fn(usize) -> String| repeated(100_000, item);
        for text in [
            many(&|n| format!("let v{n} = 1;")),
            format!("fn f() {{ {} }}", many(&|n| format!("const V{n} = 1;"))),
            format!("fn f({}) {{}}", many(&|n| format!("p{n},"))),
            format!("let f = |{}| 1;", many(&|n| format!("p{n},"))),
            format!("#{{{}}}", many(&|n| format!("k{n}: 1,"))),
        ] {
            let shown: String = text.chars().take(40).collect();
            let error = error(&text);
            assert!(error.contains("more than 10000 names in one scope"), "{shown}: {error}");
        }
    }

    #[test]
    fn tokens_and_bytes_are_limited() {
        assert!(error(&format!("[{}]", "1,".repeat(600_000))).contains("more than 1000000 tokens"));
        assert!(error(&format!("\"{}\"", "x".repeat(TEXT))).contains("more than 4 MiB"));
    }

    #[test]
    fn an_interrupt_ends_compiling() {
        let exec = Arc::new(Executor::new().unwrap());
        let engine = engine(Some(exec.clone()));
        exec.interrupt();
        let ended = compile(&engine, &Scope::new(), "let x = 1;").unwrap_err();
        assert!(matches!(*ended, EvalAltResult::ErrorTerminated(..)), "{ended}");
        exec.resume();
        assert!(compile(&engine, &Scope::new(), "let x = 1;").is_ok());
    }
}
