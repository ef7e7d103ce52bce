//! A parameter's type: how many arguments it takes, and how it converts them.

use std::sync::Arc;

use rhai::{Array, Dynamic, FnPtr, INT};

use super::call::Call;
use super::equivalent::Values;
use crate::catalog::{Key, Names, Parameter};
use crate::error::Result;
use crate::lab::{Lab, Place};

/// A type of parameters. Arguments are registered as `Dynamic`; this converts them and reports a mismatch.
pub(crate) trait Arg: Sized {
    /// Its name in signatures; empty for what the call itself provides.
    const TYPE: &'static str;
    /// Whether it may be left out.
    const OPTIONAL: bool = false;
    /// The keys of an option map.
    const KEYS: &'static [Key] = &[];
    /// The most arguments that it takes.
    const MAX_ARGS: usize = 1;
    /// What a string for it names.
    const NAMES: Names = Names::Nothing;
    /// Whether a function that has such a parameter changes the network.
    const CHANGES: bool = false;
    /// Takes it.
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self>;
    /// Says what stands for it in the equivalent commands of the call.
    fn fill(&self, _name: &str, _values: &mut Values<'_>) {}
}

/// The catalog's description of a parameter called `name`.
pub(crate) const fn parameter<T: Arg>(name: &'static str) -> Parameter {
    Parameter { name, ty: T::TYPE, optional: T::OPTIONAL, keys: T::KEYS, max_args: T::MAX_ARGS, names: T::NAMES }
}

impl Call<'_> {
    /// Takes a parameter's arguments. An error says which argument is at fault: the one that it took last, unless the
    /// parameter says otherwise. A missing argument is none.
    pub(crate) fn argument<T: Arg>(&mut self, name: &str) -> Result<T> {
        let before = self.next();
        let value = T::take(self, name).map_err(|error| match self.next().checked_sub(1) {
            Some(last) if last >= before => error.argument(last),
            _ => error,
        })?;
        if let Some(values) = self.values() {
            value.fill(name, values);
        }
        Ok(value)
    }
}

/// The lab of the call.
impl Arg for Arc<Lab> {
    const TYPE: &'static str = "";
    const OPTIONAL: bool = true;
    const MAX_ARGS: usize = 0;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        Ok(call.lab().clone())
    }
}

/// The current place, whatever the arguments are.
pub(crate) struct Current(pub Place);

impl Arg for Current {
    const TYPE: &'static str = "";
    const OPTIONAL: bool = true;
    const MAX_ARGS: usize = 0;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        Ok(Self(call.here()))
    }
    fn fill(&self, _: &str, values: &mut Values<'_>) {
        values.work_at(&self.0);
    }
}

impl Arg for String {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take_text().ok_or_else(|| call.wrong(name, "a string"))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self);
    }
}

impl Arg for INT {
    const TYPE: &'static str = "int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<INT>().ok_or_else(|| call.wrong(name, "a whole number"))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self);
    }
}

impl Arg for bool {
    const TYPE: &'static str = "bool";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<bool>().ok_or_else(|| call.wrong(name, "true or false"))
    }
}

impl Arg for Dynamic {
    const TYPE: &'static str = "any";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take_any().ok_or_else(|| call.wrong(name, "a value"))
    }
    /// A flag is a number, as most files and commands have it.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        match self.as_bool() {
            Ok(flag) => values.set(name, INT::from(flag)),
            Err(_) => values.set(name, self),
        }
    }
}

impl Arg for Array {
    const TYPE: &'static str = "array";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Array>().ok_or_else(|| call.wrong(name, "an array"))
    }
}

impl Arg for FnPtr {
    const TYPE: &'static str = "closure";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Self>().ok_or_else(|| call.wrong(name, "a closure such as `|| ping(ns1, \"10.1.1.1\").ok`"))
    }
}

/// An argument that may be left out.
impl<T: Arg> Arg for Option<T> {
    const NAMES: Names = T::NAMES;
    const TYPE: &'static str = T::TYPE;
    const OPTIONAL: bool = true;
    const KEYS: &'static [Key] = T::KEYS;
    const MAX_ARGS: usize = T::MAX_ARGS;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        match call.peek() {
            // An option map belongs to a later parameter.
            None => Ok(None),
            Some(value) if value.is_map() && T::KEYS.is_empty() => Ok(None),
            Some(_) => T::take(call, name).map(Some),
        }
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        if let Some(value) = self {
            value.fill(name, values);
        }
    }
}
