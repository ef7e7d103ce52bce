//! `macvlan`: the function that creates one, with its modes.

use crate::bindings::core::prelude::*;
use crate::bindings::core::register::Family;
use crate::catalog::{Changes, Key};
use crate::error::Result;
use crate::lab::Link;
use crate::lab::host::Guard;
use crate::name::IfName;
use crate::net::link::kinds::macvlan::{self, Mode};

pub(super) const FAMILY: Family = Family { name: super::FAMILY, types: &[], bindings: BINDINGS };

/// The options of a macvlan.
pub(crate) struct MacvlanOptions {
    mode: Mode,
}

impl FromOptions for MacvlanOptions {
    const KEYS: &'static [Key] =
        &[Key::new("mode", "\"bridge\" (the default), \"private\", \"vepa\", \"passthru\" or \"source\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { mode: options.word("mode", &Mode::WORDS)?.unwrap_or(Mode::Bridge) })
    }
    fn fill(&self, values: &mut Values<'_>) {
        let word = Mode::WORDS.iter().find(|(_, mode)| *mode == self.mode).map(|(word, _)| word);
        values.set_some("mode", word);
    }
}

bindings! {
    /// Creates a macvlan called `name` on the link `lower` and returns it: a link with a MAC address of its own.
    ///
    /// Like `ip link add name NAME link LOWER type macvlan mode MODE`. It starts DOWN, in the namespace of `lower`;
    /// `move_to` gives it to another one. In mode `bridge` the macvlans of one link reach each other, but not the link
    /// below.
    ///
    /// ```rhai
    /// let lower = veth("veth0", "veth1").a;
    /// let m = macvlan(lower, "m0");
    /// check m.kind == "macvlan" && m.lower == lower;
    /// check m.peer == ();
    /// ```
    #[changes = Changes::Guarded(r#"macvlan("eth0", "m0")"#)]
    #[needs = "macvlan"]
    fn macvlan(guard: Guard, lower: Link, name: IfName, opts: Opts<MacvlanOptions>) -> Link {
        Link::create_on(&guard, &lower, macvlan::new(name.clone(), opts.0.mode))
    }
}
