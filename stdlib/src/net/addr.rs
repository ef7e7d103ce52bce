//! Addresses of links.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use nix::errno::Errno;

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::{Error, Kind, Result};

/// One address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrInfo {
    /// Index of the link.
    pub index: u32,
    /// Address and prefix length. With a peer the prefix length is that of the peer.
    pub net: IpNet,
    /// The far end of a point-to-point link, if it has an address of its own (`ip addr add A peer B`).
    pub peer: Option<IpAddr>,
    /// Broadcast address (IPv4).
    pub broadcast: Option<IpAddr>,
    /// `global`, `link`, `host`.
    pub scope: String,
    /// The label of an IPv4 address: the link's name unless another was chosen.
    pub label: Option<String>,
    /// The flags that `ip addr` shows, in its order.
    pub flags: Vec<&'static str>,
    /// How many seconds it stays; none for ever.
    pub valid_lft: Option<u32>,
    /// For how many seconds new connections use it; none for ever.
    pub preferred_lft: Option<u32>,
}

impl AddrInfo {
    /// Whether it has a flag.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// The address as `ip addr` shows it: `10.0.0.1/24`, or `10.0.0.1 peer 10.0.0.2/32`.
    #[must_use]
    pub fn text(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} peer {peer}/{}", self.net.addr(), self.net.prefix_len()),
            None => self.net.to_string(),
        }
    }
}

/// The flags in the order in which `ip addr` prints them (iproute2, ip/ipaddress.c, `ifa_flag_data`).
const FLAGS: [(AddressFlags, &str); 10] = [
    (AddressFlags::Nodad, "nodad"),
    (AddressFlags::Optimistic, "optimistic"),
    (AddressFlags::Dadfailed, "dadfailed"),
    (AddressFlags::Homeaddress, "home"),
    (AddressFlags::Deprecated, "deprecated"),
    (AddressFlags::Tentative, "tentative"),
    (AddressFlags::Permanent, "permanent"),
    (AddressFlags::Managetempaddr, "mngtmpaddr"),
    (AddressFlags::Noprefixroute, "noprefixroute"),
    (AddressFlags::StablePrivacy, "stable-privacy"),
];

/// The lifetime that never ends.
const FOREVER: u32 = u32::MAX;

/// The longest time that the kernel may take to make a new IPv6 address usable.
const USABLE_WITHIN: Duration = Duration::from_secs(5);

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
        if net.addr().is_ipv6() {
            self.expect_ipv6();
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

    /// Removes an address, its peer included. Like `ip addr del NET dev NAME`.
    pub(crate) fn delete_addr(&self, permit: &impl Permit, index: u32, name: &str, net: IpNet) -> Result<()> {
        let op = || format!("delete address `{net}` from link `{name}`");
        // The kernel compares the peer, too, if one is given (`inet_rtm_deladdr` in net/ipv4/devinet.c).
        let mut message = address(index, net);
        message.attributes.retain(|attribute| matches!(attribute, AddressAttribute::Local(_)));
        let has_peer = |addr: &AddrInfo| addr.peer.is_some() && addr.net.addr() == net.addr();
        if let Some(peer) = self.addrs(Some(index))?.iter().find(|addr| has_peer(addr)).and_then(|addr| addr.peer) {
            message.attributes.push(AddressAttribute::Address(peer));
        }
        self.change(permit, RouteNetlinkMessage::DelAddress(message), Write::Do, op).map_err(|error| {
            match error.errno {
                Some(Errno::EADDRNOTAVAIL) => error.hint(format!("`{name}` has no such address: see its `addrs`")),
                _ => error,
            }
        })
    }
}

impl Net {
    /// Waits until the kernel delivers packets to the IPv6 addresses of a link that is up.
    ///
    /// It acknowledges an address before its local route exists (`addrconf_dad_begin` in `net/ipv6/addrconf.c`), and no
    /// flag shows that; a lookup of the address does.
    pub(crate) fn wait_addresses(&self, index: u32) -> Result<()> {
        if !self.may_have_ipv6.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.index = index;
        let replies =
            self.request(RouteNetlinkMessage::GetAddress(message), Query::Dump, || "list addresses".into())?;
        for reply in &replies {
            let RouteNetlinkMessage::NewAddress(message) = reply else { continue };
            let Some(addr) = decode(message).filter(|addr| addr.index == index) else { continue };
            // Duplicate address detection ends when it ends; a link-local address is the kernel's own.
            if addr.scope == "link" || addr.has("tentative") && !addr.has("nodad") || addr.has("dadfailed") {
                continue;
            }
            let (target, first, longest) = (addr.net.addr(), Duration::from_micros(20), Duration::from_millis(5));
            let local = || Ok(self.is_local(target)?.then_some(()));
            if self.exec().poll_until(USABLE_WITHIN, first, longest, local)?.is_none() {
                return Err(Error::plain(Kind::Timeout, format!("wait for the address `{target}` to be usable"))
                    .within(self.label())
                    .detail("the kernel has no local route to it"));
            }
        }
        Ok(())
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
    let (mut local, mut other, mut broadcast, mut label) = (None, None, None, None);
    let mut bits = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut valid_lft, mut preferred_lft) = (FOREVER, FOREVER);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(addr) => local = Some(*addr),
            AddressAttribute::Address(addr) => other = Some(*addr),
            AddressAttribute::Broadcast(addr) => broadcast = Some(IpAddr::V4(*addr)),
            AddressAttribute::Label(name) => label = Some(name.clone()),
            AddressAttribute::Flags(flags) => bits = *flags,
            AddressAttribute::CacheInfo(info) => (valid_lft, preferred_lft) = (info.ifa_valid, info.ifa_preferred),
            _ => {}
        }
    }
    // IFA_ADDRESS is the far end of a point-to-point link; the link's own address is IFA_LOCAL, which IPv6 leaves out.
    let net = IpNet::new(local.or(other)?, message.header.prefix_len).ok()?;
    let peer = other.filter(|other| local.is_some_and(|local| local != *other));
    let scope = format!("{:?}", message.header.scope).to_lowercase();
    let scope = if scope == "universe" { "global".to_owned() } else { scope };
    let mut flags = Vec::new();
    if bits.contains(AddressFlags::Secondary) {
        flags.push(if net.addr().is_ipv4() { "secondary" } else { "temporary" });
    }
    for (flag, name) in FLAGS {
        match (flag, bits.contains(flag)) {
            // It is shown where it is not set.
            (AddressFlags::Permanent, false) => flags.push("dynamic"),
            (AddressFlags::Permanent, true) | (_, false) => {}
            (_, true) => flags.push(name),
        }
    }
    let finite = |seconds: u32| Some(seconds).filter(|seconds| *seconds != FOREVER);
    let (valid_lft, preferred_lft) = (finite(valid_lft), finite(preferred_lft));
    Some(AddrInfo { index: message.header.index, net, peer, broadcast, scope, label, flags, valid_lft, preferred_lft })
}
