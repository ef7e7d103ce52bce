//! What bindings call before they change something: refuses, or writes the journal. In a private lab it costs nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::MsFlags;

use super::journal::{Journal, Step, place_of};
use crate::error::{Error, Kind, Result};
use crate::exec::mounts::NETNS_DIR;
use crate::exec::sys;
use crate::lab::{Lab, Link, NetNs};
use crate::name::IfName;
use crate::net::Net;
use crate::net::link::Which;
use crate::net::route::NewRoute;

/// What is about to happen to a link.
#[derive(Clone, Copy)]
pub enum Changing {
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
    /// It is deleted, moved, renamed, enslaved: only what we made may be.
    Take(&'static str),
}

/// What the kernel gives a loopback device (net/ipv4/devinet.c, `inetdev_event`).
pub(super) const LOOPBACK: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8));

/// The smallest packet that IPv6 works with; below it the kernel removes IPv6 from a link.
const IPV6_MTU: u32 = 1280;

impl Journal {
    fn is_ours(&self, ns: &NetNs, index: u32) -> bool {
        self.memory().links.contains(&(ns.inode().ino, index))
    }

    /// Refuses loopback and the device of the default route, unless they were allowed.
    fn guard(&self, net: &Net, name: &str) -> Result<()> {
        if self.memory().allowed.contains(name) {
            return Ok(());
        }
        let why = match net.find_link(Which::Name(&IfName::from_kernel(name)))? {
            _ if name == "lo" => "the loopback device",
            Some(link) if default_devices(net)?.contains(&link.index) => "the device of the default route",
            _ => return Ok(()),
        };
        Err(Error::plain(Kind::Permission, format!("`{name}` is {why} of this machine"))
            .hint(format!("if you mean it, say `allow_host_device(\"{name}\")` before")))
    }
}

/// The links of the default routes of both families.
fn default_devices(net: &Net) -> Result<BTreeSet<u32>> {
    let routes = net.routes(false)?.into_iter().chain(net.routes(true)?);
    Ok(routes.filter(|route| route.dst.prefix_len() == 0).filter_map(|route| route.index).collect())
}

fn not_ours(text: &str) -> Error {
    Error::plain(Kind::Permission, format!("cannot {text}: this lab did not make it"))
}

impl Lab {
    /// The journal, if what happens in `ns` has to be written there.
    fn tracked(&self, ns: &NetNs) -> Option<&Journal> {
        self.journal().filter(|_| !ns.is_made())
    }

    /// Runs `make`, after which there are links at `ends`, each a namespace and a name.
    ///
    /// # Errors
    /// `make`'s, or the journal's.
    pub fn making_links<T>(&self, ends: &[(&NetNs, &IfName)], make: impl FnOnce() -> Result<T>) -> Result<T> {
        self.arriving(ends, None, make)
    }

    /// Runs `work`, after which `link` is in `target`.
    ///
    /// # Errors
    /// `work`'s, or the journal's.
    pub fn moving(&self, link: &Link, target: &NetNs, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.tracked(target).is_none() {
            return work();
        }
        self.arriving(&[(target, &link.name())], Some(&link.info()?.mac), work)
    }

    fn arriving<T>(
        &self,
        ends: &[(&NetNs, &IfName)],
        mac: Option<&str>,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let mut new = Vec::new();
        for &(ns, name) in ends {
            let Some(journal) = self.tracked(ns) else { continue };
            let links = ns.net()?.links()?;
            if links.iter().all(|link| link.name != name.as_str()) {
                let above = links.iter().map(|link| link.index).max().unwrap_or(0);
                let (name_text, mac) = (name.as_str().to_owned(), mac.map(str::to_owned));
                journal.write(place_of(ns)?, Step::WillMakeLink { name: name_text, above, mac })?;
                new.push((journal, ns, name));
            }
        }
        let made = make()?;
        for (journal, ns, name) in new {
            if let Some(link) = ns.net()?.find_link(Which::Name(name))? {
                let (index, kind) = (link.index, link.kind);
                journal.write(place_of(ns)?, Step::MadeLink { name: link.name, index, kind })?;
                journal.memory().links.insert((ns.inode().ino, index));
            }
        }
        Ok(made)
    }

