//! `veth`: two connected links, a cable in software (veth(4), `drivers/net/veth.c`).

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::link::{InfoData, InfoVeth};
use rtnetlink::LinkUnspec;

use super::{Below, LinkKind, NewLink};
use crate::name::IfName;
use crate::net::Net;

/// The definition.
pub(crate) const KIND: LinkKind =
    LinkKind { name: "veth", config: "VETH", adds_devices: None, below: Below::Peer, doc: None };

/// A pair whose first end is in the namespace that creates it and whose second end is in `peer_net`.
///
/// Like `ip link add name NAME type veth peer name PEER netns …`: one message places both ends, so that nothing is
/// moved, which would cost the kernel 17–40 ms an end. `near` is the namespace that creates it.
pub(crate) fn new(name: &IfName, near: &Net, peer: &IfName, peer_net: &Net) -> NewLink {
    let mut far = LinkUnspec::new_with_name(peer.as_str());
    if !near.handle().is(peer_net.handle()) {
        far = far.setns_by_fd(peer_net.handle().as_fd().as_raw_fd());
    }
    NewLink {
        data: Some(InfoData::Veth(InfoVeth::Peer(far.build()))),
        with: format!(" with peer `{peer}`"),
        ..NewLink::plain(&KIND, name.clone())
    }
}
