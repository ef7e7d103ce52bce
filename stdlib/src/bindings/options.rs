//! Option maps: every key is known, every value is checked, a typing mistake is answered with the right word.

use std::ops::RangeInclusive;
use std::time::Duration;

use rhai::{Dynamic, INT, ImmutableString, Map};

use super::args::parse_duration;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::name::short;

/// Options that a map can give.
pub(crate) trait FromOptions: Sized {
    /// Its keys.
    const KEYS: &'static [Key];
    /// Reads the values.
    fn from(options: &mut Options) -> Result<Self>;
}

/// An option map that is being read.
pub(crate) struct Options {
    function: &'static str,
    map: Map,
}

impl Options {
    /// Reads all of `map`, which was given to `function`.
    pub(crate) fn read<T: FromOptions>(function: &'static str, map: Map) -> Result<T> {
        if let Some(key) = map.keys().find(|key| !T::KEYS.iter().any(|known| known.name == key.as_str())) {
            let known: Vec<&str> = T::KEYS.iter().map(|known| known.name).collect();
            let near =
                known.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            let near = near.filter(|near| strsim::jaro_winkler(near, key) > 0.7);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`? the options are: {}", known.join(", ")),
                None => format!("the options are: {}", known.join(", ")),
            };
            return Err(Error::usage(format!("`{function}` has no option `{}`", short(key))).hint(hint));
        }
        T::from(&mut Self { function, map })
    }

    fn wrong(&self, key: &str, value: &Dynamic, wanted: &str) -> Error {
        let shown = match value.read_lock::<ImmutableString>() {
            Some(text) => format!("\"{}\"", short(&text)),
            None => short(&value.to_string()),
        };
        Error::usage(format!("the option `{key}` of `{}` is {wanted}, not {shown}", self.function))
    }

    fn get(&mut self, key: &str) -> Option<Dynamic> {
        self.map.remove(key)
    }

    /// A whole number within a range.
    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<INT>) -> Result<Option<INT>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_int().ok().filter(|number| range.contains(number));
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| self.wrong(key, &value, &wanted))
    }

    /// A duration in its usual notation.
    pub(crate) fn duration(&mut self, key: &str) -> Result<Option<Duration>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.read_lock::<ImmutableString>() {
            Some(text) => parse_duration(&text).map(Some),
            None => Err(self.wrong(key, &value, "a duration").hint("write a number and a unit: \"200ms\", \"3s\"")),
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.read_lock::<ImmutableString>() {
            Some(text) => Ok(Some(text.to_string())),
            None => Err(self.wrong(key, &value, "a string")),
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).map_err(|_| self.wrong(key, &value, "true or false"))
    }
}
