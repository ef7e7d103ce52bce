//! Values that scripts see: what a function returns, and types with named properties.

use std::any::TypeId;
use std::fmt::Display;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, INT, Map};

use super::script_error::ScriptError;
use crate::catalog::{Property, Type, unindent};
use crate::error::Result;
use crate::lab::Lab;

/// What a function returns.
pub(crate) trait Out {
    /// The name of its type in signatures.
    const TYPE: &'static str;
    /// The value for Rhai.
    fn out(self) -> Dynamic;
}

macro_rules! out {
    ($($type:ty = $name:literal),* $(,)?) => {
        $(impl Out for $type {
            const TYPE: &'static str = $name;
            fn out(self) -> Dynamic { Dynamic::from(self) }
        })*
    };
}

out!(bool = "bool", INT = "int", f64 = "float", () = "()", String = "string", Map = "map", Array = "array");

impl Out for Dynamic {
    const TYPE: &'static str = "any";
    fn out(self) -> Dynamic {
        self
    }
}

impl<T: Value> Out for T {
    const TYPE: &'static str = T::NAME;
    fn out(self) -> Dynamic {
        Dynamic::from(self)
    }
}

/// A value or `()`.
impl<T: Out> Out for Option<T> {
    const TYPE: &'static str = T::TYPE;
    fn out(self) -> Dynamic {
        self.map_or(Dynamic::UNIT, T::out)
    }
}

/// A value that scripts see: it prints itself and has named properties.
pub(crate) trait Value: Display + Clone + Send + Sync + 'static {
    /// Its name in scripts.
    const NAME: &'static str;
    /// One sentence about it.
    const DOC: &'static str;
    /// Its properties.
    fn properties() -> &'static [Getter<Self>];
    /// One line: what an array, a map and a failed `check` show of it.
    fn brief(&self) -> String {
        let text = self.to_string();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
    }
}

/// One property of a value.
pub(crate) struct Getter<T: 'static> {
    pub name: &'static str,
    pub doc: &'static str,
    pub returns: &'static str,
    pub get: fn(&T, &Arc<Lab>) -> Result<Dynamic>,
}

/// Documented properties of a type, and how to get them.
macro_rules! value {
    ($type:ty, $name:literal, $about:literal $(, |$self:ident| $brief:expr)?;
     $($(#[doc = $doc:literal])+ $property:ident: $out:ty = |$this:ident $(, $lab:ident)?| $body:expr;)*) => {
        impl $crate::bindings::core::value::Value for $type {
            const NAME: &'static str = $name;
            const DOC: &'static str = $about;
            fn properties() -> &'static [$crate::bindings::core::value::Getter<Self>] {
                &[$($crate::bindings::core::value::Getter {
                    name: stringify!($property),
                    doc: concat!($($doc, "\n"),+),
                    returns: <$out as $crate::bindings::core::value::Out>::TYPE,
                    get: |$this, _lab| {
                        $(let $lab = _lab;)?
                        let value: $out = $body;
                        Ok($crate::bindings::core::value::Out::out(value))
                    },
                }),*]
            }
            $(fn brief(&self) -> String {
                let $self = self;
                $brief
            })?
        }
    };
}
pub(crate) use value;

/// Registers a type with its name, its text, and its properties.
pub(crate) fn register_type<T: Value>(engine: &mut Engine, lab: &Arc<Lab>) -> Type {
    engine.register_type_with_name::<T>(T::NAME);
    // `print` ends the line itself.
    let text = |value: &mut T| value.to_string().trim_end_matches('\n').to_owned();
    engine.register_fn("to_string", text);
    engine.register_fn("to_debug", |value: &mut T| value.brief());
    let mut properties = Vec::new();
    for getter in T::properties() {
        let lab = lab.clone();
        engine.register_raw_fn(format!("get${}", getter.name), [TypeId::of::<T>()], move |cx, args| {
            let value = args[0].read_lock::<T>().expect("Rhai calls a getter with its own type").clone();
            (getter.get)(&value, &lab)
                .map_err(|e| ScriptError::of(&e, getter.name).at(cx.call_source(), cx.call_position()).into_rhai())
        });
        properties.push(Property {
            name: getter.name.into(),
            doc: unindent(getter.doc),
            returns: getter.returns.into(),
        });
    }
    Type { name: T::NAME.into(), doc: T::DOC.into(), properties, element: None, columns: &[] }
}

/// Registers `==` and `!=`: handles are equal if they name the same object, not if they are the same copy.
pub(crate) fn register_equality<T: Value>(engine: &mut Engine, same: fn(&T, &T) -> bool) {
    engine.register_fn("==", move |a: T, b: T| same(&a, &b));
    engine.register_fn("!=", move |a: T, b: T| !same(&a, &b));
}
