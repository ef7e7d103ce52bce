//! What the kernel reports about an object, brought into the form in which the kernel takes it back: without the flags
//! and attributes that only the kernel sets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{ADDRESS, Message, NEIGHBOUR, NEXTHOP, ROUTE, attributes, word, write_attributes};

pub(super) const INET: u8 = 2; // AF_INET
pub(super) const INET6: u8 = 10; // AF_INET6

/// Attributes of addresses (`linux/if_addr.h`).
mod ifa {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
    pub(super) const CACHEINFO: u16 = 6;
    pub(super) const FLAGS: u16 = 8;
    pub(super) const PROTO: u16 = 11;
    /// `IFA_F_NODAD`, `_HOMEADDRESS`, `_MANAGETEMPADDR`, `_NOPREFIXROUTE`, `_MCAUTOJOIN`. The kernel sets the others:
    /// secondary, tentative, permanent, dadfailed, deprecated, stable-privacy.
    pub(super) const TAKEN: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;
    /// `IFA_F_TEMPORARY` of IPv6, `IFA_F_SECONDARY` of IPv4.
    pub(super) const TEMPORARY: u32 = 0x01;
    /// `IFAPROT_KERNEL_LL`: a link-local address that the kernel made.
    pub(super) const KERNEL_LL: u8 = 3;
}

/// Attributes of routes (`linux/rtnetlink.h`).
mod rta {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const OIF: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const METRICS: u16 = 8;
    pub(super) const MULTIPATH: u16 = 9;
    pub(super) const CACHEINFO: u16 = 12;
    pub(super) const TABLE: u16 = 15;
    pub(super) const VIA: u16 = 18;
    pub(super) const ENCAP_TYPE: u16 = 21;
    pub(super) const ENCAP: u16 = 22;
    pub(super) const EXPIRES: u16 = 23;
    pub(super) const NH_ID: u16 = 30;
    /// `RTNH_F_PERVASIVE` and `RTNH_F_ONLINK`. The kernel sets the others: dead, linkdown, offload, trap, unresolved.
    pub(super) const TAKEN: u8 = 0x02 | 0x04;
    pub(super) const PROTOCOL_KERNEL: u8 = 2;
    pub(super) const TABLE_LOCAL: u32 = 255;
}

/// Attributes of nexthop objects (`linux/nexthop.h`).
mod nha {
    pub(super) const ID: u16 = 1;
    pub(super) const GROUP: u16 = 2;
    pub(super) const OIF: u16 = 5;
    pub(super) const RES_GROUP: u16 = 12;
    /// Id, group and its type, blackhole, link, gateway, encapsulation, fdb, resilient group.
    pub(super) const TAKEN: [u16; 10] = [ID, GROUP, 3, 4, OIF, 6, 7, 8, 11, RES_GROUP];
    /// `NHA_RES_GROUP_UNBALANCED_TIME`: a measurement.
    pub(super) const UNBALANCED_TIME: u16 = 4;
}

/// Attributes of neighbours (`linux/neighbour.h`).
mod nda {
    pub(super) const DST: u16 = 1;
    pub(super) const LLADDR: u16 = 2;
    pub(super) const PROTOCOL: u16 = 12;
    pub(super) const FLAGS_EXT: u16 = 15;
    pub(super) const PERMANENT: u16 = 0x80;
    pub(super) const NOARP: u16 = 0x40;
    pub(super) const PROXY: u8 = 0x08;
    pub(super) const EXT_LEARNED: u8 = 0x10;
    pub(super) const ROUTER: u8 = 0x80;
    /// `NTF_EXT_MANAGED`.
    pub(super) const MANAGED: u32 = 0x01;
}

/// `INFINITY_LIFE_TIME` of addresses.
const FOREVER: u32 = u32::MAX;

/// How many ticks of `rta_cacheinfo` are a second (`USER_HZ`).
const TICKS: u32 = 100;

