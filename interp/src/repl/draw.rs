//! Draws the lab as text: namespaces, their links, where each cable ends, addresses, states.

use std::fmt::Write;

use stdlib::net::link::LinkInfo;

use super::topology::Node;

/// The nodes as lines of text. Ports stand below their bridge.
#[must_use]
pub fn draw(nodes: &[Node]) -> String {
    let mut text = String::new();
    for (at, node) in nodes.iter().enumerate() {
        let _ = writeln!(text, "{}", node.name);
        let roots = node.links.iter().filter(|link| link.master.is_none());
        let shown: Vec<&LinkInfo> = roots
            .flat_map(|link| [link].into_iter().chain(node.links.iter().filter(|port| port.master == Some(link.index))))
            .collect();
        let width = shown.iter().map(|link| link.name.chars().count()).max().unwrap_or(0) + 3;
        for link in shown {
            let indent = if link.master.is_some() { "└ " } else { "" };
            let name = format!("{indent}{}", link.name);
            let addrs: Vec<String> =
                node.addrs.iter().filter(|a| a.index == link.index).map(|a| a.net.to_string()).collect();
            let mut line = format!("  {name:<width$} {:<14} {}", link.state, addrs.join(" "));
            if let Some(end) = far_end(nodes, at, link) {
                let _ = write!(line, "{}── {end}", if addrs.is_empty() { "" } else { " " });
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// `node:link` at the far end of a cable.
fn far_end(nodes: &[Node], at: usize, link: &LinkInfo) -> Option<String> {
    let index = link.peer_index?;
    let node = &nodes[at];
    let there = match link.netnsid {
        None => node,
        Some(_) => {
            let position = node.links.iter().position(|known| known.index == link.index)?;
            match node.peers.get(position).copied().flatten() {
                Some(peer) => &nodes[peer],
                None => return Some(format!("?:{index} (a namespace without a name)")),
            }
        }
    };
    let peer = there.links.iter().find(|known| known.index == index)?;
    Some(format!("{}:{}", there.name, peer.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, state: &'static str) -> LinkInfo {
        LinkInfo {
            index,
            name: name.into(),
            flags: Vec::new(),
            mtu: 1500,
            state,
            qdisc: String::new(),
            master: None,
            mac: String::new(),
            broadcast: String::new(),
            layer: String::new(),
            kind: String::new(),
            peer_index: None,
            lower_index: None,
            netnsid: None,
            txqlen: 0,
            group: 0,
            alias: None,
        }
    }

    /// `h1:eth0 <-> sw:port1 (br0)`, and a cable to an unknown namespace.
    #[test]
    fn ports_stand_below_their_bridge_and_cables_name_their_far_end() {
        let port = LinkInfo { master: Some(2), peer_index: Some(2), netnsid: Some(0), ..link(3, "port1", "UP") };
        let lost = LinkInfo { peer_index: Some(9), netnsid: Some(7), ..link(4, "lost", "LOWERLAYERDOWN") };
        let switch = Node {
            name: "sw".into(),
            links: vec![link(2, "br0", "UP"), port, lost],
            addrs: Vec::new(),
            peers: vec![None, Some(1), None],
        };
        let host = Node {
            name: "h1".into(),
            links: vec![LinkInfo { peer_index: Some(3), netnsid: Some(0), ..link(2, "eth0", "UP") }],
            addrs: Vec::new(),
            peers: vec![Some(0)],
        };
        let drawn = draw(&[switch, host]);
        assert_eq!(
            drawn,
            "sw\n  br0      UP\n  └ port1  UP             ── h1:eth0\n  lost     LOWERLAYERDOWN ── ?:9 (a namespace without a name)\n\
             h1\n  eth0    UP             ── sw:port1"
        );
    }
}
