//! The topology of a lab as a value: its namespaces, their links and addresses, and what each link is connected to.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::netns::Origin;
use super::{Lab, NetNs};
use crate::error::{Kind, Result};
use crate::exec::handle::NsKind;
use crate::net::Net;
use crate::net::addr::AddrInfo;
use crate::net::link::LinkInfo;
use crate::ns::holders::{self, Holder};

/// The namespaces of a lab and how they are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The lab root, then the named namespaces, then those without a name.
    pub nodes: Vec<Node>,
}

/// A namespace with its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its short name.
    pub name: String,
    /// Its links, by index.
    pub links: Vec<NodeLink>,
    /// What keeps it alive, for a namespace that has neither a name nor an open handle: one that was deleted while a
    /// process was in it.
    pub holders: Vec<Holder>,
}

/// A link of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLink {
    /// What the kernel reports about it.
    pub info: LinkInfo,
    /// Its addresses.
    pub addrs: Vec<AddrInfo>,
    /// The other end of a veth pair.
    pub peer: Option<End>,
    /// The link below a macvlan, a VLAN …
    pub lower: Option<End>,
}

/// The link that another link is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The index of its node in the topology; none if its namespace is not part of the topology.
    pub node: Option<usize>,
    /// Its interface index.
    pub index: u32,
}

impl Topology {
    /// Reads the topology of a lab: every namespace with a name or an open handle, and in a private lab every other one
    /// that a process is in.
    ///
    /// # Errors
    /// What the kernel reports, but for namespaces that are deleted meanwhile: they are left out.
    pub fn of(lab: &Lab) -> Result<Self> {
        let mut spaces: Vec<_> = lab.all()?.into_iter().map(|ns| (ns, Vec::new())).collect();
        spaces.extend(lab.nameless()?);
        let (mut nodes, mut nets) = (Vec::new(), Vec::new());
        for (ns, holders) in spaces {
            match read(&ns, holders) {
                Ok((node, net)) => {
                    nodes.push(node);
                    nets.push(net);
                }
                Err(error) if error.kind == Kind::Gone => {}
                Err(error) => return Err(error),
            }
        }
        let failed = OnceCell::new();
        connect(&mut nodes, |viewer, other| {
            nets[viewer].id_of(&nets[other]).unwrap_or_else(|error| {
                let _ = failed.set(error);
                None
            })
        });
        failed.into_inner().map_or(Ok(Self { nodes }), Err)
    }

    /// The node and the link at `end`, if the topology has them.
    #[must_use]
    pub fn link(&self, end: End) -> Option<(&Node, &NodeLink)> {
        let node = self.nodes.get(end.node?)?;
        Some((node, node.links.iter().find(|link| link.info.index == end.index)?))
    }
}

impl Lab {
    /// The namespaces that a process is in and that have neither a name nor a handle, with what keeps them alive: such
    /// as one that was deleted while a program was in it. On the machine itself none: they are not the session's.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn nameless(&self) -> Result<Vec<(NetNs, Vec<Holder>)>> {
        if !self.is_private() {
            return Ok(Vec::new());
        }
        let mut seen: BTreeSet<u64> = self.all()?.iter().map(|ns| ns.inode().ino).collect();
        let mut spaces = Vec::new();
        for pid in crate::ns::pids()? {
            let Some(inode) = crate::ns::inode(pid, NsKind::Net)? else { continue };
            if !seen.insert(inode) {
                continue;
            }
            let handle = match crate::ns::open(pid, NsKind::Net) {
                Ok(handle) => handle,
                // The process has ended meanwhile, or is another user's.
                Err(error) if matches!(error.kind, Kind::NotFound | Kind::Permission) => continue,
                Err(error) => return Err(error),
            };
            let mut holders = holders::of(handle.inode(), handle.unique_id())?;
            holders.retain(|holder| holder.pid != std::process::id()); // the handle itself
            let label = super::netns::label(None, &handle);
            let net = Net::new(self.exec().clone(), handle, label, None);
            spaces.push((NetNs::new(None, net, Origin::Found), holders));
        }
        Ok(spaces)
    }
}

/// Reads the links and addresses of a namespace. Their ends are not connected yet.
fn read(ns: &NetNs, holders: Vec<Holder>) -> Result<(Node, Arc<Net>)> {
    let net = ns.net()?;
    let addrs = net.addrs(None)?;
    let links = net.links()?.into_iter().map(|info| {
        let addrs = addrs.iter().filter(|addr| addr.index == info.index).cloned().collect();
        NodeLink { info, addrs, peer: None, lower: None }
    });
    Ok((Node { name: ns.short(), links: links.collect(), holders }, net))
}

