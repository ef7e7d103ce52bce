//! `veth`: its two ends as script values, and the function that creates it.

use std::fmt;

use crate::bindings::core::prelude::*;
use crate::bindings::core::register::Family;
use crate::catalog::Changes;
use crate::error::Result;
use crate::lab::host::Guard;
use crate::lab::{Link, NetNs, Place};
use crate::name::IfName;

pub(super) const FAMILY: Family =
    Family { name: super::FAMILY, types: &[register_type::<Veth>], bindings: BINDINGS };

/// Both ends of a veth pair.
#[derive(Clone)]
pub(crate) struct Veth {
    a: Link,
    b: Link,
}

impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} <-> {:?}", self.a, self.b)
    }
}

value! { Veth, "Veth", "A virtual cable: what one end sends, the other receives.";
    /// The first end.
    a: Link = |veth| veth.a.clone();
    /// The second end.
    b: Link = |veth| veth.b.clone();
}

/// One end of a veth pair to be created: a name, after an optional namespace.
pub(crate) struct End {
    ns: NetNs,
    name: IfName,
}

impl Arg for End {
    const TYPE: &'static str = "string";
    const MAX_ARGS: usize = 2;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let here = Here::take(call, name)?;
        let Some(text) = call.take_text() else {
            return Err(call
                .wrong(name, "a name")
                .only_hint("each end is a name, or a namespace and a name: `veth(ns1, \"eth0\", ns2, \"eth0\")`"));
        };
        Ok(Self { ns: here.net().clone(), name: IfName::new(&text)? })
    }
    /// Its name. The call works where the first end is; `NS` is where the second one is, if that is elsewhere.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self.name.as_str());
        if values.place().is_some_and(|place| !place.net.is(&self.ns)) {
            values.put("ns", values.destination(&self.ns));
        }
        values.work_at(&Place::of(&self.ns));
    }
}

bindings! {
    /// Creates a virtual cable and returns its two ends, both DOWN.
    ///
    /// Like `ip link add name A type veth peer name B [netns NS]`. Each name may follow its namespace: then both ends
    /// are where they belong from the start, which is much faster than moving them.
    ///
    /// ```rhai
    /// let cable = veth("veth0", "veth1");                  // both here
    /// let ns1 = netns("netns1");
    /// let ns2 = netns("netns2");
    /// let across = veth(ns1, "eth0", ns2, "eth0");         // one in each
    /// check cable.a.peer == cable.b;
    /// check across.b.ns == ns2;
    /// ```
    #[changes = Changes::Unguarded("creates links of its own")]
    #[needs = "veth"]
    fn veth(guard: Guard, a: End, b: End) -> Veth {
        let (a, b) = Link::create_veth(&guard, (&a.ns, a.name.clone()), (&b.ns, b.name.clone()))?;
        Ok(Veth { a, b })
    }
}