/// Requests for all objects, in the order in which they depend on each other.
pub(super) fn dumps() -> Vec<Message> {
    let mut proxies = Message::dump(NEIGHBOUR, 0);
    proxies.header[10] = nda::PROXY;
    vec![
        Message::dump(ADDRESS, 0),
        Message::dump(NEXTHOP, 0),
        Message::dump(ROUTE, INET),
        Message::dump(ROUTE, INET6),
        Message::dump(NEIGHBOUR, 0),
        proxies,
    ]
}

impl Message {
    /// The form in which the kernel takes it back; none for what the kernel makes by itself.
    pub(super) fn normal(mut self) -> Option<Self> {
        match self.object() {
            ADDRESS => self.normalise_address()?,
            ROUTE => self.normalise_route()?,
            NEXTHOP => self.normalise_nexthop(),
            _ => self.normalise_neighbour()?,
        }
        Some(self)
    }

    fn normalise_address(&mut self) -> Option<()> {
        let flags = self.number(ifa::FLAGS).unwrap_or_else(|| self.header[2].into());
        if self.family() == INET6 && flags & ifa::TEMPORARY != 0 {
            return None; // the kernel makes a new one for the address that has `mngtmpaddr`
        }
        self.header[2] = 0;
        self.remove(&[ifa::FLAGS]);
        self.attributes.push((ifa::FLAGS, (flags & ifa::TAKEN).to_ne_bytes().into()));
        if self.lifetimes() == Some((FOREVER, FOREVER)) {
            self.remove(&[ifa::CACHEINFO]);
        }
        Some(())
    }

    /// Preferred and valid lifetime of an address, seconds.
    fn lifetimes(&self) -> Option<(u32, u32)> {
        let info = self.attribute(ifa::CACHEINFO).filter(|info| info.len() >= 8)?;
        Some((word(info), word(&info[4..])))
    }

    fn normalise_route(&mut self) -> Option<()> {
        let by_kernel = self.header[5] == rta::PROTOCOL_KERNEL;
        if by_kernel && self.table() == rta::TABLE_LOCAL {
            return None;
        }
        self.set_word(8, self.word(8) & u32::from(rta::TAKEN));
        if self.number(rta::NH_ID).is_some() {
            // The kernel shows what the object stands for, and takes one or the other.
            self.remove(&[rta::OIF, rta::GATEWAY, rta::VIA, rta::MULTIPATH, rta::ENCAP_TYPE, rta::ENCAP]);
        }
        if let Some(hops) = self.attribute_mut(rta::MULTIPATH) {
            each_hop(hops, |hop| hop[2] &= rta::TAKEN);
        }
        // rta_cacheinfo.rta_expires.
        let expires = self.attribute(rta::CACHEINFO).and_then(|info| info.get(8..)).map_or(0, word);
        self.remove(&[rta::CACHEINFO]);
        if expires > 0 {
            self.attributes.push((rta::EXPIRES, (expires / TICKS).to_ne_bytes().into()));
        }
        Some(())
    }

    fn normalise_nexthop(&mut self) {
        self.header[1] = 0; // the kernel computes the scope, and refuses one
        self.set_word(4, self.word(4) & u32::from(rta::TAKEN));
        self.keep_only(&nha::TAKEN);
        if let Some(group) = self.attribute_mut(nha::RES_GROUP) {
            let mut parts = attributes(group).unwrap_or_default();
            parts.retain(|(kind, _)| *kind != nha::UNBALANCED_TIME);
            *group = write_attributes(&parts);
        }
    }

