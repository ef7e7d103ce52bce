//! Lists: values that scripts can loop over, index, filter and print as the usual tools do.

use std::any::TypeId;
use std::fmt::{self, Display};
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, INT, NativeCallContext, Position};

use super::call::RhaiResultOf;
use super::value::{Out, Value};
use crate::catalog::{Property, Type};
use crate::lab::Lab;

/// An immutable list of values of one type.
#[derive(Clone)]
pub struct List<T: 'static>(pub Arc<[T]>);

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items.into())
    }
}

/// A value of which there are lists: their name and how they print.
pub(crate) trait Listed: Value {
    /// The list's name in scripts.
    const LIST: &'static str;
    /// One sentence about it.
    const LIST_DOC: &'static str;
    /// The properties that a table of them shows; none if it prints as a table anyway.
    const COLUMNS: &'static [&'static str] = &[];
    /// Whether `"name" in list` means this one.
    fn is_called(&self, name: &str) -> bool {
        self.to_string() == name
    }
    /// Prints the whole list.
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in items.iter().enumerate() {
            let newline = if n > 0 { "\n" } else { "" };
            write!(f, "{newline}{item}")?;
        }
        Ok(())
    }
}

impl<T: Listed> Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::show(&self.0, f)
    }
}

impl<T: Listed> Out for List<T> {
    const TYPE: &'static str = T::LIST;
    fn out(self) -> Dynamic {
        Dynamic::from(self)
    }
}

impl<T: Listed> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        #[expect(clippy::unnecessary_to_owned, reason = "the iterator owns its items; the list is shared")]
        self.0.to_vec().into_iter()
    }
}

/// Registers a list type: `len`, index, `for`, and the usual functions of an array that take a closure.
pub(crate) fn register_list<T: Listed>(engine: &mut Engine, _: &Arc<Lab>) -> Type {
    engine.register_type_with_name::<List<T>>(T::LIST);
    engine.register_iterator::<List<T>>();
    engine.register_fn("to_string", |list: &mut List<T>| list.to_string());
    engine.register_fn("to_debug", |list: &mut List<T>| {
        let items: Vec<String> = list.0.iter().map(Value::brief).collect();
        format!("[{}]", items.join(", "))
    });
    engine.register_fn("len", |list: &mut List<T>| INT::try_from(list.0.len()).unwrap_or(INT::MAX));
    engine.register_get("len", |list: &mut List<T>| INT::try_from(list.0.len()).unwrap_or(INT::MAX));
    engine.register_fn("is_empty", |list: &mut List<T>| list.0.is_empty());
    engine.register_get("is_empty", |list: &mut List<T>| list.0.is_empty());
    engine.register_fn("to_array", |list: &mut List<T>| array(list));
    engine.register_indexer_get(|list: &mut List<T>, index: INT| -> RhaiResultOf<T> {
        let length = list.0.len();
        let at = if index < 0 {
            length.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX))
        } else {
            usize::try_from(index).ok()
        };
        at.and_then(|at| list.0.get(at).cloned())
            .ok_or_else(|| EvalAltResult::ErrorArrayBounds(length, index, Position::NONE).into())
    });
    // `"netns1" in netns_list()`.
    engine.register_fn("contains", |list: &mut List<T>, name: &str| list.0.iter().any(|item| item.is_called(name)));
    // What takes a closure is an array's: the same names, the same rules.
    for name in ["map", "filter", "find", "some", "all", "for_each", "reduce", "sort_by"] {
        let types = [TypeId::of::<List<T>>(), TypeId::of::<FnPtr>()];
        engine.register_raw_fn(name, types, move |cx: NativeCallContext<'_>, args| -> RhaiResultOf<Dynamic> {
            let items = args[0].read_lock::<List<T>>().map(|list| array(&list)).unwrap_or_default();
            let (mut items, mut function) = (Dynamic::from(items), std::mem::take(args[1]));
            cx.call_native_fn_raw(name, true, &mut [&mut items, &mut function])
        });
    }
    let property =
        |name: &str, doc: &str, returns: &str| Property { name: name.into(), doc: doc.into(), returns: returns.into() };
    Type {
        name: T::LIST.into(),
        doc: T::LIST_DOC.into(),
        properties: vec![
            property("len", "How many there are.", "int"),
            property("is_empty", "Whether there are none.", "bool"),
        ],
        element: Some(T::NAME.into()),
        columns: T::COLUMNS,
    }
}

fn array<T: Listed>(list: &List<T>) -> Array {
    list.0.iter().cloned().map(Dynamic::from).collect()
}
