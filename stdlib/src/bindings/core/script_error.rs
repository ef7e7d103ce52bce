//! The error that scripts see: one type, and its conversion from and to Rhai. Nothing else builds or reads that map.
//!
//! The position is part of the map because `catch` receives the value alone.

use rhai::{Dynamic, EvalAltResult, INT, Map, Position};

use crate::error::{Error, Kind};

/// The keys that every error has.
pub const KEYS: [&str; 11] =
    ["kind", "message", "errno", "op", "object", "ns", "hints", "hint", "source", "line", "position"];

/// The kind of an error of the language itself: an unknown function, an index out of bounds.
pub const SCRIPT: &str = "script";

/// Where an error happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The name of the source.
    pub source: String,
    /// Line and column of the call; none where Rhai has none.
    pub position: Position,
    /// Which argument of the call is at fault; a receiver is argument 0.
    pub argument: Option<usize>,
}

/// An error as scripts catch it.
#[derive(Clone, Debug)]
pub struct ScriptError {
    /// The word for its kind: those of [`Kind`], `check`, or `script`.
    pub kind: String,
    /// What failed, in a sentence.
    pub message: String,
    /// The kernel's error number; 0 if the kernel was not asked.
    pub errno: i32,
    /// The operation, or the function that was called.
    pub op: String,
    /// The object of the operation; empty if it has none.
    pub object: String,
    /// The namespace; empty if the operation has none.
    pub ns: String,
    /// What to do next, best first.
    pub hints: Vec<String>,
    /// Where it happened.
    pub place: Place,
    /// What some kinds of error have besides: the sides of a failed comparison, the output of a program.
    pub extra: Map,
}

