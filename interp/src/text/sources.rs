//! The texts behind source names, and positions and names as Rhai reports them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{AST, Position};

use super::arguments::argument;

/// The texts that were read, by the name that errors use, and their syntax trees once they are compiled.
#[derive(Default)]
pub struct Sources(Mutex<BTreeMap<String, Source>>);

struct Source {
    text: Arc<str>,
    tree: Option<AST>,
}

impl Sources {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the text of `name`.
    pub fn add(&self, name: &str, text: &str) {
        self.lock().insert(name.into(), Source { text: text.into(), tree: None });
    }

    /// Stores the syntax tree of `name`.
    pub fn compiled(&self, name: &str, tree: &AST) {
        if let Some(source) = self.lock().get_mut(name) {
            source.tree = Some(tree.clone());
        }
    }

    /// The text of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.lock().get(name).map(|source| source.text.clone())
    }

    /// The position of argument `n` of the call at `call` in `name`.
    #[must_use]
    pub fn argument(&self, name: &str, call: Position, n: usize) -> Option<Position> {
        argument(self.lock().get(name)?.tree.as_ref()?, call, n)
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
