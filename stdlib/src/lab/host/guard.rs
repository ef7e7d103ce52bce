//! The guard of `--host`: asked before each change, it refuses or writes the journal, and gives the permit for the change.
//!
//! In a private lab it costs nothing.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::IpNet;

use super::journal::{Journal, Step, place_of};
use super::permit::Permitted;
use crate::error::{Error, Kind, Result};
use crate::lab::{Lab, NetNs};
use crate::name::IfName;
use crate::net::Net;
use crate::net::link::Which;
use crate::net::route::NewRoute;

/// A change to a link that exists.
#[derive(Clone, Copy)]
pub(crate) enum LinkChange {
    /// It is set up.
    Up,
    /// It is set down.
    Down,
    /// Its MTU becomes this.
    Mtu(u32),
    /// An address is added.
    AddAddress(IpNet),
    /// An address is removed.
    RemoveAddress(IpNet),
    /// Another link is created on top of it.
    Stack,
    /// It is deleted, moved, renamed, or given a master: only a link of this session may be. The verb is for the error.
    Take(&'static str),
}

/// The address that the kernel gives a loopback device (net/ipv4/devinet.c, `inetdev_event`).
pub(super) const LOOPBACK: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8));

/// The smallest MTU that IPv6 works with. Below it the kernel removes IPv6 from a link.
const IPV6_MTU: u32 = 1280;

/// Gives permits for changes to the network of a lab.
#[derive(Clone)]
pub struct Guard(Arc<Lab>);

impl Lab {
    /// The guard of the lab.
    #[must_use]
    pub fn guard(self: &Arc<Self>) -> Guard {
        Guard(self.clone())
    }

    /// The journal, if a change in `ns` has to be written there.
    ///
    /// In namespaces that this session made nothing has to: they are deleted as a whole.
    fn tracked(&self, ns: &NetNs) -> Option<&Journal> {
        self.journal().filter(|_| !ns.is_made())
    }
}

impl Journal {
    fn is_ours(&self, ns: &NetNs, index: u32) -> bool {
        self.memory().links.contains(&(ns.inode().ino, index))
    }

    /// Refuses loopback and the device of the default route, unless the script has allowed them.
    fn protect(&self, net: &Net, name: &str) -> Result<()> {
        if self.memory().allowed.contains(name) {
            return Ok(());
        }
        let why = match net.find_link(Which::Name(&IfName::from_kernel(name)))? {
            _ if name == "lo" => "the loopback device",
            Some(link) if default_devices(net)?.contains(&link.index) => "the device of the default route",
            _ => return Ok(()),
        };
        Err(Error::plain(Kind::Permission, format!("`{name}` is {why} of this machine"))
            .hint(format!("if you mean it, call `allow_host_device(\"{name}\")` first")))
    }
}

/// The links of the default routes of both families.
fn default_devices(net: &Net) -> Result<BTreeSet<u32>> {
    let routes = net.routes(false)?.into_iter().chain(net.routes(true)?);
    let defaults = routes.filter(|route| route.dst.prefix_len() == 0);
    Ok(defaults.flat_map(|route| route.next_hops).filter_map(|hop| hop.index).collect())
}

fn not_ours(text: &str) -> Error {
    Error::plain(Kind::Permission, format!("cannot {text}: this lab did not make it"))
}

impl Guard {
    /// The lab that it guards.
    #[must_use]
    pub fn lab(&self) -> &Arc<Lab> {
        &self.0
    }

    /// The permit for a namespace that this session made.
    pub(crate) fn in_own(&self, ns: &NetNs) -> Result<Permitted> {
        if ns.is_made() || self.0.is_private() {
            return Ok(Permitted::grant());
        }
        Err(not_ours(&format!("change {}", ns.label())))
    }

    /// Runs `create`, after which there are links at `ends`, each a namespace and a name.
    pub(crate) fn creating<T>(
        &self,
        ends: &[(&NetNs, &IfName)],
        create: impl FnOnce(&Permitted) -> Result<T>,
    ) -> Result<T> {
        self.arriving(ends, None, create)
    }

    /// Runs `work`, which moves the link `name` of `ns` to `target`.
    pub(crate) fn moving(
        &self,
        (ns, name): (&NetNs, &IfName),
        target: &NetNs,
        work: impl FnOnce(&Permitted) -> Result<()>,
    ) -> Result<()> {
        let permit = self.link(ns, name, LinkChange::Take("move"))?;
        if self.0.tracked(target).is_none() {
            return work(&permit);
        }
        let mac = ns.net()?.link(Which::Name(name))?.mac;
        self.arriving(&[(target, name)], Some(&mac), work)
    }