    /// Those that resolution finds again are left out; those that somebody has set stay.
    fn normalise_neighbour(&mut self) -> Option<()> {
        let state = u16::from_ne_bytes([self.header[8], self.header[9]]);
        let flags = self.header[10] & (nda::PROXY | nda::EXT_LEARNED | nda::ROUTER);
        let managed = self.number(nda::FLAGS_EXT).unwrap_or(0) & nda::MANAGED != 0;
        // The kernel has such entries for multicast and broadcast, and on links without resolution.
        let group = self.attribute(nda::LLADDR).is_none_or(|mac| mac.first().is_none_or(|first| first & 1 == 1));
        let zero = self.attribute(nda::LLADDR).is_none_or(|mac| mac.iter().all(|byte| *byte == 0));
        let set = state & nda::PERMANENT != 0
            || flags & (nda::PROXY | nda::EXT_LEARNED) != 0
            || managed
            || state & nda::NOARP != 0 && !group && !zero;
        if !set || ![INET, INET6].contains(&self.family()) {
            return None;
        }
        self.header[10] = flags;
        if managed {
            // The kernel resolves it; a managed entry is given without an address.
            self.header[8..10].copy_from_slice(&0u16.to_ne_bytes());
            self.keep_only(&[nda::DST, nda::PROTOCOL, nda::FLAGS_EXT]);
        }
        self.keep_only(&[nda::DST, nda::LLADDR, nda::PROTOCOL, nda::FLAGS_EXT]);
        Some(())
    }

    /// The indices of the links that it needs.
    pub(super) fn links(&self) -> Vec<u32> {
        match self.object() {
            NEXTHOP => self.number(nha::OIF).into_iter().collect(),
            ROUTE => {
                let mut links: Vec<u32> = self.number(rta::OIF).into_iter().collect();
                let mut hops = self.attribute(rta::MULTIPATH).unwrap_or_default().to_vec();
                each_hop(&mut hops, |hop| links.push(word(&hop[4..])));
                links
            }
            _ => vec![self.word(4)],
        }
    }

    /// The nexthop objects that it needs.
    pub(super) fn nexthops(&self) -> Vec<u32> {
        match self.object() {
            ROUTE => self.number(rta::NH_ID).into_iter().collect(),
            NEXTHOP => self.attribute(nha::GROUP).unwrap_or_default().chunks_exact(8).map(word).collect(),
            _ => Vec::new(),
        }
    }

    /// The id of a nexthop object.
    pub(super) fn nexthop_id(&self) -> Option<u32> {
        self.number(nha::ID).filter(|_| self.object() == NEXTHOP)
    }

    /// The place in the order in which the kernel takes objects back: a next hop must be reachable before a route leads
    /// over it, and a group comes after its members.
    pub(super) fn rank(&self) -> u8 {
        match self.object() {
            ADDRESS => 0,
            NEXTHOP if self.nexthops().is_empty() => 2,
            NEXTHOP => 3,
            ROUTE if self.is_kernel_route() => 1,
            ROUTE
                if self
                    .attribute(rta::GATEWAY)
                    .or(self.attribute(rta::VIA))
                    .or(self.attribute(rta::MULTIPATH))
                    .is_none() =>
            {
                4
            }
            ROUTE => 5,
            _ => 6,
        }
    }

    fn table(&self) -> u32 {
        self.number(rta::TABLE).unwrap_or_else(|| self.header[4].into())
    }

    /// Whether the kernel made this route for an address.
    pub(super) fn is_kernel_route(&self) -> bool {
        self.object() == ROUTE && self.header[5] == rta::PROTOCOL_KERNEL
    }

    /// Whether the kernel made this link-local address.
    pub(super) fn is_kernel_address(&self) -> bool {
        self.object() == ADDRESS && self.attribute(ifa::PROTO) == Some(&[ifa::KERNEL_LL])
    }

    /// Whether the kernel would make this link-local address of that hardware address (EUI-64).
    pub(super) fn is_made_of(&self, mac: &str) -> bool {
        let mac: Vec<u8> = mac.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let Some(IpAddr::V6(address)) = self.address() else { return true };
        let Ok(mut start) = <[u8; 3]>::try_from(mac.get(..3).unwrap_or_default()) else { return true };
        start[0] ^= 2; // the bit that says that it is unique in the world
        address.octets()[8..] == [&start, &[0xff, 0xfe][..], &mac[3..]].concat()
    }

