//! Addresses, as a list.

use std::fmt;

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
    /// Its scope: `global`, `link`, `host`.
    scope: String = |addr| addr.info.scope.clone();
    /// Whether duplicate address detection is still running for it.
    tentative: bool = |addr| addr.info.tentative;
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} scope {}", self.dev, self.info.net, self.info.scope)
    }
}

impl Listed for Address {
    const LIST: &'static str = "Addresses";
    const LIST_DOC: &'static str = "The addresses of a namespace.";
    const COLUMNS: &'static [&'static str] = &["dev", "addr", "scope"];
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
