//! The machinery of the bindings, apart from the families: definitions, arguments, values, lists, errors.

pub(crate) mod args;
pub(crate) mod call;
mod define;
pub(crate) mod equivalent;
pub(crate) mod handles;
pub(crate) mod list;
pub(crate) mod options;
pub(crate) mod register;
pub mod script_error;
pub(crate) mod value;
pub(crate) mod written;

/// What a family file uses.
pub(crate) mod prelude {
    pub(crate) use super::args::Arg;
    pub(crate) use super::call::Call;
    pub(crate) use super::define::bindings;
    pub(crate) use super::equivalent::Values;
    pub(crate) use super::handles::Here;
    pub(crate) use super::list::{List, Listed, register_list};
    pub(crate) use super::options::{FromOptions, Options, Opts};
    pub(crate) use super::value::{Out, register_type, value};
}
