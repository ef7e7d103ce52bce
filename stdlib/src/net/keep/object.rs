//! What a message says about its object: what it needs, what it is the same as, how it is called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{ADDRESS, INET, INET6, Message, NEIGHBOUR, NEXTHOP, ROUTE, word};
use super::normal::{FOREVER, each_hop, ifa, nda, nha, rta};

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

    pub(super) fn table(&self) -> u32 {
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
