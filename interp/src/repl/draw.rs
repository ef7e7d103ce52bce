//! Draws the topology of a lab as text: namespaces, their links, states, addresses, and what each link is connected to.

use std::fmt::Write;

use stdlib::lab::topology::{End, NodeLink, Topology};
use stdlib::ns::holders::Holder;

/// Draws a topology. Ports stand below their bridge.
#[must_use]
pub fn draw(topology: &Topology) -> String {
    let mut text = String::new();
    for node in &topology.nodes {
        let _ = writeln!(text, "{}{}", node.name, held_by(&node.holders));
        let ports = |of: u32| node.links.iter().filter(move |port| port.info.master == Some(of));
        let roots = node.links.iter().filter(|link| link.info.master.is_none());
        let shown: Vec<&NodeLink> = roots.flat_map(|link| [link].into_iter().chain(ports(link.info.index))).collect();
        let width = shown.iter().map(|link| link.info.name.chars().count()).max().unwrap_or(0) + 3;
        for link in shown {
            let indent = if link.info.master.is_some() { "└ " } else { "" };
            let name = format!("{indent}{}", link.info.name);
            let mut words: Vec<String> = link.addrs.iter().map(|addr| addr.net.to_string()).collect();
            words.extend(link.peer.and_then(|end| end_of(topology, end)).map(|end| format!("── {end}")));
            words.extend(link.lower.and_then(|end| end_of(topology, end)).map(|end| format!("on {end}")));
            let line = format!("  {name:<width$} {:<14} {}", link.info.state, words.join(" "));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// What keeps a namespace alive that has no name.
#[must_use]
pub fn held_by(holders: &[Holder]) -> String {
    match holders {
        [] => String::new(),
        [first] => format!(" (no name: {first})"),
        [first, others @ ..] => format!(" (no name: {first}, and {} more)", others.len()),
    }
}

/// `node:link` at an end.
fn end_of(topology: &Topology, end: End) -> Option<String> {
    if end.node.is_none() {
        return Some(format!("?:{} (a namespace without a name)", end.index));
    }
    topology.link(end).map(|(node, link)| format!("{}:{}", node.name, link.info.name))
}

#[cfg(test)]
mod tests {
    use stdlib::lab::topology::Node;
    use stdlib::net::link::LinkInfo;
    use stdlib::ns::holders::How;

    use super::*;

    fn link(index: u32, name: &str, state: &'static str) -> LinkInfo {
        LinkInfo { index, name: name.into(), mtu: 1500, state, ..LinkInfo::default() }
    }

    fn shown(info: LinkInfo, peer: Option<End>, lower: Option<End>) -> NodeLink {
        NodeLink { info, addrs: Vec::new(), peer, lower }
    }

    fn end(node: usize, index: u32) -> End {
        End { node: Some(node), index }
    }

    fn node(name: &str, links: Vec<NodeLink>) -> Node {
        Node { name: name.into(), links, holders: Vec::new() }
    }

    /// `h1:eth0 <-> sw:port1 (br0)`, and a cable to a namespace that the lab has not.
    #[test]
    fn ports_stand_below_their_bridge_and_cables_end_somewhere() {
        let port = LinkInfo { master: Some(2), ..link(3, "port1", "UP") };
        let lost = Some(End { node: None, index: 9 });
        let switch = vec![
            shown(link(2, "br0", "UP"), None, None),
            shown(port, Some(end(1, 2)), None),
            shown(link(4, "lost", "LOWERLAYERDOWN"), lost, None),
        ];
        let host = vec![shown(link(2, "eth0", "UP"), Some(end(0, 3)), None)];
        let drawn = draw(&Topology { nodes: vec![node("sw", switch), node("h1", host)] });
        assert_eq!(
            drawn,
            "sw\n  br0      UP\n  └ port1  UP             ── h1:eth0\n  lost     LOWERLAYERDOWN ── ?:9 (a namespace without a name)\n\
             h1\n  eth0    UP             ── sw:port1"
        );
    }

    #[test]
    fn a_link_below_is_no_peer() {
        let links = vec![shown(link(2, "eth0", "UP"), None, None), shown(link(3, "m0", "DOWN"), None, Some(end(0, 2)))];
        let drawn = draw(&Topology { nodes: vec![node("host", links)] });
        assert_eq!(drawn, "host\n  eth0    UP\n  m0      DOWN           on host:eth0");
    }

    #[test]
    fn a_namespace_without_a_name_shows_what_holds_it() {
        let holder = |pid| Holder { how: How::Process, pid, command: "sleep".into(), detail: String::new() };
        let mut held = Node { name: "net:[4026532000]".into(), links: Vec::new(), holders: vec![holder(7)] };
        let drawn = |node: &Node| draw(&Topology { nodes: vec![node.clone()] });
        assert_eq!(drawn(&held), "net:[4026532000] (no name: process 7 (sleep) is in it)");
        held.holders.push(holder(8));
        assert_eq!(drawn(&held), "net:[4026532000] (no name: process 7 (sleep) is in it, and 1 more)");
    }
}