    /// Whether this route leads to the network of that address, on its link.
    pub(super) fn leads_to(&self, address: &Self) -> bool {
        let network = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (n, byte) in bytes.iter_mut().enumerate() {
                let kept = usize::from(address.header[1]).saturating_sub(8 * n).min(8);
                *byte = if kept == 0 { 0 } else { *byte & (0xff << (8 - kept)) };
            }
            bytes
        };
        self.family() == address.family()
            && self.header[1] == address.header[1]
            && self.links() == address.links()
            && self.attribute(rta::DST) == address.attribute(ifa::ADDRESS).map(network).as_deref()
    }

    /// Whether it is this address of a link.
    pub(super) fn is_address(&self, index: u32, address: IpAddr, prefix: u8) -> bool {
        self.object() == ADDRESS && self.word(4) == index && self.header[1] == prefix && self.address() == Some(address)
    }

    /// Whether it is a route of the main table to this destination, with this metric.
    pub(super) fn is_route(&self, destination: IpAddr, prefix: u8, metric: u32) -> bool {
        let unspecified = if destination.is_ipv4() { INET } else { INET6 };
        self.object() == ROUTE
            && self.family() == unspecified
            && self.table() == u32::from(libc::RT_TABLE_MAIN)
            && self.header[1] == prefix
            && self.number(rta::PRIORITY).unwrap_or(0) == metric
            && self.attribute(rta::DST).map_or(prefix == 0, |dst| ip(dst) == Some(destination))
    }

    /// The address of a link or of a neighbour.
    fn address(&self) -> Option<IpAddr> {
        match self.object() {
            ADDRESS => ip(self.attribute(ifa::LOCAL).or_else(|| self.attribute(ifa::ADDRESS))?),
            _ => ip(self.attribute(nda::DST)?),
        }
    }

    /// What the kernel compares to tell whether an object is there already.
    pub(super) fn key(&self) -> Vec<Vec<u8>> {
        let all = |wanted: &[u16]| -> Vec<Vec<u8>> {
            wanted.iter().map(|kind| self.attribute(*kind).unwrap_or_default().to_vec()).collect()
        };
        let fixed = match self.object() {
            ADDRESS => vec![self.family(), if self.family() == INET { self.header[1] } else { 0 }],
            NEXTHOP => Vec::new(),
            ROUTE => [&self.header[..4], &self.table().to_ne_bytes()].concat(),
            _ => vec![self.family(), self.header[10] & nda::PROXY],
        };
        let rest = match self.object() {
            ADDRESS if self.family() == INET => all(&[ifa::LOCAL, ifa::ADDRESS]),
            ADDRESS => vec![self.attribute(ifa::LOCAL).or(self.attribute(ifa::ADDRESS)).unwrap_or_default().to_vec()],
            NEXTHOP => all(&[nha::ID]),
            // IPv4 has several routes to one destination, with one metric.
            ROUTE if self.family() == INET => all(&[
                rta::DST,
                rta::PRIORITY,
                rta::OIF,
                rta::GATEWAY,
                rta::VIA,
                rta::MULTIPATH,
                rta::NH_ID,
                rta::ENCAP,
            ]),
            // Routes of IPv6 with a gateway are the next hops of one route; those of links stand beside each other.
            ROUTE if self.attribute(rta::GATEWAY).or(self.attribute(rta::MULTIPATH)).is_some() => {
                all(&[rta::DST, rta::SRC, rta::PRIORITY])
            }
            ROUTE => all(&[rta::DST, rta::SRC, rta::PRIORITY, rta::OIF]),
            _ => all(&[nda::DST]),
        };
        let on = match self.object() {
            ADDRESS | NEIGHBOUR => self.header[4..8].to_vec(),
            _ => Vec::new(),
        };
        [vec![self.object().to_ne_bytes().to_vec(), fixed, on], rest].concat()
    }

    /// Whether the kernel has the object as it was, but for the time that has passed.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let timeless = |message: &Self| {
            let mut message = message.clone();
            match message.object() {
                ADDRESS => message.remove(&[ifa::CACHEINFO]),
                ROUTE => message.remove(&[rta::EXPIRES]),
                _ => {}
            }
            message.attributes.sort();
            message
        };
        timeless(self) == timeless(other)
    }

    /// Whether the kernel has made `now` of this route of IPv6: it changes the MTU that a route has, and removes the
    /// next hops over a link, when the MTU of that link changes (net/ipv6/route.c, `rt6_mtu_change_route`).
    pub(super) fn became(&self, now: &Self) -> bool {
        let rest = |message: &Self| {
            let mut message = message.clone();
            message.remove(&[rta::METRICS, rta::EXPIRES, rta::OIF, rta::GATEWAY, rta::MULTIPATH]);
            message.set_word(8, 0);
            message.attributes.sort();
            message
        };
        self.object() == NEXTHOP
            || self.object() == ROUTE
                && rest(self) == rest(now)
                && now.links().iter().all(|link| self.links().contains(link))
    }

    /// The message `elapsed` seconds later: none if the object has expired by then.
    pub(super) fn aged(&self, elapsed: u32) -> Option<Self> {
        let mut message = self.clone();
        let less = |time: u32| if time == FOREVER { time } else { time.saturating_sub(elapsed) };
        if self.object() == ADDRESS
            && let Some((preferred, valid)) = self.lifetimes()
        {
            if less(valid) == 0 {
                return None;
            }
            let info = message.attribute_mut(ifa::CACHEINFO)?;
            info[..4].copy_from_slice(&less(preferred).to_ne_bytes());
            info[4..8].copy_from_slice(&less(valid).to_ne_bytes());
        }
        if self.object() == ROUTE
            && let Some(expires) = self.number(rta::EXPIRES)
        {
            if expires <= elapsed {
                return None;
            }
            *message.attribute_mut(rta::EXPIRES)? = (expires - elapsed).to_ne_bytes().into();
        }
        Some(message)
    }

    /// How a sentence calls the object: its kind, and its name in backticks.
    pub(super) fn shown(&self, link: impl Fn(u32) -> String) -> String {
        let text = |bytes: Option<&[u8]>| bytes.and_then(ip).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
        match self.object() {
            ADDRESS => {
                let address = self.address().map_or_else(|| "?".to_owned(), |address| address.to_string());
                format!("address `{address}/{}` of link `{}`", self.header[1], link(self.word(4)))
            }
            NEXTHOP => format!("nexthop `{}`", self.nexthop_id().unwrap_or(0)),
            ROUTE => {
                let dst = match self.attribute(rta::DST) {
                    Some(dst) => format!("{}/{}", text(Some(dst)), self.header[1]),
                    None => "default".into(),
                };
                let via = self.attribute(rta::GATEWAY).map(|via| format!(" via {}", text(Some(via))));
                let dev = self.number(rta::OIF).map(|index| format!(" dev {}", link(index)));
                let object = self.number(rta::NH_ID).map(|id| format!(" nhid {id}"));
                let table =
                    (self.table() != u32::from(libc::RT_TABLE_MAIN)).then(|| format!(" table {}", self.table()));
                let parts: String = [via, dev, object, table].into_iter().flatten().collect();
                format!("route `{dst}{parts}`")
            }
            _ => format!("neighbour `{}` of link `{}`", text(self.attribute(nda::DST)), link(self.word(4))),
        }
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

/// Calls `work` for each `rtnexthop` structure: length, flags, weight, index, attributes.
fn each_hop(mut hops: &mut [u8], mut work: impl FnMut(&mut [u8])) {
    while hops.len() >= 8 {
        let length = usize::from(u16::from_ne_bytes([hops[0], hops[1]]));
        if length < 8 || length > hops.len() {
            return;
        }
        work(&mut hops[..length]);
        let next = ((length + 3) & !3).min(hops.len());
        hops = &mut hops[next..];
    }
}
