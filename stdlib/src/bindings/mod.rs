//! The script side: one file a family, and in it each function once, with its documentation and example.
//!
//! The `bindings!` macro makes a definition of a documented Rust function: name, parameters, result, text. Help,
//! completion, reference and tests are computed from it. The types of its parameters convert the arguments, so a
//! misuse gets the same kind of error everywhere. The machinery is in [`core`].

use std::sync::Arc;

use rhai::Engine;

use crate::catalog::Catalog;
use crate::lab::{Lab, Link, NetNs, Process};
use core::register::Family;
use core::value::register_equality;

mod addr;
pub mod core;
mod deletion;
mod file;
mod firewall;
mod link;
mod namespace;
mod netns;
mod netns_files;
mod probe;
mod process;
mod ready;
mod route;
mod script;
mod sysctl;

pub use core::call::RhaiResultOf;
pub use core::list::List;
pub use core::script_error::{self, ScriptError};

/// Registers everything with `engine` and returns what there is.
pub fn register(engine: &mut Engine, lab: &Arc<Lab>) -> Catalog {
    let catalog = core::register::register(engine, lab, &families());
    register_equality(engine, NetNs::is);
    register_equality(engine, Link::is);
    register_equality(engine, Process::is);
    script::override_sleep(engine, lab);
    catalog
}

/// Every family, in the order of the reference.
fn families() -> Vec<Family> {
    let mut families: Vec<Family> = vec![netns::FAMILY, deletion::FAMILY, link::FAMILY];
    families.extend(link::kinds::families());
    families.extend([
        addr::FAMILY,
        route::FAMILY,
        probe::FAMILY,
        firewall::FAMILY,
        process::FAMILY,
        ready::FAMILY,
        file::FAMILY,
        namespace::FAMILY,
        sysctl::FAMILY,
        script::FAMILY,
    ]);
    families
}
