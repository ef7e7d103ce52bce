//! The chain: routers in a row, and a host at each end.

use std::{io, net::Ipv4Addr, os::fd::AsFd};

use super::{
    Run, Watch,
    node::Node,
    requests::{End, LO, add_address, add_route, add_veth, set_up},
    size_error,
};

const LEFT: End<'_> = End { name: "left", index: 10 };
const RIGHT: End<'_> = End { name: "right", index: 11 };

/// The limit of routers: the TTL of a packet is 255 at most.
const MOST: u32 = 250;
/// From this many routers on the end hosts need a higher TTL than the default of 64.
const FAR: u32 = 60;

/// `n` routers in a row with a host at each end, at most 250. The `n + 2` nodes are numbered from the first host (0) to
/// the last (n + 1), and link `k` joins node `k` and node `k + 1` by the network 10.0.0.0 + 4k, prefix 30, whose first
/// address is at the left. In this order:
///
/// 1. all nodes: a namespace each, with `net.ipv4.ip_forward = 1` if it is a router (and with
///    `net.ipv4.ip_default_ttl = 255` in the two hosts if there are 60 routers or more);
/// 2. for each link: a cable from `right` (in the node at its left, up) to `left` (in the node at its right), in one
///    message;
/// 3. for each node: `lo` up; the address of `right`, if it has one; the address of `left`, if it has one; `left` up;
/// 4. for each node: a default route via the neighbour at the right (in the last host: at the left); in each router but
///    the first, also a route to the network of link 0 via the neighbour at the left;
/// 5. for each link: wait until its `right` runs;
/// 6. probe: the first host pings the last one, once;
/// 7. delete: every descriptor is closed. The links go with the namespaces.
pub(crate) fn chain(n: u32) -> io::Result<Run> {
    if n > MOST {
        return Err(size_error("a packet does not pass more than 250 routers"));
    }
    let mut watch = Watch::start();
    let last = n + 1;
    let mut nodes = (0..=last).map(|i| Node::new(sysctls(i, last))).collect::<io::Result<Vec<_>>>()?;
    for i in 1..nodes.len() {
        if let [left, right] = &mut nodes[i - 1..=i] {
            left.netlink.acknowledged(add_veth(RIGHT, None, LEFT, right.as_fd()))?;
        }
    }
    for (i, node) in (0..).zip(&mut nodes) {
        node.netlink.acknowledged(set_up(LO))?;
        if i < last {
            node.netlink.acknowledged(add_address(RIGHT.index, left_of(i), 30))?;
        }
        if i > 0 {
            node.netlink.acknowledged(add_address(LEFT.index, right_of(i - 1), 30))?;
            node.netlink.acknowledged(set_up(LEFT.index))?;
        }
    }
    for (i, node) in (0..).zip(&mut nodes) {
        let default = if i < last { right_of(i) } else { left_of(i - 1) };
        node.netlink.acknowledged(add_route(Ipv4Addr::UNSPECIFIED, 0, default))?;
        if i > 1 && i < last {
            node.netlink.acknowledged(add_route(network(0), 30, left_of(i - 1)))?;
        }
    }
    for node in &mut nodes[..=n as usize] {
        node.netlink.wait_running(RIGHT.index)?;
    }
    let build = watch.lap();

    let received = match nodes.first_mut() {
        Some(host) => u32::from(host.pinger.ping(right_of(n))?),
        None => 0,
    };
    let probe = watch.lap();

    drop(nodes);
    Ok(Run { build, probe, delete: watch.lap(), sent: 1, received })
}

fn sysctls(i: u32, last: u32) -> &'static [(&'static str, &'static str)] {
    match i {
        _ if i > 0 && i < last => &[("ipv4/ip_forward", "1")],
        _ if last > FAR => &[("ipv4/ip_default_ttl", "255")],
        _ => &[],
    }
}

fn network(link: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + 4 * link)
}

fn left_of(link: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(network(link).to_bits() + 1)
}

fn right_of(link: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(network(link).to_bits() + 2)
}
