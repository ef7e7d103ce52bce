//! The kinds of link, one file each: what the kernel calls it, what is below it, what creating it takes.

use netlink_packet_route::link::InfoData;

use crate::name::IfName;

/// A kind of link.
#[derive(Debug)]
pub struct LinkKind {
    /// Its name, as `ip link add … type NAME` has it. It is also its function in scripts.
    pub name: &'static str,
    /// The kernel option that it comes with, without `CONFIG_`.
    pub config: &'static str,
    /// Its module, if loading it adds devices outside of the namespace: then `doctor` does not try it unasked.
    pub adds_devices: Option<&'static str>,
    /// What is at its other side.
    pub below: Below,
    /// The text of its function, if it has no parameters but its name.
    pub doc: Option<&'static str>,
}

/// What a link is connected to by its nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// Nothing.
    Nothing,
    /// The other end of a pair.
    Peer,
    /// A link whose packets it uses: `m0@eth0`.
    Lower,
}

impl LinkKind {
    /// What an error says if the kernel does not have it.
    #[must_use]
    pub fn missing(&self) -> String {
        format!("the kernel lacks {} (CONFIG_{})", self.name, self.config)
    }
}

/// A link to be created.
pub(crate) struct NewLink {
    /// Its kind.
    pub kind: &'static LinkKind,
    /// Its name.
    pub name: IfName,
    /// Index of the link below.
    pub lower: Option<u32>,
    /// What the kind has besides: modes, ids, the peer.
    pub data: Option<InfoData>,
    /// What an error adds to the operation: `` with peer `b` ``.
    pub with: String,
}

impl NewLink {
    /// A link of a kind that has no parameters.
    pub(crate) fn plain(kind: &'static LinkKind, name: IfName) -> Self {
        Self { kind, name, lower: None, data: None, with: String::new() }
    }
}

/// Declares the modules and lists their definitions.
macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        $(pub(crate) mod $name;)*
        /// Every kind that has a file.
        pub const ALL: &[&LinkKind] = &[$(&$name::KIND),*];
    };
}

kinds! {
    bridge,
    ifb,
    macvlan,
    veth,
}

/// Whether links of the kind come in pairs. The kernel has more such kinds than this library creates.
pub(super) fn has_peer(kind: &str) -> bool {
    matches!(kind, "netkit" | "vxcan") || ALL.iter().any(|known| known.name == kind && known.below == Below::Peer)
}
