//! Errors for people: what failed, the line with a mark under it, the calls that led there, what to do next.

use std::collections::BTreeSet;
use std::ops::Range;

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};
use rhai::{EvalAltResult, LexError, Map, ParseErrorType, Position};
use stdlib::bindings;
use stdlib::catalog::{Catalog, Function};

use crate::functions::{is_closure, offset};
use crate::sources::Sources;
use crate::suggest::nearest;

/// What there is, for a name that is not: the nearest one is offered.
pub struct Known<'a> {
    /// What nslab brings.
    pub catalog: &'a Catalog,
    /// What was read.
    pub sources: &'a Sources,
    /// Functions of scripts and of earlier inputs.
    pub functions: Vec<&'a str>,
    /// Variables of earlier inputs.
    pub variables: Vec<&'a str>,
}

/// A place in a source.
#[derive(Clone, Debug)]
struct Spot {
    source: String,
    span: Range<usize>,
}

/// An error that is ready to be shown.
#[derive(Debug)]
pub struct Diagnostic {
    /// What failed.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether it is a failed `check`.
    pub is_check: bool,
    at: Option<Spot>,
    /// The calls that led there, innermost first: what happened, and where.
    calls: Vec<(String, Spot)>,
    sources: Vec<(String, String)>,
}

/// One step of the way from the outermost call to the error.
struct Walk<'a> {
    sources: &'a Sources,
    calls: Vec<(String, Spot)>,
}

impl Diagnostic {
    /// The diagnostic of `error`, which came out of the source `name`.
    #[must_use]
    pub fn of(error: &EvalAltResult, name: &str, known: &Known<'_>) -> Self {
        let sources = known.sources;
        let mut walk = Walk { sources, calls: Vec::new() };
        let (root, source) = walk.down(error, name);
        let (mut message, mut hint) = explain(root, known, sources.get(&source).as_deref().unwrap_or_default());
        let mut is_check = false;
        let mut place = (source, root.position());
        if let EvalAltResult::ErrorRuntime(value, _) = root {
            if let Some((text, help)) = bindings::from_map(value) {
                (message, hint) = (text, help);
            }
            if let Some(map) = value.read_lock::<Map>() {
                is_check = map.get("kind").is_some_and(|kind| kind.to_string() == "check");
                // The map knows better: an error that was thrown again has the place of the `throw`.
                place = place_in(&map).unwrap_or(place);
            }
        }
        let at = spot(sources, &place.0, place.1);
        walk.calls.reverse();
        let names: BTreeSet<&String> =
            at.iter().chain(walk.calls.iter().map(|(_, spot)| spot)).map(|spot| &spot.source).collect();
        let texts = names.into_iter().filter_map(|name| Some((name.clone(), sources.get(name)?.to_string())));
        let texts = texts.collect();
        Self { message, hint, is_check, at, calls: walk.calls, sources: texts }
    }

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

impl Walk<'_> {
    /// Goes down to the first cause, noting each call. Returns the cause and the source it is in.
    fn down<'e>(&mut self, error: &'e EvalAltResult, source: &str) -> (&'e EvalAltResult, String) {
        match error {
            EvalAltResult::ErrorInFunctionCall(function, inside, inner, at) => {
                if let Some(spot) = spot(self.sources, source, *at) {
                    let name = if is_closure(function) { "closure".into() } else { format!("`{function}`") };
                    self.calls.push((format!("{name} called from here"), spot));
                }
                let inside = if inside.is_empty() { source } else { inside };
                self.down(inner, inside)
            }
            EvalAltResult::ErrorInModule(module, inner, at) => {
                if let Some(spot) = spot(self.sources, source, *at) {
                    self.calls.push((format!("`{module}` imported here"), spot));
                }
                self.down(inner, module)
            }
            cause => (cause, source.to_owned()),
        }
    }
}

fn place_in(map: &Map) -> Option<(String, Position)> {
    let number = |key: &str| u16::try_from(map.get(key)?.as_int().ok()?).ok();
    let at = Position::new(number("line")?, number("position").unwrap_or(0));
    Some((map.get("source")?.to_string(), at))
}

