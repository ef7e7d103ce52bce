//! Addresses, as a list.

use std::fmt;

use rhai::{Array, Dynamic, INT};

use super::core::prelude::*;
use super::core::register::Family;
use crate::name::printable;
use crate::net::addr::AddrInfo;

pub(super) const FAMILY: Family =
    Family { name: "addresses", types: &[register_type::<Address>, register_list::<Address>], bindings: BINDINGS };

/// An address, with the name of its link.
#[derive(Clone)]
pub(crate) struct Address {
    info: AddrInfo,
    dev: String,
}

value! { Address, "Address", "An address of a link.";
    /// The name of the link.
    dev: String = |addr| addr.dev.clone();
    /// The address with its prefix length.
    addr: String = |addr| addr.info.net.to_string();
    /// The address of the far end of a point-to-point link (`ip addr add A peer B`); `()` if it has none of its own.
    peer: Option<String> = |addr| addr.info.peer.map(|peer| peer.to_string());
    /// Its scope: `global`, `link`, `host`.
    scope: String = |addr| addr.info.scope.clone();
    /// The flags that `ip addr` shows: `secondary`, `dynamic`, `deprecated`, `tentative`, `dadfailed`, `nodad` …
    flags: Array = |addr| addr.info.flags.iter().map(|flag| Dynamic::from(*flag)).collect();
    /// Whether duplicate address detection is still running for it.
    tentative: bool = |addr| addr.info.has("tentative");
    /// The label of an IPv4 address, which is the name of its link unless another was chosen; `()` for IPv6.
    label: Option<String> = |addr| addr.info.label.clone();
    /// For how many seconds it stays; `()` for ever.
    valid_lft: Option<INT> = |addr| addr.info.valid_lft.map(INT::from);
    /// For how many seconds new connections use it; `()` for ever.
    preferred_lft: Option<INT> = |addr| addr.info.preferred_lft.map(INT::from);
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} scope {}", self.dev, self.info.text(), self.info.scope)?;
        self.info.flags.iter().try_for_each(|flag| write!(f, " {flag}"))
    }
}

impl Listed for Address {
    const LIST: &'static str = "Addresses";
    const LIST_DOC: &'static str = "The addresses of a namespace.";
    const COLUMNS: &'static [&'static str] = &["dev", "addr", "peer", "scope", "flags", "valid_lft"];
    fn is_called(&self, name: &str) -> bool {
        self.info.net.to_string() == name
    }
}

bindings! {
    /// Lists the addresses of a namespace.
    ///
    /// Like `ip -o addr`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// up(ns1, "lo");
    /// check "127.0.0.1/8" in addrs(ns1);
    /// check addrs(ns1).filter(|a| a.dev == "lo").len() == 2;
    /// ```
    fn addrs(ns: Here) -> List<Address> {
        let net = ns.net().net()?;
        let links = net.links()?;
        let name = |index: u32| {
            let link = links.iter().find(|link| link.index == index);
            link.map_or_else(|| "?".to_owned(), |link| printable(&link.name))
        };
        let addrs = net.addrs(None)?;
        Ok(addrs.into_iter().map(|info| Address { dev: name(info.index), info }).collect::<Vec<_>>().into())
    }
}