impl ScriptError {
    /// An error of `function` that is a sentence.
    #[must_use]
    pub fn new(kind: &str, function: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            errno: 0,
            op: function.into(),
            object: String::new(),
            ns: String::new(),
            hints: Vec::new(),
            place: Place::default(),
            extra: Map::new(),
        }
    }

    /// The error of the library that a call of `function` ended with.
    #[must_use]
    pub fn of(error: &Error, function: &str) -> Self {
        let mut extra = Map::new();
        for (key, text) in &error.partial {
            extra.insert((*key).into(), text.into());
        }
        Self {
            errno: error.errno.map_or(0, |errno| errno as i32),
            op: error.operation().unwrap_or(function).into(),
            object: error.object().unwrap_or_default().into(),
            ns: error.ns.as_deref().unwrap_or_default().into(),
            hints: error.hints.clone(),
            place: Place { argument: error.argument.map(usize::from), ..Place::default() },
            extra,
            ..Self::new(error.kind.word(), function, error.to_string())
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Names the object.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// Adds a key that only this kind of error has.
    #[must_use]
    pub fn with(mut self, key: &str, value: Dynamic) -> Self {
        self.extra.insert(key.into(), value);
        self
    }

    /// Says where it happened.
    #[must_use]
    pub fn at(mut self, source: Option<&str>, position: Position) -> Self {
        self.place.source = source.unwrap_or_default().into();
        self.place.position = position;
        self
    }

    /// The hints as one text.
    #[must_use]
    pub fn hint_text(&self) -> Option<String> {
        (!self.hints.is_empty()).then(|| self.hints.join("\n"))
    }

    /// The error for Rhai.
    ///
    /// An interrupt becomes the end of the evaluation, which no `catch` can stop.
    #[must_use]
    pub fn into_rhai(self) -> Box<EvalAltResult> {
        if self.kind == Kind::Interrupted.word() {
            return EvalAltResult::ErrorTerminated("interrupted".into(), self.place.position).into();
        }
        let position = self.place.position;
        EvalAltResult::ErrorRuntime(self.into_map().into(), position).into()
    }

    /// The error as a map.
    #[must_use]
    pub fn into_map(self) -> Map {
        let number = |n: Option<usize>| n.and_then(|n| INT::try_from(n).ok()).map_or(Dynamic::UNIT, Dynamic::from);
        let mut map = self.extra;
        let hint = self.hints.join("\n");
        map.insert("kind".into(), self.kind.into());
        map.insert("message".into(), self.message.into());
        map.insert("errno".into(), INT::from(self.errno).into());
        map.insert("op".into(), self.op.into());
        map.insert("object".into(), self.object.into());
        map.insert("ns".into(), self.ns.into());
        map.insert("hints".into(), self.hints.into_iter().map(Dynamic::from).collect::<Vec<_>>().into());
        map.insert("hint".into(), hint.into());
        map.insert("source".into(), self.place.source.into());
        map.insert("line".into(), number(self.place.position.line()));
        map.insert("position".into(), number(self.place.position.position()));
        if self.place.argument.is_some() {
            map.insert("argument".into(), number(self.place.argument));
        }
        map
    }

    /// Reads a map that [`ScriptError::into_map`] made, or that a script throws in its place; none if it has no message.
    #[must_use]
    pub fn from_map(map: &Map) -> Option<Self> {
        let text = |key: &str| map.get(key).filter(|value| !value.is_unit()).map_or(String::new(), ToString::to_string);
        let number = |key: &str| map.get(key).and_then(|value| value.as_int().ok());
        let column = |key: &str| number(key).and_then(|n| u16::try_from(n).ok());
        map.get("message")?;
        let hints = match map.get("hints").and_then(Dynamic::read_lock::<rhai::Array>) {
            Some(hints) => hints.iter().map(ToString::to_string).collect(),
            None => [text("hint")].into_iter().filter(|hint| !hint.is_empty()).collect(),
        };
        let position = column("line")
            .filter(|line| *line > 0)
            .map_or(Position::NONE, |line| Position::new(line, column("position").unwrap_or(0)));
        let argument = number("argument").and_then(|n| usize::try_from(n).ok());
        let is_extra = |key: &str| !KEYS.contains(&key) && key != "argument";
        Some(Self {
            kind: text("kind"),
            message: text("message"),
            errno: number("errno").and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
            op: text("op"),
            object: text("object"),
            ns: text("ns"),
            hints,
            place: Place { source: text("source"), position, argument },
            extra: map
                .iter()
                .filter(|(key, _)| is_extra(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }

    /// The value that a `catch` around `error` would receive, with all keys; `source` is where the evaluation began.
    ///
    /// What a script throws is passed on as it is.
    pub fn caught(error: &EvalAltResult, source: &str) -> Dynamic {
        let (cause, source) = cause(error, source);
        if let EvalAltResult::ErrorRuntime(value, _) = cause {
            return value.clone();
        }
        let text = cause.to_string();
        // The place has keys of its own.
        let message = text.rsplit_once(" (line ").map_or(text.as_str(), |(message, _)| message);
        Self::new(SCRIPT, "", message).at(Some(source), cause.position()).into_map().into()
    }
}

/// The innermost cause of an error, and the source that it is in.
fn cause<'e>(error: &'e EvalAltResult, source: &'e str) -> (&'e EvalAltResult, &'e str) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, inside, inner, _) => {
            cause(inner, if inside.is_empty() { source } else { inside })
        }
        EvalAltResult::ErrorInModule(module, inner, _) => cause(inner, module),
        cause => (cause, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_a_map() {
        let error = Error::sys("create veth `veth0` with peer `b`", nix::errno::Errno::EEXIST)
            .within("the lab root")
            .hint("first")
            .hint("second")
            .partial("stdout", "text")
            .argument(1);
        let map = ScriptError::of(&error, "veth").at(Some("main.rhai"), Position::new(3, 7)).into_map();
        for key in KEYS {
            assert!(map.contains_key(key), "{key}");
        }
        let again = ScriptError::from_map(&map).expect("a map with a message");
        assert_eq!((again.op.as_str(), again.object.as_str(), again.errno), ("create veth", "veth0", 17));
        assert_eq!(again.hints, ["first", "second"]);
        assert_eq!(again.place.position, Position::new(3, 7));
        assert_eq!(again.place.argument, Some(1));
        assert_eq!(again.extra.len(), 1);
        assert_eq!(map.len(), KEYS.len() + 2);
    }

    #[test]
    fn a_map_that_is_no_error_is_none() {
        assert!(ScriptError::from_map(&Map::new()).is_none());
        let mut own = Map::new();
        own.insert("message".into(), 7_i64.into());
        own.insert("line".into(), (-1_i64).into());
        assert_eq!(ScriptError::from_map(&own).map(|error| error.message).as_deref(), Some("7"));
    }
}
