//! Explains an error of the language in the words of nslab: the message, and the hint what to do next.

use std::collections::BTreeSet;

use rhai::{EvalAltResult, LexError, ParseErrorType, Position};
use stdlib::catalog::{Catalog, Function};
use stdlib::exec::memory;

use super::Known;
use crate::text::sources::is_closure;
use stdlib::suggest::nearest;

/// The message and the hint for an error. `text` is the source that it was raised in.
pub(super) fn explain(error: &EvalAltResult, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    use EvalAltResult::{
        ErrorAssignmentToConstant, ErrorDataRace, ErrorDotExpr, ErrorFunctionNotFound, ErrorParsing,
        ErrorPropertyNotFound, ErrorRuntime, ErrorStackOverflow, ErrorTerminated, ErrorVariableNotFound,
    };
    match error {
        ErrorParsing(error, at) => parsing(error, *at, known, text),
        ErrorFunctionNotFound(signature, _) => no_function(signature, known, text),
        ErrorVariableNotFound(name, _) => no_variable(name, known, text),
        ErrorPropertyNotFound(name, _) => no_key(name, text),
        ErrorDotExpr(message, _) => no_property(message, known.catalog),
        ErrorDataRace(..) => (
            "a method call and the closure in its arguments use the same value".into(),
            Some(
                "write `within ns { … }`, or the call as a function: `run(ns, || …)` instead of `ns.run(|| …)`".into(),
            ),
        ),
        ErrorStackOverflow(_) => {
            ("calls are nested deeper than 128".into(), Some("does a function call itself without end?".into()))
        }
        // An interrupt and `exit` are no errors, so this is the memory budget.
        ErrorTerminated(..) => (
            format!("the script needs more memory than its budget of {} MiB", memory::budget() >> 20),
            Some("`memory(\"2g\")` in the script raises the budget, or `nslab --memory 2g`".into()),
        ),
        ErrorAssignmentToConstant(name, _) => (format!("`{name}` is a constant"), Some("declare it with `let`".into())),
        ErrorRuntime(value, _) => (value.to_string(), None),
        other => {
            let text = other.to_string();
            let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(before, _)| before);
            (lower(text), None)
        }
    }
}

/// The same for the text of a language error that passed through a function of nslab, such as `wait_until`.
pub(super) fn explain_text(message: &str, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    if let Some(signature) = message.strip_prefix("Function not found: ") {
        return no_function(signature, known, text);
    }
    if let Some(name) = message.strip_prefix("Property not found: ") {
        return no_key(name, text);
    }
    if message.starts_with("Unknown property '") {
        return no_property(message, known.catalog);
    }
    (lower(message), None)
}

fn parsing(error: &ParseErrorType, at: Position, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    match error {
        ParseErrorType::VariableUndefined(name) => no_variable(name, known, text),
        ParseErrorType::MissingToken(token, _) if token == ";" && at_the_end(text, at) && open_braces(text) > 0 => {
            ("a `}` is missing at the end".into(), Some("every `{` needs its `}`".into()))
        }
        ParseErrorType::MissingToken(token, _) if token == ";" => {
            // Rhai reports it at the beginning of the next statement.
            ("a `;` is missing before this".into(), Some("statements end with `;`".into()))
        }
        ParseErrorType::UnknownOperator(op) => (format!("no operator `{op}`"), None),
        ParseErrorType::Reserved(word) => {
            let instead = match word.as_str() {
                "spawn" | "go" => Some("`start` runs a program in the background".to_owned()),
                "with" => Some("`within ns { … }` works inside a namespace".to_owned()),
                "print" | "debug" | "type_of" => Some(format!("it is a function: `{word}(…)`")),
                _ => Some("reserved words cannot name anything".to_owned()),
            };
            (format!("`{word}` is a reserved word"), instead)
        }
        ParseErrorType::BadInput(LexError::UnterminatedString) => (
            "a quote is missing at the end of this string".into(),
            Some("a string over several lines stands between backticks: `…`".into()),
        ),
        other => (lower(&other.to_string()), None),
    }
}

/// Whether only white space follows the position.
fn at_the_end(text: &str, at: Position) -> bool {
    let rest = text.lines().skip(at.line().unwrap_or(1) - 1).enumerate();
    let before = at.position().unwrap_or(1).saturating_sub(1);
    rest.flat_map(|(n, line)| line.chars().skip(if n == 0 { before } else { 0 })).all(char::is_whitespace)
}