    /// Before a link is changed.
    ///
    /// # Errors
    /// `Permission` for the devices that keep the machine connected, and for what was there before us.
    pub fn changing(&self, link: &Link, what: Changing) -> Result<()> {
        let ns = link.ns();
        let Some(journal) = self.tracked(&ns) else { return Ok(()) };
        let net = ns.net()?;
        if ns.is_root() {
            journal.guard(&net, link.name().as_str())?;
        }
        let info = link.info()?;
        let index = info.index;
        if journal.is_ours(&ns, index) {
            return Ok(());
        }
        let lost = || net.what_goes_with(index);
        let step = match what {
            Changing::Take(verb) => {
                return Err(not_ours(&format!("{verb} `{}`", link.name())).hint(
                    "a virtual device that is in a namespace when that dies is destroyed with it; make one with `veth`",
                ));
            }
            Changing::RemoveAddress(address) => {
                if journal.memory().addresses.contains(&(ns.inode().ino, index, address)) {
                    return Ok(());
                }
                return Err(not_ours(&format!("remove the address `{address}` of `{}`", link.name())));
            }
            Changing::Up if info.is_up() => return Ok(()),
            Changing::Down if !info.is_up() => return Ok(()),
            Changing::Up => {
                let bare = link.name().as_str() == "lo" && !net.addrs(Some(index))?.iter().any(|a| a.net == LOOPBACK);
                Step::SetsUp { index, bare }
            }
            Changing::Down => Step::SetsDown { index, lost: lost()? },
            Changing::Mtu(mtu) => {
                Step::SetsMtu { index, mtu: info.mtu, lost: if mtu < IPV6_MTU { lost()? } else { Vec::new() } }
            }
            Changing::AddAddress(address) => {
                if net.addrs(Some(index))?.iter().any(|there| there.net == address) {
                    return Ok(()); // adding it will fail, and it is not ours to remove
                }
                journal.memory().addresses.insert((ns.inode().ino, index, address));
                Step::AddsAddress { index, address }
            }
        };
        journal.write(place_of(&ns)?, step)
    }

    /// Before a route is added in `ns`.
    ///
    /// # Errors
    /// `Permission` for a second default route, and for routes over the devices that keep the machine connected.
    pub(crate) fn adding_route(&self, ns: &NetNs, route: &NewRoute) -> Result<()> {
        let Some(journal) = self.tracked(ns) else { return Ok(()) };
        let net = ns.net()?;
        if ns.is_root() {
            let defaults = if route.dst.prefix_len() == 0 { default_devices(&net)? } else { BTreeSet::new() };
            for index in defaults.into_iter().chain(route.index) {
                if let Some(link) = net.find_link(Which::Index(index))? {
                    journal.guard(&net, &link.name)?;
                }
            }
        }
        // The kernel's own choice where none is named (net/ipv6/route.c, IP6_RT_PRIO_USER).
        let metric = route.metric.unwrap_or(if route.dst.addr().is_ipv6() { 1024 } else { 0 });
        if net.routes(route.dst.addr().is_ipv6())?.iter().any(|r| r.dst == route.dst && r.metric == metric) {
            return Ok(()); // adding it will fail, and the one that is there is not ours to remove
        }
        journal.memory().routes.insert((ns.inode().ino, route.dst, metric));
        let step = Step::AddsRoute { dst: route.dst, gateway: route.gateway, index: route.index, metric };
        journal.write(place_of(ns)?, step)
    }

