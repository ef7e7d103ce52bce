//! The texts behind source names, and positions and names as Rhai reports them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::Position;

/// The texts that were read, by the name that errors use.
#[derive(Default)]
pub struct Sources(Mutex<BTreeMap<String, Arc<str>>>);

impl Sources {
    /// Stores the text of `name`.
    pub fn add(&self, name: &str, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), text.into());
    }

    /// The text of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// The byte at a position. Rhai counts lines and characters.
pub fn offset(text: &str, at: Position) -> Option<usize> {
    let before: usize = text.split_inclusive('\n').take(at.line()? - 1).map(str::len).sum();
    let line = text.get(before..)?.split('\n').next()?;
    let column = at.position().unwrap_or(1).saturating_sub(1);
    Some(before + line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset))
}

/// Whether a function name is one that Rhai makes up for a closure.
#[must_use]
pub fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}
