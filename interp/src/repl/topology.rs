//! The topology of a lab: its namespaces, their links and addresses, and the far end of each cable.

use stdlib::Result;
use stdlib::lab::{Lab, NetNs};
use stdlib::net::addr::AddrInfo;
use stdlib::net::link::LinkInfo;

/// A namespace with its links.
#[derive(Clone, Debug)]
pub struct Node {
    /// The short name.
    pub name: String,
    /// The links, by interface index.
    pub links: Vec<LinkInfo>,
    /// The addresses of the links.
    pub addrs: Vec<AddrInfo>,
    /// For each link whose far end is in another node: that node.
    pub peers: Vec<Option<usize>>,
}

/// Reads the links and addresses of all namespaces of the lab.
///
/// # Errors
/// When the kernel refuses to list them.
pub fn read(lab: &Lab) -> Result<Vec<Node>> {
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
