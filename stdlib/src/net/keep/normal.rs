//! What the kernel reports about an object, brought into the form in which the kernel takes it back: without the flags
//! and attributes that only the kernel sets.

use super::message::{ADDRESS, INET, INET6, Message, NEXTHOP, ROUTE, attributes, word, write_attributes};

/// Attributes of addresses (`linux/if_addr.h`).
pub(super) mod ifa {
    pub(in crate::net::keep) const ADDRESS: u16 = 1;
    pub(in crate::net::keep) const LOCAL: u16 = 2;
    pub(in crate::net::keep) const CACHEINFO: u16 = 6;
    pub(in crate::net::keep) const FLAGS: u16 = 8;
    pub(in crate::net::keep) const PROTO: u16 = 11;
    /// `IFA_F_NODAD`, `_HOMEADDRESS`, `_MANAGETEMPADDR`, `_NOPREFIXROUTE`, `_MCAUTOJOIN`. The kernel sets the others:
    /// secondary, tentative, permanent, dadfailed, deprecated, stable-privacy.
    pub(in crate::net::keep) const TAKEN: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;
    /// `IFA_F_TEMPORARY` of IPv6, `IFA_F_SECONDARY` of IPv4.
    pub(in crate::net::keep) const TEMPORARY: u32 = 0x01;
    /// `IFAPROT_KERNEL_LL`: a link-local address that the kernel made.
    pub(in crate::net::keep) const KERNEL_LL: u8 = 3;
}

/// Attributes of routes (`linux/rtnetlink.h`).
pub(super) mod rta {
    pub(in crate::net::keep) const DST: u16 = 1;
    pub(in crate::net::keep) const SRC: u16 = 2;
    pub(in crate::net::keep) const OIF: u16 = 4;
    pub(in crate::net::keep) const GATEWAY: u16 = 5;
    pub(in crate::net::keep) const PRIORITY: u16 = 6;
    pub(in crate::net::keep) const METRICS: u16 = 8;
    pub(in crate::net::keep) const MULTIPATH: u16 = 9;
    pub(in crate::net::keep) const CACHEINFO: u16 = 12;
    pub(in crate::net::keep) const TABLE: u16 = 15;
    pub(in crate::net::keep) const VIA: u16 = 18;
    pub(in crate::net::keep) const ENCAP_TYPE: u16 = 21;
    pub(in crate::net::keep) const ENCAP: u16 = 22;
    pub(in crate::net::keep) const EXPIRES: u16 = 23;
    pub(in crate::net::keep) const NH_ID: u16 = 30;
    /// `RTNH_F_PERVASIVE` and `RTNH_F_ONLINK`. The kernel sets the others: dead, linkdown, offload, trap, unresolved.
    pub(in crate::net::keep) const TAKEN: u8 = 0x02 | 0x04;
    pub(in crate::net::keep) const PROTOCOL_KERNEL: u8 = 2;
    pub(in crate::net::keep) const TABLE_LOCAL: u32 = 255;
}

/// Attributes of nexthop objects (`linux/nexthop.h`).
pub(super) mod nha {
    pub(in crate::net::keep) const ID: u16 = 1;
    pub(in crate::net::keep) const GROUP: u16 = 2;
    pub(in crate::net::keep) const OIF: u16 = 5;
    pub(in crate::net::keep) const RES_GROUP: u16 = 12;
    /// Id, group and its type, blackhole, link, gateway, encapsulation, fdb, resilient group.
    pub(in crate::net::keep) const TAKEN: [u16; 10] = [ID, GROUP, 3, 4, OIF, 6, 7, 8, 11, RES_GROUP];
    /// `NHA_RES_GROUP_UNBALANCED_TIME`: a measurement.
    pub(in crate::net::keep) const UNBALANCED_TIME: u16 = 4;
}

/// Attributes of neighbours (`linux/neighbour.h`).
pub(super) mod nda {
    pub(in crate::net::keep) const DST: u16 = 1;
    pub(in crate::net::keep) const LLADDR: u16 = 2;
    pub(in crate::net::keep) const PROTOCOL: u16 = 12;
    pub(in crate::net::keep) const FLAGS_EXT: u16 = 15;
    pub(in crate::net::keep) const PERMANENT: u16 = 0x80;
    pub(in crate::net::keep) const NOARP: u16 = 0x40;
    pub(in crate::net::keep) const PROXY: u8 = 0x08;
    pub(in crate::net::keep) const EXT_LEARNED: u8 = 0x10;
    pub(in crate::net::keep) const ROUTER: u8 = 0x80;
    /// `NTF_EXT_MANAGED`.
    pub(in crate::net::keep) const MANAGED: u32 = 0x01;
}

/// `INFINITY_LIFE_TIME` of addresses.
pub(super) const FOREVER: u32 = u32::MAX;

/// How many ticks of `rta_cacheinfo` are a second (`USER_HZ`).
const TICKS: u32 = 100;

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
    pub(super) fn lifetimes(&self) -> Option<(u32, u32)> {
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

    /// Those that resolution finds again are left out; those that a program has set stay.
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
}

/// Calls `work` for each `rtnexthop` structure: length, flags, weight, index, attributes.
pub(super) fn each_hop(mut hops: &mut [u8], mut work: impl FnMut(&mut [u8])) {
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
