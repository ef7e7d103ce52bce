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
use super::sessions::{Other, others};
use super::step::{Lost, Resource, Step, Value};
use super::undo::is_address;
use super::value::{plain, up_word};
use crate::error::{Error, Kind, Result};
use crate::lab::{Lab, NetNs};
use crate::name::IfName;
use crate::net::Net;
use crate::net::keep::{Followers, Kept};
use crate::net::link::{LinkInfo, Which};
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
    /// It becomes the master of another link.
    Enslave,
    /// It is deleted, moved, renamed, or given a master: only a link of this session may be. The verb is for the error.
    Take(&'static str),
}

/// The address that the kernel gives a loopback device (net/ipv4/devinet.c, `inetdev_event`).
const LOOPBACK: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8));

/// The smallest MTU that IPv6 works with. Below it the kernel removes IPv6 from a link.
const IPV6_MTU: u32 = 1280;

/// The smallest MTU that IPv4 works with.
const IPV4_MTU: u32 = 68;

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
                journal.write(place_of(ns)?, Step::Sets { values: vec![mac, mtu], lost: Vec::new() })?;
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
        let at_time = journal.write(place_of(ns)?, Step::Sets { values: values.collect(), lost: Vec::new() })?;
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
    Ok(link.name == "lo" && !net.addrs(Some(link.index))?.iter().any(|address| address.net == LOOPBACK))
}

/// What this session and the others have added in a namespace: it is not to be restored as if it had been there before.
struct Added<'a> {
    journal: &'a Journal,
    ns: &'a NetNs,
    others: Vec<Other>,
}

impl Added<'_> {
    fn by_us(&self, index: u32, address: IpNet) -> bool {
        self.journal.memory().addresses.contains(&(self.ns.inode().ino, index, address))
    }

    /// Refuses to remove an IPv4 address with which the kernel removes others of its network.
    fn refuse_secondaries(&self, net: &Net, link: &LinkInfo, address: IpNet) -> Result<()> {
        let IpNet::V4(_) = address else { return Ok(()) };
        let promoted = ["all".to_owned(), link.name.replace('.', "/")].iter().any(|name| {
            net.sysctl(&format!("net.ipv4.conf.{name}.promote_secondaries")).is_ok_and(|value| value != "0")
        });
        let network: Vec<IpNet> =
            net.addrs(Some(link.index))?.iter().map(|a| a.net).filter(|a| a.trunc() == address.trunc()).collect();
        let foreign = network.iter().skip(1).find(|other| !self.by_us(link.index, **other));
        match foreign {
            Some(other) if !promoted && network.first() == Some(&address) => {
                Err(Error::plain(Kind::Permission, format!("cannot remove the address `{address}` of `{}`", link.name))
                    .hint(format!("the kernel would remove `{other}` with it, which this lab did not add"))
                    .hint(format!("`sysctl(\"net.ipv4.conf.{}.promote_secondaries\", 1)` keeps it", link.name)))
            }
            _ => Ok(()),
        }
    }

    /// The step that sets a link up, down, or its MTU, with what follows from it.
    fn setting(&self, net: &Net, link: &LinkInfo, change: LinkChange) -> Result<Step> {
        let links = net.links()?;
        let followers = Followers::of(link.index, &links);
        let stacked = links.iter().filter(|other| followers.stacked.contains(&other.index));
        let mut values = Vec::new();
        for link in std::iter::once(link).chain(stacked) {
            values.push(match change {
                LinkChange::Mtu(mtu) => {
                    let to = if values.is_empty() { mtu } else { mtu.min(link.mtu) };
                    Value { of: Resource::Mtu(link.index), was: link.mtu.to_string(), to: Some(to.to_string()) }
                }
                _ => {
                    let to = up_word(matches!(change, LinkChange::Up)).to_owned();
                    Value { of: Resource::Up(link.index), was: up_word(link.is_up()).to_owned(), to: Some(to) }
                }
            });
        }
        let changes = values[0].to.as_ref() != Some(&values[0].was);
        if let LinkChange::Mtu(mtu) = change
            && changes
        {
            let names = links.iter().filter(|l| l.index == link.index || followers.stacked.contains(&l.index));
            for name in names.map(|link| link.name.replace('.', "/")) {
                for key in sysctls_with_mtu(&name, mtu) {
                    let old = net.sysctls_like(&key)?;
                    values.extend(old.into_iter().map(|(key, was)| Value {
                        of: Resource::Sysctl(key),
                        was: plain(&was),
                        to: None,
                    }));
                }
            }
        }
        let lost = if changes { self.lost(net, link.index, &followers)? } else { Vec::new() };
        Ok(Step::Sets { values, lost })
    }

    /// What the kernel removes with a link, without what this session has added.
    fn lost(&self, net: &Net, index: u32, followers: &Followers) -> Result<Vec<Lost>> {
        let place = place_of(self.ns)?;
        let memory = self.journal.memory();
        let here = self.ns.inode().ino;
        let ours = |kept: &Kept| {
            memory.addresses.iter().any(|(ns, index, address)| *ns == here && is_address(kept, *index, address))
                || memory.routes.iter().any(|(ns, dst, metric)| *ns == here && is_route(kept, dst, *metric))
        };
        let session = |kept: &Kept| {
            let adds = |other: &&Other| {
                other.entries().iter().filter(|entry| entry.at == place).any(|entry| match &entry.step {
                    Step::AddsAddress { index, address } => is_address(kept, *index, address),
                    Step::AddsRoute { dst, metric, .. } => is_route(kept, dst, *metric),
                    _ => false,
                })
            };
            self.others.iter().find(adds).map(|other| other.name.clone())
        };
        let there = net.what_goes_with(index, followers)?.into_iter().filter(|kept| !ours(kept));
        let (of_others, mut before): (Vec<Kept>, Vec<Kept>) = there.partition(|kept| session(kept).is_some());
        Kept::drop_routes_of_other_addresses(&mut before);
        let all = before.into_iter().chain(of_others);
        Ok(all.map(|kept| Lost { message: kept.encode(), session: session(&kept) }).collect())
    }
}

fn is_route(kept: &Kept, dst: &IpNet, metric: u32) -> bool {
    kept.is_route(dst.addr(), dst.prefix_len(), metric)
}

/// The sysctls that the kernel changes with the MTU of a link: below the smallest MTU of a protocol it forgets them all
/// (`inetdev_valid_mtu` in net/ipv4/devinet.c, `addrconf_notify` in net/ipv6/addrconf.c).
fn sysctls_with_mtu(name: &str, mtu: u32) -> Vec<String> {
    let of = |family: &str| [format!("net.{family}.conf.{name}.*"), format!("net.{family}.neigh.{name}.*")];
    match mtu {
        0..IPV4_MTU => [of("ipv4"), of("ipv6")].concat(),
        IPV4_MTU..IPV6_MTU => of("ipv6").to_vec(),
        _ => vec![format!("net.ipv6.conf.{name}.mtu")],
    }
}
