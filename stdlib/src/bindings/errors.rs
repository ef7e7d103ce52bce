//! Our error as a map that scripts can catch, with the place where it happened.

use rhai::{Dynamic, EvalAltResult, INT, Map, NativeCallContext, Position};

use crate::error::{Error, Kind};

/// The error as scripts catch it: `kind`, `message`, `errno`, `hint`, `op`, `ns`, `line`, `position`, `source`.
///
/// The place is part of the map because `catch` hands over the value alone. Ctrl-C cannot be caught.
#[must_use]
pub fn to_rhai(error: &Error, cx: &NativeCallContext<'_>) -> Box<EvalAltResult> {
    let at = cx.call_position();
    if error.kind == Kind::Interrupted {
        return EvalAltResult::ErrorTerminated(Dynamic::from("interrupted"), at).into();
    }
    let mut map = to_map(error);
    if let Some(line) = at.line() {
        map.insert("line".into(), number(line));
    }
    if let Some(column) = at.position() {
        map.insert("position".into(), number(column));
    }
    if let Some(source) = cx.call_source() {
        map.insert("source".into(), source.into());
    }
    EvalAltResult::ErrorRuntime(map.into(), Position::NONE).into()
}

/// The error as a map, without its place.
#[must_use]
pub(super) fn to_map(error: &Error) -> Map {
    let text = |text: &Option<String>| Dynamic::from(text.clone().unwrap_or_default());
    let mut map = Map::new();
    map.insert("kind".into(), error.kind.word().into());
    map.insert("message".into(), error.to_string().into());
    map.insert("errno".into(), Dynamic::from(error.errno.map_or(0, |e| INT::from(e as i32))));
    map.insert("hint".into(), text(&error.hint));
    map.insert("op".into(), error.op.clone().into());
    map.insert("ns".into(), text(&error.ns));
    map
}

/// Message and hint of an error that a script could have caught.
#[must_use]
pub fn from_map(value: &Dynamic) -> Option<(String, Option<String>)> {
    let map = value.read_lock::<Map>()?;
    let message = map.get("message")?.to_string();
    let hint = map.get("hint").map(ToString::to_string).filter(|hint| !hint.is_empty());
    Some((message, hint))
}

fn number(n: usize) -> Dynamic {
    Dynamic::from(INT::try_from(n).unwrap_or(INT::MAX))
}
