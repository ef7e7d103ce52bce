//! Functions that create links, one for each kind. A kind without parameters gets its function from its definition.

use std::sync::LazyLock;

use crate::bindings::core::args::parameter;
use crate::bindings::core::call::{Binding, Call, Failure};
use crate::bindings::core::prelude::*;
use crate::bindings::core::register::Family;
use crate::catalog::{Changes, Parameter};
use crate::error::{Error, Kind};
use crate::lab::Link;
use crate::lab::host::Guard;
use crate::name::IfName;
use crate::net::link::kinds::{self, NewLink};

/// Declares the modules of the kinds with parameters and lists their families.
macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// The families of all kinds.
        pub(in crate::bindings) fn families() -> Vec<Family> {
            vec![$($name::FAMILY,)* plain()]
        }
    };
}

kinds! {
    macvlan,
    veth,
}

/// The name of their family.
pub(super) const FAMILY: &str = "kinds of link";

const PARAMETERS: [Parameter; 3] = [parameter::<Guard>("guard"), parameter::<Here>("ns"), parameter::<IfName>("name")];

/// The functions of the kinds that have no parameters but a name.
static PLAIN: LazyLock<Vec<Binding>> = LazyLock::new(|| {
    let plain = kinds::ALL.iter().filter_map(|kind| Some((*kind, kind.doc?)));
    let binding = |(kind, doc): (&'static kinds::LinkKind, &'static str)| Binding {
        name: kind.name,
        doc,
        parameters: &PARAMETERS,
        returns: <Link as Out>::TYPE,
        needs: std::slice::from_ref(&kind.name),
        changes: Changes::Unguarded("creates a link of its own"),
        call: create,
    };
    plain.map(binding).collect()
});

/// The family of the kinds without parameters.
fn plain() -> Family {
    Family { name: FAMILY, types: &[], bindings: &PLAIN }
}

/// Creates a link of the kind that the called function is named after.
fn create(call: &mut Call<'_>) -> std::result::Result<rhai::Dynamic, Failure> {
    let guard: Guard = call.argument("guard")?;
    let ns: Here = call.argument("ns")?;
    let name: IfName = call.argument("name")?;
    call.finish()?;
    let kind = kinds::ALL.iter().find(|kind| kind.name == call.name());
    let kind = kind.ok_or_else(|| Error::plain(Kind::Bug, format!("no kind of link is called `{}`", call.name())))?;
    Ok(Link::create(&guard, ns.net(), &NewLink::plain(kind, name))?.out())
}
