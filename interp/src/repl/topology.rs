//! The topology of a lab: its namespaces, their links and addresses, and the far end of each cable.

use stdlib::Result;
use stdlib::lab::{Lab, NetNs};
use stdlib::net::addr::AddrInfo;
use stdlib::net::link::LinkInfo;

/// A namespace with its links.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its short name.
    pub name: String,
    /// Its links, by index.
    pub links: Vec<LinkInfo>,
    /// Their addresses.
    pub addrs: Vec<AddrInfo>,
    /// For each link with another end elsewhere: the node that has it.
    pub peers: Vec<Option<usize>>,
}

/// Looks at every namespace that the lab knows.
///
/// # Errors
/// The kernel's.
pub fn look(lab: &Lab) -> Result<Vec<Node>> {
    let spaces: Vec<NetNs> = lab.all()?;
    let mut nodes = Vec::with_capacity(spaces.len());
    for ns in &spaces {
        let net = ns.net()?;
        let links = net.links()?;
        let peers = links
            .iter()
            .map(|link| {
                let id = link.netnsid?;
                spaces.iter().position(|other| other.net().is_ok_and(|there| net.knows(&there) == Some(id)))
            })
            .collect();
        nodes.push(Node { name: ns.short(), addrs: net.addrs(None)?, links, peers });
    }
    Ok(nodes)
}