    fn arriving<T>(
        &self,
        ends: &[(&NetNs, &IfName)],
        mac: Option<&str>,
        create: impl FnOnce(&Permitted) -> Result<T>,
    ) -> Result<T> {
        let mut new = Vec::new();
        for &(ns, name) in ends {
            let Some(journal) = self.0.tracked(ns) else { continue };
            let links = ns.net()?.links()?;
            if links.iter().all(|link| link.name != name.as_str()) {
                let above = links.iter().map(|link| link.index).max().unwrap_or(0);
                let (name_text, mac) = (name.as_str().to_owned(), mac.map(str::to_owned));
                journal.write(place_of(ns)?, Step::WillMakeLink { name: name_text, above, mac })?;
                new.push((journal, ns, name));
            }
        }
        let made = create(&Permitted::grant())?;
        for (journal, ns, name) in new {
            if let Some(link) = ns.net()?.find_link(Which::Name(name))? {
                let (index, kind) = (link.index, link.kind);
                journal.write(place_of(ns)?, Step::MadeLink { name: link.name, index, kind })?;
                journal.memory().links.insert((ns.inode().ino, index));
            }
        }
        Ok(made)
    }

    /// The permit to change the link `name` of `ns`.
    pub(crate) fn link(&self, ns: &NetNs, name: &IfName, change: LinkChange) -> Result<Permitted> {
        let Some(journal) = self.0.tracked(ns) else { return Ok(Permitted::grant()) };
        let net = ns.net()?;
        if ns.is_root() {
            journal.protect(&net, name.as_str())?;
        }
        let info = net.link(Which::Name(name))?;
        let index = info.index;
        if journal.is_ours(ns, index) {
            return Ok(Permitted::grant());
        }
        let lost = || net.what_goes_with(index);
        let step = match change {
            LinkChange::Take(verb) => {
                return Err(not_ours(&format!("{verb} `{name}`"))
                    .hint("the kernel destroys a virtual device together with its namespace; make one with `veth`"));
            }
            LinkChange::RemoveAddress(address) => {
                if journal.memory().addresses.contains(&(ns.inode().ino, index, address)) {
                    return Ok(Permitted::grant());
                }
                return Err(not_ours(&format!("remove the address `{address}` of `{name}`")));
            }
            LinkChange::Stack => return Ok(Permitted::grant()),
            LinkChange::Up if info.is_up() => return Ok(Permitted::grant()),
            LinkChange::Down if !info.is_up() => return Ok(Permitted::grant()),
            LinkChange::Up => {
                let bare = name.as_str() == "lo" && !net.addrs(Some(index))?.iter().any(|a| a.net == LOOPBACK);
                Step::SetsUp { index, bare }
            }
            LinkChange::Down => Step::SetsDown { index, lost: lost()? },
            LinkChange::Mtu(mtu) => {
                Step::SetsMtu { index, mtu: info.mtu, lost: if mtu < IPV6_MTU { lost()? } else { Vec::new() } }
            }
            LinkChange::AddAddress(address) => {
                if net.addrs(Some(index))?.iter().any(|there| there.net == address) {
                    return Ok(Permitted::grant()); // the kernel will refuse it, so there is nothing to undo
                }
                journal.memory().addresses.insert((ns.inode().ino, index, address));
                Step::AddsAddress { index, address }
            }
        };
        journal.write(place_of(ns)?, step)?;
        Ok(Permitted::grant())
    }

    /// The permit to add a route in `ns`. A second default route, and routes over guarded devices, are refused.
    pub(crate) fn adding_route(&self, ns: &NetNs, route: &NewRoute) -> Result<Permitted> {
        let Some(journal) = self.0.tracked(ns) else { return Ok(Permitted::grant()) };
        let net = ns.net()?;
        if ns.is_root() {
            let defaults = if route.dst.prefix_len() == 0 { default_devices(&net)? } else { BTreeSet::new() };
            for index in defaults.into_iter().chain(route.index) {
                if let Some(link) = net.find_link(Which::Index(index))? {
                    journal.protect(&net, &link.name)?;
                }
            }
        }
        // The kernel's own choice where none is given (net/ipv6/route.c, IP6_RT_PRIO_USER).
        let metric = route.metric.unwrap_or(if route.dst.addr().is_ipv6() { 1024 } else { 0 });
        if net.routes(route.dst.addr().is_ipv6())?.iter().any(|r| r.dst == route.dst && r.metric == metric) {
            return Ok(Permitted::grant()); // the kernel will refuse it, so there is nothing to undo
        }
        journal.memory().routes.insert((ns.inode().ino, route.dst, metric));
        let step = Step::AddsRoute { dst: route.dst, gateway: route.gateway, index: route.index, metric };
        journal.write(place_of(ns)?, step)?;
        Ok(Permitted::grant())
    }

