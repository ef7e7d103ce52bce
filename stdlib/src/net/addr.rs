//! Addresses of links.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope};
use nix::errno::Errno;

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::Result;

/// One address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrInfo {
    /// Index of the link.
    pub index: u32,
    /// Address and prefix length.
    pub net: IpNet,
    /// Broadcast address (IPv4).
    pub broadcast: Option<IpAddr>,
    /// `global`, `link`, `host`.
    pub scope: String,
    /// The label of an IPv4 address: the link's name unless another was chosen.
    pub label: Option<String>,
    /// Duplicate address detection is off for it.
    pub nodad: bool,
    /// Duplicate address detection is still under way.
    pub tentative: bool,
}

impl Net {
    /// The addresses of one link, or of all.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addrs(&self, index: Option<u32>) -> Result<Vec<AddrInfo>> {
        let mut message = AddressMessage::default();
        message.header.index = index.unwrap_or(0);
        let replies =
            self.request(RouteNetlinkMessage::GetAddress(message), Query::Dump, || "list addresses".into())?;
        let all = replies.iter().filter_map(|reply| match reply {
            RouteNetlinkMessage::NewAddress(message) => decode(message),
            _ => None,
        });
        // Kernels without strict checking ignore the filter.
        Ok(all.filter(|addr| index.is_none_or(|index| addr.index == index)).collect())
    }

    /// Adds an address. Like `ip addr add NET dev NAME`; an IPv6 address is usable at once (`nodad`), unless `dad`.
    pub(crate) fn add_addr(&self, permit: &impl Permit, index: u32, name: &str, net: IpNet, dad: bool) -> Result<()> {
        let mut message = address(index, net);
        match net {
            IpNet::V4(v4) if v4.prefix_len() <= 30 => {
                message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
            }
            IpNet::V6(_) if !dad => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
            _ => {}
        }
        let op = || format!("add address `{net}` to link `{name}`");
        self.change(permit, RouteNetlinkMessage::NewAddress(message), Write::Create, op).map_err(|error| {
            match error.errno {
                Some(Errno::EEXIST) => error.hint(format!("`{name}` has this address already")),
                Some(Errno::EADDRNOTAVAIL) => {
                    error.hint("a multicast or unspecified address cannot be assigned to a link")
                }
                Some(Errno::EACCES) => error.hint("IPv6 is switched off on this link (net.ipv6.conf.*.disable_ipv6)"),
                _ => error,
            }
        })
    }

    /// Removes an address. Like `ip addr del NET dev NAME`.
    pub(crate) fn delete_addr(&self, permit: &impl Permit, index: u32, name: &str, net: IpNet) -> Result<()> {
        let op = || format!("delete address `{net}` from link `{name}`");
        self.change(permit, RouteNetlinkMessage::DelAddress(address(index, net)), Write::Do, op).map_err(|error| {
            match error.errno {
                Some(Errno::EADDRNOTAVAIL) => error.hint(format!("`{name}` has no such address: see its `addrs`")),
                _ => error,
            }
        })
    }
}

fn address(index: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = net.prefix_len();
    message.header.family = if net.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    if net.addr().is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    message.attributes.push(AddressAttribute::Local(net.addr()));
    message.attributes.push(AddressAttribute::Address(net.addr()));
    message
}

fn decode(message: &AddressMessage) -> Option<AddrInfo> {
    let (mut local, mut peer, mut broadcast, mut label) = (None, None, None, None);
    let mut tentative = message.header.flags.contains(AddressHeaderFlags::Tentative);
    let mut nodad = message.header.flags.contains(AddressHeaderFlags::Nodad);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(addr) => local = Some(*addr),
            AddressAttribute::Address(addr) => peer = Some(*addr),
            AddressAttribute::Broadcast(addr) => broadcast = Some(IpAddr::V4(*addr)),
            AddressAttribute::Label(name) => label = Some(name.clone()),
            AddressAttribute::Flags(flags) => {
                tentative = flags.contains(AddressFlags::Tentative);
                nodad = flags.contains(AddressFlags::Nodad);
            }
            _ => {}
        }
    }
    // IFA_ADDRESS is the far end of a point-to-point link; the link's own address is IFA_LOCAL, which IPv6 leaves out.
    let net = IpNet::new(local.or(peer)?, message.header.prefix_len).ok()?;
    let scope = format!("{:?}", message.header.scope).to_lowercase();
    let scope = if scope == "universe" { "global".to_owned() } else { scope };
    Some(AddrInfo { index: message.header.index, net, broadcast, scope, label, nodad, tentative })
}
