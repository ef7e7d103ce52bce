//! Links as `ip link` and `ip addr` print them.

use std::fmt::{self, Write};

use crate::bindings::core::prelude::*;
use crate::error::Result;
use crate::lab::Link;
use crate::name::printable;
use crate::net::addr::AddrInfo;
use crate::net::link::LinkInfo;

/// The two lines of `ip link`, and one for each address.
fn show(info: &LinkInfo, addrs: &[AddrInfo], all: &[LinkInfo], f: &mut impl Write) -> fmt::Result {
    let name_of = |index: u32| all.iter().find(|other| other.index == index).map(|other| printable(&other.name));
    write!(f, "{}: {}", info.index, printable(&info.name))?;
    let other = info.peer_index.or(info.lower_index);
    match other {
        Some(0) => write!(f, "@NONE")?,
        Some(index) if info.netnsid.is_some() => write!(f, "@if{index}")?,
        Some(index) => write!(f, "@{}", name_of(index).unwrap_or_else(|| format!("if{index}")))?,
        None => {}
    }
    let mut flags = info.flags.clone();
    if let (Some(index), None) = (other, info.netnsid)
        && all.iter().any(|other| other.index == index && !other.is_up())
    {
        flags.push("M-DOWN");
    }
    write!(f, ": <{}> mtu {} qdisc {}", flags.join(","), info.mtu, info.qdisc)?;
    if let Some(master) = info.master {
        write!(f, " master {}", name_of(master).unwrap_or_else(|| master.to_string()))?;
    }
    write!(f, " state {}", info.state)?;
    if info.group == 0 {
        write!(f, " group default")?;
    } else {
        write!(f, " group {}", info.group)?;
    }
    write!(f, " qlen {}\n    link/{}", info.txqlen, info.layer)?;
    if !info.mac.is_empty() {
        write!(f, " {}", info.mac)?;
    }
    if !info.broadcast.is_empty() {
        write!(f, " {} {}", if info.is_point_to_point() { "peer" } else { "brd" }, info.broadcast)?;
    }
    if let Some(id) = info.netnsid {
        write!(f, " link-netnsid {id}")?;
    }
    for addr in addrs.iter().filter(|addr| addr.index == info.index) {
        let family = if addr.net.addr().is_ipv4() { "inet" } else { "inet6" };
        write!(f, "\n    {family} {}", addr.text())?;
        if let Some(broadcast) = addr.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " scope {}", addr.scope)?;
        addr.flags.iter().try_for_each(|flag| write!(f, " {flag}"))?;
        if let Some(label) = &addr.label {
            write!(f, " {}", printable(label))?;
        }
    }
    Ok(())
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = || -> Result<_> { Ok((self.info()?, self.addrs()?, self.ns().net()?.links()?)) };
        match read() {
            Ok((info, addrs, all)) => show(&info, &addrs, &all, f),
            Err(error) => write!(f, "{self:?}: {error}"),
        }
    }
}

impl Listed for Link {
    const LIST: &'static str = "Links";
    const LIST_DOC: &'static str = "The links of a namespace. Prints as `ip link` and `ip addr` do.";
    const COLUMNS: &'static [&'static str] = &["index", "name", "state", "mtu", "kind", "addrs", "peer", "master"];
    fn is_called(&self, name: &str) -> bool {
        self.name().as_str() == name
    }
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = items.first() else { return Ok(()) };
        let read = || -> Result<_> {
            let net = first.ns().net()?;
            Ok((net.links()?, net.addrs(None)?))
        };
        let Ok((all, addrs)) = read() else { return write!(f, "{} links of {}", items.len(), first.ns().label()) };
        for (n, link) in items.iter().enumerate() {
            let name = link.name();
            f.write_str(if n > 0 { "\n" } else { "" })?;
            match all.iter().find(|info| info.name == name.as_str()) {
                Some(info) => self::show(info, &addrs, &all, f)?,
                None => write!(f, "{link:?}: gone")?,
            }
        }
        Ok(())
    }
}
