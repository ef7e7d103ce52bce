//! The guard of `--host`: asked before each change, it refuses or writes the journal, and gives the permit for the change.
//!
//! In a private lab it costs nothing. With `--host` a change is made under the lock of the journals' directory, so that
//! no other session changes or undoes the same thing between the reading of the old value and the writing of the new one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::IpNet;

use super::journal::{Journal, lock, place_of};
use super::permit::Permitted;
use super::sessions::others;
use super::step::{Resource, Step, Value};
use super::value::plain;
use crate::error::{Error, Kind, Result};
use crate::lab::{Lab, NetNs};
use crate::name::IfName;
use crate::net::Net;
use crate::net::link::{LinkInfo, Which};
use crate::net::route::NewRoute;
use added::Added;

mod added;

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
    /// It becomes the master of another link.
    Enslave,
    /// It is deleted, moved, renamed, or given a master: only a link of this session may be. The verb is for the error.
    Take(&'static str),
}

/// The address that the kernel gives a loopback device (net/ipv4/devinet.c, `inetdev_event`).
const LOOPBACK: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8));

/// The index of the loopback device, whatever it is called (`LOOPBACK_IFINDEX` in `include/net/net_namespace.h`).
const LOOPBACK_INDEX: u32 = 1;

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
        // `name` may be an alternative name: what counts is the link.
        let Some(link) = net.find_link(Which::Name(&IfName::from_kernel(name)))? else { return Ok(()) };
        let why = match link.index {
            LOOPBACK_INDEX => "the loopback device",
            index if default_devices(net)?.contains(&index) => "the device of the default route",
            _ => return Ok(()),
        };
        let allowed = &self.memory().allowed;
        if [name, &link.name].into_iter().chain(link.altnames.iter().map(String::as_str)).any(|n| allowed.contains(n)) {
            return Ok(());
        }
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
        if self.0.tracked(target).is_none() {
            return self.link((ns, name), LinkChange::Take("move"), work).map(drop);
        }
        self.link((ns, name), LinkChange::Take("move"), |_| Ok(()))?;
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
        let made = match create(&Permitted::grant()) {
            Ok(made) => made,
            Err(error) => {
                for (journal, ns, name) in new {
                    // A link of this name that appears later is another program's.
                    if ns.net()?.find_link(Which::Name(name))?.is_none() {
                        journal.write(place_of(ns)?, Step::LostLink { name: name.as_str().to_owned() })?;
                    }
                }
                return Err(error);
            }
        };
        for (journal, ns, name) in new {
            if let Some(link) = ns.net()?.find_link(Which::Name(name))? {
                let (index, kind) = (link.index, link.kind);
                journal.write(place_of(ns)?, Step::MadeLink { name: link.name, index, kind })?;
                journal.memory().links.insert((ns.inode().ino, index));
            }
        }
        Ok(made)
    }

    /// Changes the link `name` of `ns` by `work`, and returns the permit.
    pub(crate) fn link(
        &self,
        (ns, name): (&NetNs, &IfName),
        change: LinkChange,
        work: impl FnOnce(&Permitted) -> Result<()>,
    ) -> Result<Permitted> {
        let permit = Permitted::grant();
        let Some(journal) = self.0.tracked(ns) else { return work(&permit).map(|()| permit) };
        let directory = lock(self.0.exec())?;
        let net = ns.net()?;
        if ns.is_root() {
            journal.protect(&net, name.as_str())?;
        }
        let info = net.link(Which::Name(name))?;
        let index = info.index;
        if journal.is_ours(ns, index) {
            return work(&permit).map(|()| permit);
        }
        let added = Added { journal, ns, others: others(&directory, journal.name())? };
        let mut lost_on_failure = None;
        let mut lost_on_success = None;
        match change {
            LinkChange::Take(verb) => {
                return Err(not_ours(&format!("{verb} `{name}`"))
                    .hint("the kernel destroys a virtual device together with its namespace; make one with `veth`"));
            }
            LinkChange::RemoveAddress(address) => {
                if !added.by_us(index, address) {
                    return Err(not_ours(&format!("remove the address `{address}` of `{name}`")));
                }
                added.refuse_secondaries(&net, &info, address)?;
                lost_on_success = Some(Step::LostAddress { index, address });
            }
            LinkChange::AddAddress(address) => {
                // If it is there, the kernel refuses it, and there is nothing to undo.
                if !net.addrs(Some(index))?.iter().any(|there| there.net == address) {
                    journal.memory().addresses.insert((ns.inode().ino, index, address));
                    journal.write(place_of(ns)?, Step::AddsAddress { index, address })?;
                    lost_on_failure = Some(Step::LostAddress { index, address });
                }
            }
            LinkChange::Stack => {}
            LinkChange::Enslave => {
                // A bridge takes the lowest hardware address of its ports, and their smallest MTU.
                let mac = Value { of: Resource::Mac(index), was: info.mac.clone(), to: None };
                let mtu = Value { of: Resource::Mtu(index), was: info.mtu.to_string(), to: None };
                journal.write(place_of(ns)?, Step::Sets { values: vec![mac, mtu], lost: Vec::new(), was_up: false })?;
            }
            LinkChange::Up | LinkChange::Down | LinkChange::Mtu(_) => {
                if matches!(change, LinkChange::Up) && !info.is_up() && is_bare_loopback(&net, &info)? {
                    journal.write(place_of(ns)?, Step::AddsAddress { index, address: LOOPBACK })?;
                }
                let step = added.setting(&net, &info, change)?;
                journal.write(place_of(ns)?, step)?;
            }
        }
        let done = work(&permit);
        if let Some(step) = if done.is_ok() { lost_on_success } else { lost_on_failure } {
            journal.write(place_of(ns)?, step)?;
        }
        done.map(|()| permit)
    }

    /// Adds a route in `ns` by `work`. A second default route, and routes over guarded devices, are refused.
    pub(crate) fn adding_route(
        &self,
        ns: &NetNs,
        route: &NewRoute,
        work: impl FnOnce(&Permitted) -> Result<()>,
    ) -> Result<()> {
        let permit = Permitted::grant();
        let Some(journal) = self.0.tracked(ns) else { return work(&permit) };
        let _directory = lock(self.0.exec())?;
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
            return work(&permit); // the kernel refuses it, so there is nothing to undo
        }
        journal.memory().routes.insert((ns.inode().ino, route.dst, metric));
        let step = Step::AddsRoute { dst: route.dst, gateway: route.gateway, index: route.index, metric };
        journal.write(place_of(ns)?, step)?;
        let done = work(&permit);
        if done.is_err() {
            journal.write(place_of(ns)?, Step::LostRoute { dst: route.dst, metric })?;
        }
        done
    }

    /// Deletes a route in `ns` by `work`: only one that this session added, or that leads over a link of it.
    pub(crate) fn deleting_route(
        &self,
        ns: &NetNs,
        route: &NewRoute,
        work: impl FnOnce(&Permitted) -> Result<()>,
    ) -> Result<()> {
        let permit = Permitted::grant();
        let Some(journal) = self.0.tracked(ns) else { return work(&permit) };
        let _directory = lock(self.0.exec())?;
        let deleted = ns.net()?.routes(route.dst.addr().is_ipv6())?.into_iter().find(|there| {
            there.dst == route.dst
                && (route.gateway.is_none() || route.gateway == there.gateway())
                && (route.index.is_none() || route.index == there.index())
                && route.metric.is_none_or(|metric| metric == there.metric)
        });
        let Some(deleted) = deleted else { return work(&permit) }; // the kernel will say so
        let over_ours = deleted.index().is_some_and(|index| journal.is_ours(ns, index));
        if !over_ours && !journal.memory().routes.contains(&(ns.inode().ino, deleted.dst, deleted.metric)) {
            return Err(not_ours(&format!("delete the route to `{}`", route.dst)));
        }
        work(&permit)?;
        journal.write(place_of(ns)?, Step::LostRoute { dst: deleted.dst, metric: deleted.metric }).map(drop)
    }

    /// Writes a sysctl in `ns` by `work`. What cannot be undone, and sysctls of guarded devices, are refused.
    pub(crate) fn sysctl<T>(
        &self,
        ns: &NetNs,
        key: &str,
        value: &str,
        work: impl FnOnce(&Permitted) -> Result<T>,
    ) -> Result<T> {
        let permit = Permitted::grant();
        let Some(journal) = self.0.tracked(ns) else { return work(&permit) };
        let _directory = lock(self.0.exec())?;
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
        if key.ends_with(".disable_ipv6") && !key.contains(".default.") && !ours && plain(&before) != plain(value) {
            return Err(Error::plain(Kind::Permission, format!("cannot set `{key}` here"))
                .hint("it would remove the IPv6 addresses of devices that this lab did not make"));
        }
        let mut was = vec![(key.to_owned(), before)];
        for other in changed_with(&parts) {
            was.extend(net.sysctls_like(&other)?);
        }
        let values =
            was.iter().map(|(key, was)| Value { of: Resource::Sysctl(key.clone()), was: plain(was), to: None });
        let at_time =
            journal.write(place_of(ns)?, Step::Sets { values: values.collect(), lost: Vec::new(), was_up: false })?;
        let done = work(&permit);
        let now = was.into_iter().filter_map(|(key, was)| {
            let now = net.sysctl(&key).ok().map(|now| plain(&now)).filter(|now| *now != plain(&was))?;
            Some((Resource::Sysctl(key), now))
        });
        journal.write(place_of(ns)?, Step::HasSet { at_time, values: now.collect() })?;
        done
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

fn is_bare_loopback(net: &Net, link: &LinkInfo) -> Result<bool> {
    Ok(link.index == LOOPBACK_INDEX && !net.addrs(Some(link.index))?.iter().any(|address| address.net == LOOPBACK))
}