    /// Before a route is deleted in `ns`: only one that we added, or that leads over a link of ours.
    ///
    /// # Errors
    /// `Permission`.
    pub(crate) fn deleting_route(&self, ns: &NetNs, route: &NewRoute) -> Result<()> {
        let Some(journal) = self.tracked(ns) else { return Ok(()) };
        let doomed = ns.net()?.routes(route.dst.addr().is_ipv6())?.into_iter().find(|there| {
            there.dst == route.dst
                && (route.gateway.is_none() || route.gateway == there.gateway)
                && (route.index.is_none() || route.index == there.index)
                && route.metric.is_none_or(|metric| metric == there.metric)
        });
        let Some(doomed) = doomed else { return Ok(()) }; // the kernel will say so
        let over_ours = doomed.index.is_some_and(|index| journal.is_ours(ns, index));
        if over_ours || journal.memory().routes.contains(&(ns.inode().ino, doomed.dst, doomed.metric)) {
            return Ok(());
        }
        Err(not_ours(&format!("delete the route to `{}`", route.dst)))
    }

    /// Before a setting is changed in `ns`.
    ///
    /// # Errors
    /// `Permission` where it cannot be undone, or for the devices that keep the machine connected.
    pub(crate) fn setting(&self, ns: &NetNs, key: &str, value: &str) -> Result<()> {
        let Some(journal) = self.tracked(ns) else { return Ok(()) };
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
                journal.guard(&net, name)?;
            }
            let link = net.find_link(Which::Name(&IfName::from_kernel(name)))?;
            ours = link.is_some_and(|link| journal.is_ours(ns, link.index));
        }
        if key.ends_with(".disable_ipv6") && !key.contains(".default.") && !ours && before != value {
            return Err(Error::plain(Kind::Permission, format!("cannot set `{key}` here"))
                .hint("it would take the IPv6 addresses of devices that this lab did not make"));
        }
        let mut values = vec![(key.to_owned(), before)];
        for other in changed_with(&parts) {
            values.extend(net.sysctls_like(&other)?);
        }
        journal.write(place_of(ns)?, Step::SetsSysctl { values })
    }

    /// Before the name of a namespace is removed.
    ///
    /// # Errors
    /// `Permission` for a name that this lab did not give.
    pub(crate) fn deleting_netns(&self, ns: &NetNs) -> Result<()> {
        let (Some(journal), Some(name)) = (self.tracked(ns), ns.name()) else { return Ok(()) };
        if journal.memory().names.contains(&(name.as_str().to_owned(), ns.inode().ino)) {
            return Ok(());
        }
        Err(not_ours(&format!("delete {}", ns.label())))
    }
}

/// The settings that the kernel writes when it writes this one: `*` stands for every link
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

/// Takes the lock on `/run/netns` that iproute2 takes; none if there is no such folder.
pub(super) fn lock_netns_dir() -> io::Result<Option<Flock<File>>> {
    loop {
        let folder = match File::open(NETNS_DIR) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        let held = lock.metadata()?;
        // Another session may have removed it, or mounted on it, while we waited.
        if fs::metadata(NETNS_DIR).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(lock));
        }
    }
}

impl Journal {
    /// Makes `/run/netns` a shared mount point once, under the lock that iproute2 takes (ip/ipnetns.c, `netns_add`):
    /// two first users would otherwise mount it twice.
    pub(in crate::lab) fn prepare_netns_dir(&self) -> Result<Flock<File>> {
        let fail = |e: io::Error| Error::io(format!("prepare `{NETNS_DIR}`"), &e);
        let lock = loop {
            if let Some(lock) = lock_netns_dir().map_err(fail)? {
                break lock;
            }
            self.write(None, Step::MakesNetnsDir)?;
            fs::create_dir_all(NETNS_DIR).map_err(fail)?;
        };
        let share = || sys::mount("none", NETNS_DIR, "none", MsFlags::MS_SHARED | MsFlags::MS_REC);
        match share() {
            Err(Errno::EINVAL) => {
                self.write(None, Step::MountsNetnsDir)?;
                sys::mount(NETNS_DIR, NETNS_DIR, "none", MsFlags::MS_BIND | MsFlags::MS_REC).and_then(|()| share())
            }
            done => done,
        }
        .map_err(|e| fail(e.into()))?;
        Ok(lock)
    }
}
