//! The script side: one file a family, and in it each function once, with its documentation and example.
//!
//! [`bindings!`] turns a documented Rust function into a [`Binding`]: name, parameters, what it returns, text. Help,
//! completion, reference and tests are computed from that; the arguments are taken by their types ([`args`]), so a
//! misuse gets the same kind of answer everywhere.

use std::any::TypeId;
use std::fmt::Display;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult};

use crate::catalog::{Catalog, Function, Parameter, Property, Type};
use crate::error::Result;
use crate::lab::{Lab, Link, NetNs, Place, Process};
use args::Call;

mod addr;
pub mod args;
mod errors;
mod firewall;
mod link;
pub mod list;
mod namespace;
mod netns;
mod options;
mod ping;
mod process;
mod route;
mod script;
mod sysctl;
mod twin;

pub use errors::{from_map, to_rhai};

/// The families: a new one is one more line.
const FAMILIES: [&Family; 10] = [
    &netns::FAMILY,
    &link::FAMILY,
    &addr::FAMILY,
    &route::FAMILY,
    &ping::FAMILY,
    &firewall::FAMILY,
    &process::FAMILY,
    &namespace::FAMILY,
    &sysctl::FAMILY,
    &script::FAMILY,
];

/// What scripts get, or the error they catch.
pub type RhaiResultOf<T> = std::result::Result<T, Box<EvalAltResult>>;

/// Functions that belong together, and the types they return.
pub(crate) struct Family {
    pub name: &'static str,
    pub bindings: &'static [Binding],
    pub types: &'static [fn(&mut Engine, &Arc<Lab>) -> Type],
}

/// One function.
pub(crate) struct Binding {
    pub name: &'static str,
    pub doc: &'static str,
    pub parameters: &'static [Parameter],
    pub returns: &'static str,
    pub call: fn(&mut Call<'_>) -> Result<Dynamic>,
}

/// A value that scripts see: it prints itself, and has named properties.
pub(crate) trait Value: Display + Clone + Send + Sync + 'static {
    /// Its name in scripts.
    const NAME: &'static str;
    /// One sentence about it.
    const DOC: &'static str;
    /// Its properties.
    fn properties() -> &'static [Getter<Self>];
    /// One line: what an array or a map, and a failed `check`, show of it.
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

/// Documented functions, as a family.
macro_rules! bindings {
    ($family:literal, types: [$($type:expr),* $(,)?];
     $($(#[doc = $doc:literal])+ fn $name:ident($($arg:ident: $of:ty),* $(,)?) -> $out:ty $body:block)*) => {
        pub(super) const FAMILY: crate::bindings::Family = crate::bindings::Family {
            name: $family,
            types: &[$($type),*],
            bindings: &[$(crate::bindings::Binding {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                parameters: &[$(crate::catalog::Parameter {
                    name: stringify!($arg),
                    of: <$of as crate::bindings::args::Arg>::TYPE,
                    optional: <$of as crate::bindings::args::Arg>::OPTIONAL,
                    keys: <$of as crate::bindings::args::Arg>::KEYS,
                    most: <$of as crate::bindings::args::Arg>::MOST,
                    names: <$of as crate::bindings::args::Arg>::NAMES,
                }),*],
                returns: <$out as crate::bindings::args::Out>::TYPE,
                call: |call| {
                    $(let $arg = <$of as crate::bindings::args::Arg>::take(call, stringify!($arg))?;)*
                    call.finish()?;
                    let run = || -> crate::error::Result<$out> { $body };
                    Ok(crate::bindings::args::Out::out(run()?))
                },
            }),*],
        };
    };
}
pub(crate) use bindings;

/// Documented properties of a type, and how to get them.
macro_rules! value {
    ($type:ty, $name:literal, $about:literal $(, |$self:ident| $brief:expr)?;
     $($(#[doc = $doc:literal])+ $property:ident: $out:ty = |$this:ident $(, $lab:ident)?| $body:expr;)*) => {
        impl crate::bindings::Value for $type {
            const NAME: &'static str = $name;
            const DOC: &'static str = $about;
            fn properties() -> &'static [crate::bindings::Getter<Self>] {
                &[$(crate::bindings::Getter {
                    name: stringify!($property),
                    doc: concat!($($doc, "\n"),+),
                    returns: <$out as crate::bindings::args::Out>::TYPE,
                    get: |$this, _lab| {
                        $(let $lab = _lab;)?
                        let value: $out = $body;
                        Ok(crate::bindings::args::Out::out(value))
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

/// Registers everything with `engine` and returns what there is.
pub fn register(engine: &mut Engine, lab: &Arc<Lab>) -> Catalog {
    engine.set_default_tag(Dynamic::from(Place::of(lab.root())));
    let mut catalog = Catalog::default();
    engine.register_type_with_name::<Place>("Place");
    for family in FAMILIES {
        for register in family.types {
            catalog.types.push(register(engine, lab));
        }
        for binding in family.bindings {
            register_function(engine, lab, binding);
            catalog.functions.push(Function {
                name: binding.name.into(),
                family: family.name.into(),
                doc: crate::catalog::unindent(binding.doc),
                parameters: binding.parameters.to_vec(),
                returns: binding.returns.into(),
            });
        }
    }
    register_same(engine, NetNs::is);
    register_same(engine, Link::is);
    register_same(engine, Process::is);
    script::override_sleep(engine, lab);
    catalog
}

fn register_function(engine: &mut Engine, lab: &Arc<Lab>, binding: &'static Binding) {
    let needed = binding.parameters.iter().filter(|p| !p.optional).count();
    let most: usize = binding.parameters.iter().map(|p| p.most).sum();
    for count in needed..=most {
        let lab = lab.clone();
        // Every argument is taken as it comes: which it is, the parameter's type decides, and says so if it cannot.
        engine.register_raw_fn(binding.name, vec![TypeId::of::<Dynamic>(); count], move |cx, args| {
            let mut call = Call::new(&lab, &cx, binding, args);
            if let Some(explain) = lab.explaining() {
                call.twin().into_iter().for_each(|twin| explain(&twin));
            }
            (binding.call)(&mut call).map_err(|error| call.into_rhai(&error))
        });
    }
}

/// Registers a type with its name, print, and properties.
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
            let value = read::<T>(args[0]);
            (getter.get)(&value, &lab).map_err(|error| to_rhai(&error, &cx))
        });
        properties.push(Property {
            name: getter.name.into(),
            doc: crate::catalog::unindent(getter.doc),
            returns: getter.returns.into(),
        });
    }
    Type { name: T::NAME.into(), doc: T::DOC.into(), properties, element: None, columns: &[] }
}

/// Handles are equal if they mean the same thing, not if they are the same copy.
fn register_same<T: Value>(engine: &mut Engine, same: fn(&T, &T) -> bool) {
    engine.register_fn("==", move |a: T, b: T| same(&a, &b));
    engine.register_fn("!=", move |a: T, b: T| !same(&a, &b));
}

/// The value behind an argument whose type the engine has checked.
fn read<T: Clone + 'static>(arg: &mut Dynamic) -> T {
    arg.read_lock::<T>().expect("the engine calls a getter with its own type").clone()
}