/// The word, or the quoted text, that begins at a position. Rhai counts characters, files have bytes.
fn spot(sources: &Sources, source: &str, at: Position) -> Option<Spot> {
    let text = sources.get(source)?;
    let begin = offset(&text, at)?;
    let rest = text[begin..].lines().next().unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let quoted = rest.strip_prefix('"').and_then(|text| text.find('"')).map(|end| end + 2);
    let length = if word > 0 { word } else { quoted.unwrap_or_else(|| rest.chars().next().map_or(0, char::len_utf8)) };
    Some(Spot { source: source.into(), span: begin..begin + length })
}

/// What went wrong in words of ours, and what to do next.
fn explain(error: &EvalAltResult, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    use EvalAltResult::{
        ErrorAssignmentToConstant, ErrorDataRace, ErrorDataTooLarge, ErrorDotExpr, ErrorFunctionNotFound, ErrorParsing,
        ErrorPropertyNotFound, ErrorRuntime, ErrorStackOverflow, ErrorVariableNotFound,
    };
    match error {
        ErrorParsing(error, at) => parsing(error, *at, known, text),
        ErrorFunctionNotFound(signature, _) => no_function(signature, known, text),
        ErrorVariableNotFound(name, _) => no_variable(name, known, text),
        ErrorPropertyNotFound(name, _) => no_key(name, text),
        ErrorDotExpr(message, _) => no_property(message, known.catalog),
        ErrorDataRace(..) => (
            "a value is used by a method call and by the closure it was given".into(),
            Some(
                "write `within ns { … }`, or the call as a function: `run(ns, || …)` instead of `ns.run(|| …)`".into(),
            ),
        ),
        ErrorStackOverflow(_) => {
            ("calls are nested deeper than 128".into(), Some("does a function call itself without end?".into()))
        }
        ErrorDataTooLarge(what, _) => {
            let what = match what.as_str() {
                what if what.contains("string") => "the text",
                what if what.contains("array") => "the array",
                what if what.contains("map") => "the map",
                what => what,
            };
            (format!("{what} grows too large"), Some("the limits: 16 MiB of text, 100,000 elements".into()))
        }
        ErrorAssignmentToConstant(name, _) => (format!("`{name}` is a constant"), Some("declare it with `let`".into())),
        ErrorRuntime(value, _) => (value.to_string(), None),
        other => {
            let text = other.to_string();
            let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(before, _)| before);
            (lower(text), None)
        }
    }
}

fn parsing(error: &ParseErrorType, at: Position, known: &Known<'_>, text: &str) -> (String, Option<String>) {
    match error {
        ParseErrorType::VariableUndefined(name) => no_variable(name, known, text),
        ParseErrorType::MissingToken(token, _) if token == ";" && at_the_end(text, at) && open_braces(text) > 0 => {
            ("a `}` is missing at the end".into(), Some("every `{` needs its `}`".into()))
        }
        ParseErrorType::MissingToken(token, _) if token == ";" => {
            // Rhai notices at the beginning of the next statement.
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
            "a quote is missing at the end of this text".into(),
            Some("text over several lines stands between backticks: `…`".into()),
        ),
        other => (lower(&other.to_string()), None),
    }
}

/// Whether nothing but blanks follows the position.
fn at_the_end(text: &str, at: Position) -> bool {
    let rest = text.lines().skip(at.line().unwrap_or(1) - 1).enumerate();
    let before = at.position().unwrap_or(1).saturating_sub(1);
    rest.flat_map(|(n, line)| line.chars().skip(if n == 0 { before } else { 0 })).all(char::is_whitespace)
}

/// How many more `{` than `}` there are, those in texts and comments included: good enough for a hint.
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
            "a closure that a module made cannot be called outside of it".into(),
            Some("let the module's function call it, or return a value instead".into()),
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
    // A property that is called like a function is a common slip.
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
        None => Some(format!("make it first: `let {name} = …;`")),
    };
    (format!("no variable `{name}`"), hint)
}

/// What a map was asked for. The map itself is not at hand: the keys that the script writes, and those of errors, are.
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

/// The words that follow one of `markers` in the text: what the script itself defines, roughly.
fn defined(text: &str, markers: &[&str]) -> BTreeSet<String> {
    let word = |rest: &str| -> String { rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    markers
        .iter()
        .flat_map(|marker| text.match_indices(marker).map(|(at, found)| word(text[at + found.len()..].trim_start())))
        .filter(|word| !word.is_empty())
        .collect()
}
