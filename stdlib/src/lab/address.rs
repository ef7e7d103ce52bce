//! The addresses at which other namespaces reach a namespace.

use std::net::IpAddr;

use super::NetNs;
use crate::error::Result;
use crate::net::addr::AddrInfo;

/// The interface index of `lo` in every namespace (`LOOPBACK_IFINDEX`, drivers/net/loopback.c).
const LOOPBACK: u32 = 1;

/// The addresses at which other namespaces reach a namespace: the global ones, those on `lo` after all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Vec<Address>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    addr: IpAddr,
    is_on_lo: bool,
}

impl NetNs {
    /// The addresses at which other namespaces reach it.
    ///
    /// # Errors
    /// The kernel's, or `Gone` after `delete`.
    pub fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses::of(&self.net()?.addrs(None)?))
    }
}

impl Addresses {
    fn of(addrs: &[AddrInfo]) -> Self {
        let usable =
            |addr: &&AddrInfo| addr.scope == "global" && !addr.net.addr().is_loopback() && !addr.has("dadfailed");
        let all = addrs.iter().filter(usable);
        let mut all: Vec<_> =
            all.map(|addr| Address { addr: addr.net.addr(), is_on_lo: addr.index == LOOPBACK }).collect();
        all.sort_by_key(|address| address.is_on_lo); // stable: otherwise the kernel's order
        Self(all)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().map(|address| address.addr)
    }

    /// The first one.
    #[must_use]
    pub fn first(&self) -> Option<IpAddr> {
        self.0.first().map(|address| address.addr)
    }

    /// The address of `target` at which the owner of these addresses reaches it: of a family that both have, and not one
    /// of its own.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn toward(&self, target: &Self) -> std::result::Result<IpAddr, String> {
        let is_own = |address: &Address| self.0.iter().any(|own| own.addr == address.addr);
        let own = |v6: bool| self.0.iter().find(|address| address.addr.is_ipv6() == v6);
        let others = target.0.iter().filter(|address| !is_own(address));
        let reachable = others.filter_map(|to| Some((own(to.addr.is_ipv6())?, to)));
        let best = reachable.min_by_key(|(from, to)| u8::from(from.is_on_lo) + u8::from(to.is_on_lo));
        best.map(|(_, to)| to.addr).ok_or_else(|| {
            let family = |of: &Self| match of.first() {
                Some(IpAddr::V4(_)) => "only IPv4",
                Some(IpAddr::V6(_)) => "only IPv6",
                None => "no",
            };
            match target.0.iter().find(|address| is_own(address)) {
                Some(same) => format!("both have the address {}, and no other in common families", same.addr),
                None => format!("no common family: {} and {} addresses", family(self), family(target)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(all: &[(u32, &str)]) -> Addresses {
        let info = |(index, net): &(u32, &str)| AddrInfo {
            index: *index,
            net: net.parse().expect("a network"),
            peer: None,
            broadcast: None,
            scope: "global".into(),
            label: None,
            flags: Vec::new(),
            valid_lft: None,
            preferred_lft: None,
        };
        Addresses::of(&all.iter().map(info).collect::<Vec<_>>())
    }

    #[test]
    fn an_address_on_a_link_comes_before_those_on_lo() {
        let first = |all: &[(u32, &str)]| addresses(all).first().map(|addr| addr.to_string());
        assert_eq!(first(&[(1, "10.9.9.9/32"), (2, "10.0.0.1/24")]).as_deref(), Some("10.0.0.1"));
        assert_eq!(first(&[(1, "10.9.9.9/32"), (2, "fd00::1/64")]).as_deref(), Some("fd00::1"));
        assert_eq!(first(&[(1, "127.0.0.2/32"), (1, "10.9.9.9/32")]).as_deref(), Some("10.9.9.9"));
        assert_eq!(first(&[(1, "127.0.0.2/32")]), None);
    }

    #[test]
    fn two_namespaces_use_a_family_that_both_have() {
        let (both, v4, v6) = ([(2, "10.0.0.1/24"), (2, "fd00::1/64")], [(2, "10.0.0.2/24")], [(2, "fd00::3/64")]);
        let toward = |from: &[(u32, &str)], to: &[(u32, &str)]| {
            addresses(from).toward(&addresses(to)).map(|addr| addr.to_string())
        };
        assert_eq!(toward(&both, &v4), Ok("10.0.0.2".into()));
        assert_eq!(toward(&both, &v6), Ok("fd00::3".into()));
        assert_eq!(toward(&v6, &both), Ok("fd00::1".into()));
        assert_eq!(toward(&v4, &v6), Err("no common family: only IPv4 and only IPv6 addresses".into()));
        assert!(toward(&v4, &v4).is_err_and(|error| error.starts_with("both have the address 10.0.0.2")));
        // The family that both have on a link, not on `lo`.
        assert_eq!(toward(&[(1, "10.9.9.9/32"), (2, "fd00::9/64")], &both), Ok("fd00::1".into()));
    }
}
