//! Option maps: every key is known, every value is checked, and a typing mistake is answered with the right word.

use std::ops::RangeInclusive;
use std::time::Duration;

use rhai::{Dynamic, INT, ImmutableString, Map};

use super::args::Arg;
use super::call::Call;
use super::equivalent::Values;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::name::short;
use crate::notation;
use crate::suggest::nearest;

/// Options that a map can give.
pub(crate) trait FromOptions: Sized {
    /// Its keys.
    const KEYS: &'static [Key];
    /// Reads the values.
    fn from(options: &mut Options) -> Result<Self>;
    /// Says what stands for them in the equivalent commands of the call, by the names of the keys.
    fn fill(&self, _values: &mut Values<'_>) {}
}

/// A map of options with checked keys; the defaults if it is left out.
pub(crate) struct Opts<T>(pub T);

impl<T: FromOptions> Arg for Opts<T> {
    const TYPE: &'static str = "map";
    const OPTIONAL: bool = true;
    const KEYS: &'static [Key] = T::KEYS;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let map = match call.peek() {
            None => Map::new(),
            Some(_) => call.take_map().ok_or_else(|| {
                let first = T::KEYS.first().map_or("key", |key| key.name);
                call.wrong(name, &format!("options such as #{{{first}: …}}"))
            })?,
        };
        Options::read(call.name(), map).map(Self)
    }
    fn fill(&self, _: &str, values: &mut Values<'_>) {
        self.0.fill(values);
    }
}

/// An option map that is being read.
pub(crate) struct Options {
    function: &'static str,
    map: Map,
}

impl Options {
    /// Reads all of `map`, an argument of `function`.
    fn read<T: FromOptions>(function: &'static str, map: Map) -> Result<T> {
        if let Some(key) = map.keys().find(|key| !T::KEYS.iter().any(|known| known.name == key.as_str())) {
            let known: Vec<&str> = T::KEYS.iter().map(|known| known.name).collect();
            let list = format!("the options are: {}", known.join(", "));
            let hint = match nearest(key, known) {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => list,
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
            Some(text) => notation::duration(&text).map(Some),
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

    /// A handle; `wanted` names its type with an article.
    pub(crate) fn handle<T: Clone + Send + Sync + 'static>(&mut self, key: &str, wanted: &str) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.clone().try_cast::<T>().map(Some).ok_or_else(|| self.wrong(key, &value, wanted))
    }

    /// A size in its usual notation.
    pub(crate) fn size(&mut self, key: &str) -> Result<Option<u64>> {
        self.text(key)?.map(|text| notation::size(&text)).transpose()
    }

    /// A map of names to values, as text.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<(String, String)>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let Some(map) = value.read_lock::<Map>() else {
            return Err(self.wrong(key, &value, "a map such as #{NAME: \"value\"}"));
        };
        let text = |(name, value): (&_, &Dynamic)| {
            let is_text = value.is_string() || value.is_int() || value.is_bool() || value.is_float();
            let name: &rhai::Identifier = name;
            if is_text {
                Ok((name.to_string(), value.to_string()))
            } else {
                Err(self.wrong(key, value, "a map of texts"))
            }
        };
        map.iter().map(text).collect()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).map_err(|_| self.wrong(key, &value, "true or false"))
    }

    /// A value that `read` accepts. An error says that the option is `wanted`.
    pub(crate) fn accepted<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&Dynamic) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| self.wrong(key, &value, wanted))
    }

    /// One of the words that `parse` accepts.
    pub(crate) fn word<T>(&mut self, key: &str, words: &[(&str, T)]) -> Result<Option<T>>
    where
        T: Copy,
    {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        Err(self.wrong(key, &text.into(), &format!("one of {}", known.join(", "))))
    }
}

/// How long to wait for something that is about to happen.
pub(crate) struct WaitOptions(pub Duration);

impl WaitOptions {
    /// Unless the option says otherwise.
    pub(crate) const LIMIT: Duration = Duration::from_secs(5);
}

impl FromOptions for WaitOptions {
    const KEYS: &'static [Key] = &[Key::new("timeout", "the longest time to wait; default \"5s\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("timeout")?.unwrap_or(Self::LIMIT)))
    }
}
