//! Errors for the user: what failed, the source line with a mark, the calls that led there, what to do next.

use std::collections::BTreeSet;
use std::ops::Range;

use rhai::{EvalAltResult, Map, Position};
use stdlib::bindings::ScriptError;
use stdlib::bindings::script_error::{self, Place};
use stdlib::catalog::Catalog;

use crate::text::sources::{Sources, is_closure, offset};
use crate::text::tokens::tokens;
use explain::{explain, explain_text};

mod cut;
mod explain;
mod render;

/// The names that exist. An error about an unknown name offers the nearest one.
pub struct Known<'a> {
    /// The functions and types of nslab.
    pub catalog: &'a Catalog,
    /// The texts that were read.
    pub sources: &'a Sources,
    /// The functions of scripts and of earlier inputs.
    pub functions: Vec<&'a str>,
    /// The variables of earlier inputs.
    pub variables: Vec<&'a str>,
}

/// A range of bytes in a source.
#[derive(Clone, Debug)]
struct Spot {
    source: String,
    span: Range<usize>,
}

/// An error that is ready to be rendered.
#[derive(Debug)]
pub struct Diagnostic {
    /// What failed.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether it is a failed `check`.
    pub is_check: bool,
    at: Option<Spot>,
    /// The calls that led there, innermost first: a sentence and the place of each.
    calls: Vec<(String, Spot)>,
    sources: Vec<(String, String)>,
}

/// The descent from the outermost call to the error.
struct Walk<'a> {
    sources: &'a Sources,
    calls: Vec<(String, Spot)>,
}

impl Diagnostic {
    /// The diagnostic of `error`, raised by the source `name`.
    #[must_use]
    pub fn of(error: &EvalAltResult, name: &str, known: &Known<'_>) -> Self {
        let sources = known.sources;
        let mut walk = Walk { sources, calls: Vec::new() };
        let (root, source) = walk.down(error, name);
        let (mut message, mut hint) = explain(root, known, sources.get(&source).as_deref().unwrap_or_default());
        if !matches!(root, EvalAltResult::ErrorRuntime(..)) {
            (message, hint) = (brief(message), hint.map(brief));
        }
        let mut is_check = false;
        let mut place = Place { source, position: root.position(), argument: None };
        if let EvalAltResult::ErrorRuntime(value, _) = root
            && let Some(error) = value.read_lock::<Map>().and_then(|map| ScriptError::from_map(&map))
        {
            is_check = error.kind == "check";
            let text = sources.get(&error.place.source).unwrap_or_default();
            (message, hint) = match error.kind.as_str() {
                script_error::SCRIPT => explain_text(&error.message, known, &text),
                _ => (error.message.clone(), error.hint_text()),
            };
            // An error that was thrown again has the position of the `throw`; the map keeps the first one.
            if !error.place.position.is_none() {
                place = error.place;
            }
        }
        let argument = place.argument.and_then(|n| sources.argument(&place.source, place.position, n));
        let at = spot(sources, &place.source, argument.unwrap_or(place.position));
        walk.calls.reverse();
        let names: BTreeSet<&String> =
            at.iter().chain(walk.calls.iter().map(|(_, spot)| spot)).map(|spot| &spot.source).collect();
        let texts = names.into_iter().filter_map(|name| Some((name.clone(), sources.get(name)?.to_string())));
        let texts = texts.collect();
        Self { message, hint, is_check, at, calls: walk.calls, sources: texts }
    }
}

/// A text of the language without its middle if it is long: it may quote a name of any length.
fn brief(text: String) -> String {
    const LONG: usize = 1_000;
    let count = text.chars().count();
    if count <= LONG {
        return text;
    }
    let beginning = text.chars().take(LONG / 2);
    beginning.chain(['…']).chain(text.chars().skip(count - LONG / 2)).collect()
}

impl Walk<'_> {
    /// Descends to the first cause and records each call. Returns the cause and the source that it is in.
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

/// The token at a position. Rhai counts characters; a spot counts bytes.
fn spot(sources: &Sources, source: &str, at: Position) -> Option<Spot> {
    let text = sources.get(source)?;
    let begin = offset(&text, at)?;
    let line = text[begin..].lines().next().unwrap_or_default();
    let length = tokens(line).first().filter(|token| token.range.start == 0).map_or(0, |token| token.range.end);
    Some(Spot { source: source.into(), span: begin..begin + length })
}