    /// The permit to delete a route in `ns`: only one that this session added, or that leads over a link of it.
    pub(crate) fn deleting_route(&self, ns: &NetNs, route: &NewRoute) -> Result<Permitted> {
        let Some(journal) = self.0.tracked(ns) else { return Ok(Permitted::grant()) };
        let deleted = ns.net()?.routes(route.dst.addr().is_ipv6())?.into_iter().find(|there| {
            there.dst == route.dst
                && (route.gateway.is_none() || route.gateway == there.gateway())
                && (route.index.is_none() || route.index == there.index())
                && route.metric.is_none_or(|metric| metric == there.metric)
        });
        let Some(deleted) = deleted else { return Ok(Permitted::grant()) }; // the kernel will say so
        let over_ours = deleted.index().is_some_and(|index| journal.is_ours(ns, index));
        if over_ours || journal.memory().routes.contains(&(ns.inode().ino, deleted.dst, deleted.metric)) {
            return Ok(Permitted::grant());
        }
        Err(not_ours(&format!("delete the route to `{}`", route.dst)))
    }

    /// The permit to write a sysctl in `ns`. What cannot be undone, and sysctls of guarded devices, are refused.
    pub(crate) fn sysctl(&self, ns: &NetNs, key: &str, value: &str) -> Result<Permitted> {
        let Some(journal) = self.0.tracked(ns) else { return Ok(Permitted::grant()) };
        let net = ns.net()?;
        let before = net.sysctl(key)?;
        let parts: Vec<&str> = key.split('.').collect();
        let of_link = match parts.as_slice() {
            ["net", _, "conf" | "neigh", name, _] if !matches!(*name, "all" | "default") => {
                Some(name.replace('/', "."))
            }
            _ => None,
        };
        let mut ours = false;
        if let Some(name) = &of_link {
            if ns.is_root() {
                journal.protect(&net, name)?;
            }
            let link = net.find_link(Which::Name(&IfName::from_kernel(name)))?;
            ours = link.is_some_and(|link| journal.is_ours(ns, link.index));
        }
        if key.ends_with(".disable_ipv6") && !key.contains(".default.") && !ours && before != value {
            return Err(Error::plain(Kind::Permission, format!("cannot set `{key}` here"))
                .hint("it would remove the IPv6 addresses of devices that this lab did not make"));
        }
        let mut values = vec![(key.to_owned(), before)];
        for other in changed_with(&parts) {
            values.extend(net.sysctls_like(&other)?);
        }
        journal.write(place_of(ns)?, Step::SetsSysctl { values })?;
        Ok(Permitted::grant())
    }

    /// Refuses to remove the name of a namespace that this session did not give.
    pub(crate) fn deleting_netns(&self, ns: &NetNs) -> Result<()> {
        let (Some(journal), Some(name)) = (self.0.tracked(ns), ns.name()) else { return Ok(()) };
        if journal.memory().names.contains(&(name.as_str().to_owned(), ns.inode().ino)) {
            return Ok(());
        }
        Err(not_ours(&format!("delete {}", ns.label())))
    }
}

/// The sysctls that the kernel writes when it writes this one: `*` stands for every link
/// (`inet_forward_change` in net/ipv4/devinet.c, `addrconf_forward_change` in net/ipv6/addrconf.c).
fn changed_with(parts: &[&str]) -> Vec<String> {
    match parts {
        ["net", "ipv4", "ip_forward"] | ["net", "ipv4", "conf", "all", "forwarding"] => {
            vec!["net.ipv4.conf.*.forwarding".into(), "net.ipv4.conf.*.accept_redirects".into()]
        }
        ["net", family, "conf", "all", last] => vec![format!("net.{family}.conf.*.{last}")],
        _ => Vec::new(),
    }
}