/// Sets what each link is connected to. `id_of(viewer, other)` is the id by which the namespace of node `viewer` knows
/// that of node `other`.
fn connect(nodes: &mut [Node], id_of: impl Fn(usize, usize) -> Option<i32>) {
    // A cable is found by the indices of both of its ends, before all namespaces are asked for their ids.
    let mut cables: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for link in &node.links {
            if let Some(peer) = link.info.peer_index {
                cables.entry((link.info.index, peer)).or_default().push(at);
            }
        }
    }
    let count = nodes.len();
    for (at, node) in nodes.iter_mut().enumerate() {
        let mut ids: HashMap<usize, Option<i32>> = HashMap::new();
        for link in &mut node.links {
            let info = &link.info;
            let mut end = |index: u32| {
                let node = match info.netnsid {
                    None => Some(at),
                    Some(id) => {
                        let likely = cables.get(&(index, info.index)).into_iter().flatten().copied();
                        let mut all = likely.chain(0..count);
                        all.find(|&other| *ids.entry(other).or_insert_with(|| id_of(at, other)) == Some(id))
                    }
                };
                End { node, index }
            };
            link.peer = info.peer_index.map(&mut end);
            link.lower = info.lower_index.filter(|index| *index != 0).map(&mut end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with a peer or a link below it, whose namespace has the id `netnsid`.
    fn link(index: u32, [peer_index, lower_index]: [Option<u32>; 2], netnsid: Option<i32>) -> NodeLink {
        let info = LinkInfo {
            index,
            name: format!("eth{index}"),
            mtu: 1500,
            state: "UP",
            peer_index,
            lower_index,
            netnsid,
            ..LinkInfo::default()
        };
        NodeLink { info, addrs: Vec::new(), peer: None, lower: None }
    }

    fn node(name: &str, links: Vec<NodeLink>) -> Node {
        Node { name: name.into(), links, holders: Vec::new() }
    }

    /// A star `h1 -- sw -- h2`, in which all hosts have the same indices, and every namespace numbers the others in its
    /// own way.
    #[test]
    fn each_end_of_a_cable_finds_the_other() {
        let mut nodes = vec![
            node("h1", vec![link(2, [Some(11), None], Some(0))]),
            node("sw", vec![link(11, [Some(2), None], Some(5)), link(12, [Some(2), None], Some(6))]),
            node("h2", vec![link(2, [Some(12), None], Some(0))]),
        ];
        connect(&mut nodes, |viewer, other| match (viewer, other) {
            (0 | 2, 1) => Some(0),
            (1, 0) => Some(5),
            (1, 2) => Some(6),
            _ => None,
        });
        let peers: Vec<Vec<_>> = nodes.iter().map(|node| node.links.iter().map(|link| link.peer).collect()).collect();
        let end = |node, index| Some(End { node: Some(node), index });
        assert_eq!(peers, [vec![end(1, 11)], vec![end(0, 2), end(2, 2)], vec![end(1, 12)]]);
        let topology = Topology { nodes };
        let (there, port) = topology.link(peers[0][0].expect("a peer")).expect("a link");
        assert_eq!((there.name.as_str(), port.info.name.as_str()), ("sw", "eth11"));
    }

    #[test]
    fn a_link_below_is_no_peer() {
        let mut nodes = vec![
            node("host", vec![link(2, [None, None], None), link(3, [None, Some(2)], None)]),
            node("ns1", vec![link(4, [None, Some(2)], Some(1)), link(5, [Some(9), None], Some(8))]),
        ];
        connect(&mut nodes, |viewer, other| (viewer != other).then_some(1));
        let (host, ns1) = (&nodes[0].links, &nodes[1].links);
        assert_eq!((host[0].peer, host[0].lower), (None, None));
        assert_eq!((host[1].peer, host[1].lower), (None, Some(End { node: Some(0), index: 2 })));
        assert_eq!((ns1[0].peer, ns1[0].lower), (None, Some(End { node: Some(0), index: 2 })));
        // The namespace with id 8 is not part of the topology.
        assert_eq!((ns1[1].peer, ns1[1].lower), (Some(End { node: None, index: 9 }), None));
        let lost = ns1[1].peer.expect("a peer");
        assert_eq!(Topology { nodes }.link(lost), None);
    }

    #[test]
    fn ids_are_asked_for_once_and_cables_first() {
        let hosts = 100;
        let ports = (0..hosts).map(|host| link(100 + host, [Some(2), None], Some(host.cast_signed())));
        let mut nodes = vec![node("sw", ports.collect())];
        nodes.extend((0..hosts).map(|host| node("h", vec![link(2, [Some(100 + host), None], Some(0))])));
        let asked = std::cell::Cell::new(0);
        connect(&mut nodes, |viewer, other| {
            asked.set(asked.get() + 1);
            if viewer == 0 { i32::try_from(other).ok()?.checked_sub(1) } else { (other == 0).then_some(0) }
        });
        assert!(nodes.iter().flat_map(|node| &node.links).all(|link| link.peer.is_some_and(|end| end.node.is_some())));
        assert_eq!(asked.get(), 2 * hosts);
    }
}
