//! Nodes around a bridge, for `star` and `matrix`.

use std::{io, net::Ipv4Addr, os::fd::AsFd};

use super::{
    node::Node,
    requests::{End, LO, add_address, add_bridge, add_veth, set_up},
    size_error,
};

/// A bridge holds 1,023 ports.
const MOST: u32 = 1023;
const BRIDGE: End<'_> = End { name: "br0", index: 10 };
const ETH0: End<'_> = End { name: "eth0", index: 10 };
/// Port `i` of the bridge gets the index `FIRST_PORT + i`.
const FIRST_PORT: u32 = 100;

/// Nodes on one bridge. The bridge has a namespace of its own.
pub(super) struct Switch {
    _switch: Node,
    pub(super) nodes: Vec<Node>,
}

impl Switch {
    /// Builds the bridge, and then all nodes: steps 1 to 5 of the workload `star`.
    pub(super) fn build(count: u32) -> io::Result<Self> {
        if count > MOST {
            return Err(size_error("a bridge holds 1,023 ports"));
        }
        let mut switch = Node::new(&[])?;
        switch.netlink.acknowledged(set_up(LO))?;
        switch.netlink.acknowledged(add_bridge(BRIDGE))?;

        let mut nodes = (0..count).map(|_| Node::new(&[])).collect::<io::Result<Vec<_>>>()?;
        for (i, node) in (0..).zip(&nodes) {
            let port = End { name: &format!("port{i}"), index: FIRST_PORT + i };
            switch.netlink.acknowledged(add_veth(port, Some(BRIDGE.index), ETH0, node.as_fd()))?;
        }
        // Not node by node: namespaces and ports are made faster while no link of the bridge runs.
        for (i, node) in (0..).zip(&mut nodes) {
            node.netlink.acknowledged(add_address(ETH0.index, address(i), 16))?;
            node.netlink.acknowledged(set_up(LO))?;
            node.netlink.acknowledged(set_up(ETH0.index))?;
        }
        for i in 0..count {
            switch.netlink.wait_running(FIRST_PORT + i)?;
        }
        Ok(Self { _switch: switch, nodes })
    }
}

/// The address of node `i`: 10.0.0.1, 10.0.0.2 and so on.
pub(super) fn address(i: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + i)
}