/// How many more `{` than `}` there are. Strings and comments count too, which is good enough for a hint.
fn open_braces(text: &str) -> usize {
    text.matches('{').count().saturating_sub(text.matches('}').count())
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text.chars().nth(1).is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// `Function not found: brige (NetNs, &str | ImmutableString | String)`.
fn no_function(signature: &str, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    let (name, args) = signature.split_once(" (").unwrap_or((signature, ")"));
    let args = args
        .trim_end_matches(')')
        .replace("&str | ImmutableString | String", "string")
        .replace("i64", "int")
        .replace("f64", "float");
    if is_closure(name) {
        return (
            "a closure that a module created cannot be called outside of that module".into(),
            Some("call it in the module, or return a value instead".into()),
        );
    }
    let functions = &known.catalog.functions;
    let usage: Vec<String> = functions.iter().filter(|f| f.name == name).map(Function::signature).collect();
    if !usage.is_empty() {
        let text = if args.is_empty() {
            format!("`{name}` needs an argument")
        } else {
            format!("`{name}` does not take ({args})")
        };
        return (text, Some(format!("usage: {}", usage.join("\n       "))));
    }
    // A property called like a function is a common mistake.
    if known.catalog.types.iter().any(|of| of.name == args && of.properties.iter().any(|p| p.name == name)) {
        return (
            format!("`{name}` is a property of {args}, not a function"),
            Some(format!("write `.{name}` without parentheses")),
        );
    }
    let written = defined(text, &["fn "]);
    let own = known.functions.iter().copied().chain(written.iter().map(String::as_str));
    let near = nearest(name, functions.iter().map(|f| f.name.as_str()).chain(own));
    let hint = near.map(|near| match functions.iter().find(|function| function.name == near) {
        Some(function) => format!("did you mean `{}`?", function.signature()),
        None => format!("did you mean `{near}`?"),
    });
    let on = if args.is_empty() { String::new() } else { format!(" for ({args})") };
    (format!("no function `{name}`{on}"), hint)
}

fn no_variable(name: &str, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    if let Some(function) = known.catalog.functions.iter().find(|function| function.name == name) {
        return (format!("`{name}` is a function"), Some(format!("call it: `{}`", function.signature())));
    }
    let own = defined(text, &["let ", "const ", "for ", "|", ", "]);
    let all = own.iter().map(String::as_str).chain(known.variables.iter().copied());
    let hint = match nearest(name, all) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if defined(text, &["let ", "const ", "for "]).contains(name) || known.variables.contains(&name) => {
            Some("functions do not see the variables of the script: pass it as an argument".to_owned())
        }
        None => Some(format!("declare it first: `let {name} = …;`")),
    };
    (format!("no variable `{name}`"), hint)
}

/// A map without the key `name`. The map itself is out of reach, so the hint searches the keys that the script writes
/// and the keys of errors.
fn no_key(name: &str, text: &str) -> (String, Option<String>) {
    const OF_ERRORS: [&str; 8] = ["kind", "message", "errno", "hint", "op", "ns", "line", "source"];
    let own = defined(text, &["#{", ", ", "."]);
    let near = nearest(name, own.iter().map(String::as_str).chain(OF_ERRORS));
    (format!("the map has no `{name}`"), near.map(|near| format!("did you mean `{near}`?")))
}

/// `Unknown property 'stat' - a getter is not registered for type 'Link'`.
fn no_property(message: &str, catalog: &Catalog) -> (String, Option<String>) {
    let mut quoted = message.split('\'').skip(1).step_by(2);
    let (Some(name), Some(of)) = (quoted.next(), quoted.next()) else { return (message.to_owned(), None) };
    let Some(known) = catalog.types.iter().find(|known| known.name == of) else {
        let what = if of == "()" { "nothing (`()`)" } else { of };
        return (format!("{what} has no property `{name}`"), None);
    };
    let names: Vec<&str> = known.properties.iter().map(|property| property.name.as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? a {of} has: {}", names.join(", ")),
        None => format!("a {of} has: {}", names.join(", ")),
    };
    (format!("{of} has no property `{name}`"), Some(hint))
}

/// The words that follow one of `markers` in the text: approximately the names that the script defines.
fn defined(text: &str, markers: &[&str]) -> BTreeSet<String> {
    let word = |rest: &str| -> String { rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    markers
        .iter()
        .flat_map(|marker| text.match_indices(marker).map(|(at, found)| word(text[at + found.len()..].trim_start())))
        .filter(|word| !word.is_empty())
        .collect()
}
