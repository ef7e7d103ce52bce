//! `macvlan`: a link with a MAC address of its own on top of another (`drivers/net/macvlan.c`, ip-link(8)).

use netlink_packet_route::link::{InfoData, InfoMacVlan, MacVlanMode};

use super::{Below, LinkKind, NewLink};
use crate::name::IfName;

/// The definition.
pub(crate) const KIND: LinkKind =
    LinkKind { name: "macvlan", config: "MACVLAN", adds_devices: None, below: Below::Lower, doc: None };

/// Whom it may talk to on the same lower link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No other macvlan.
    Private,
    /// Others by way of a switch that sends packets back.
    Vepa,
    /// Others, directly.
    Bridge,
    /// It is alone and gets the lower link's traffic as it is.
    Passthru,
    /// Only listed source addresses.
    Source,
}

impl Mode {
    /// The words of `ip link add … type macvlan mode WORD`.
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("private", Self::Private),
        ("vepa", Self::Vepa),
        ("bridge", Self::Bridge),
        ("passthru", Self::Passthru),
        ("source", Self::Source),
    ];
}

/// A macvlan of the mode.
pub(crate) fn new(name: IfName, mode: Mode) -> NewLink {
    let mode = match mode {
        Mode::Private => MacVlanMode::Private,
        Mode::Vepa => MacVlanMode::Vepa,
        Mode::Bridge => MacVlanMode::Bridge,
        Mode::Passthru => MacVlanMode::Passthrough,
        Mode::Source => MacVlanMode::Source,
    };
    NewLink { data: Some(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)])), ..NewLink::plain(&KIND, name) }
}
