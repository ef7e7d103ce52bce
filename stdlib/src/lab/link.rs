//! The handle of a link: its namespace and its name, shared by all clones, so that all see a move.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ipnet::IpNet;
use nix::errno::Errno;

use super::host::{Guard, LinkChange, Permitted};
use super::{Lab, NetNs};
use crate::error::{Error, Result};
use crate::name::IfName;
use crate::net::Net;
use crate::net::addr::AddrInfo;
use crate::net::link::kinds::{self, NewLink};
use crate::net::link::{Change, LinkInfo, Which};

/// A link, as scripts hold it. Its properties are read from the kernel each time.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    at: Mutex<At>,
    peer: OnceLock<Weak<Inner>>,
}

#[derive(Clone)]
struct At {
    ns: NetNs,
    name: IfName,
    /// The interface index, where it is known: it stays the same as long as the link stays in its namespace.
    index: Option<u32>,
}

impl Link {
    /// The link called `name` in `ns`, whether it exists or not.
    #[must_use]
    pub fn new(ns: &NetNs, name: IfName) -> Self {
        let at = At { ns: ns.clone(), name, index: None };
        Self(Arc::new(Inner { at: Mutex::new(at), peer: OnceLock::new() }))
    }

    fn numbered(ns: &NetNs, name: IfName, index: Option<u32>) -> Self {
        let link = Self::new(ns, name);
        link.set(|at| at.index = index);
        link
    }

    /// Creates a veth pair; each end has the other.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn create_veth(guard: &Guard, a: (&NetNs, IfName), b: (&NetNs, IfName)) -> Result<(Self, Self)> {
        let [at_a, at_b] = guard.creating(&[(a.0, &a.1), (b.0, &b.1)], |permit| {
            let (near, far) = (a.0.net()?, b.0.net()?);
            near.add_link(permit, &kinds::veth::new(&a.1, &near, &b.1, &far)).map_err(|error| {
                // The kernel does not say which of the two names is taken.
                if error.errno == Some(Errno::EEXIST) && !near.has_link(&a.1) {
                    let text =
                        format!("{} has a link `{}` already: choose another name, or `delete` it", b.0.label(), b.1);
                    return error.only_hint(text);
                }
                error
            })
        })?;
        let (a, b) = (Self::numbered(a.0, a.1, at_a), Self::numbered(b.0, b.1, at_b));
        let _ = a.0.peer.set(Arc::downgrade(&b.0)); // both cells are new
        let _ = b.0.peer.set(Arc::downgrade(&a.0));
        Ok((a, b))
    }

    /// Creates a link that has no peer.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub(crate) fn create(guard: &Guard, ns: &NetNs, new: &NewLink) -> Result<Self> {
        let [index, _] = guard.creating(&[(ns, &new.name)], |permit| ns.net()?.add_link(permit, new))?;
        Ok(Self::numbered(ns, new.name.clone(), index))
    }

    /// Creates a link on top of `lower`, in the namespace of that.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub(crate) fn create_on(guard: &Guard, lower: &Self, new: NewLink) -> Result<Self> {
        guard.link((&lower.ns(), &lower.name()), LinkChange::Stack, |_| Ok(()))?;
        let new =
            NewLink { lower: Some(lower.index()?), with: format!(" on link `{}`{}", lower.name(), new.with), ..new };
        Self::create(guard, &lower.ns(), &new)
    }

    fn at(&self) -> At {
        self.0.at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut At)) {
        change(&mut self.0.at.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The namespace it is in.
    #[must_use]
    pub fn ns(&self) -> NetNs {
        self.at().ns
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> IfName {
        self.at().name
    }

    /// Its index.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn index(&self) -> Result<u32> {
        let at = self.at();
        if let Some(index) = at.index {
            return Ok(index);
        }
        let index = at.ns.net()?.link_index(&at.name)?;
        self.set(|at| at.index = Some(index));
        Ok(index)
    }

    /// What the kernel reports about it.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn info(&self) -> Result<LinkInfo> {
        let at = self.at();
        let net = at.ns.net()?;
        let by_index = at.index.map(|index| net.find_link(Which::Index(index))).transpose()?.flatten();
        let info = match by_index.filter(|info| info.name == at.name.as_str()) {
            Some(info) => info,
            None => net.link(Which::Name(&at.name))?,
        };
        self.set(|at| (at.index, at.name) = (Some(info.index), IfName::from_kernel(&info.name)));
        Ok(info)
    }

    /// Whether there is such a link now.
    ///
    /// # Errors
    /// The kernel's, other than "no such device".
    pub fn exists(&self) -> Result<bool> {
        let at = self.at();
        if at.ns.is_closed() {
            return Ok(false);
        }
        Ok(at.ns.net()?.find_link(Which::Name(&at.name))?.is_some())
    }

    /// Its addresses.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn addrs(&self) -> Result<Vec<AddrInfo>> {
        self.with_index(|| format!("list addresses of link `{}`", self.name()), |net, index| net.addrs(Some(index)))
    }

    /// Runs `work` with the index, and once more with a new one if the link was created again in between. `op` names
    /// the operation if there is no such link.
    fn with_index<T>(&self, op: impl Fn() -> String, work: impl Fn(&Net, u32) -> Result<T>) -> Result<T> {
        let net = self.ns().net()?;
        let index = || self.index().map_err(|error| error.during(op()));
        let known = self.at().index.is_some();
        match work(&net, index()?) {
            Err(error) if known && error.errno == Some(Errno::ENODEV) => {
                self.set(|at| at.index = None);
                work(&net, index()?)
            }
            done => done,
        }
    }

    /// Changes the link by `work`, which the guard permits. An error of the kernel names the operation that was asked for.
    fn guarded(
        &self,
        guard: &Guard,
        change: LinkChange,
        op: impl Fn() -> String,
        work: impl FnOnce(&Permitted) -> Result<()>,
    ) -> Result<Permitted> {
        guard
            .link((&self.ns(), &self.name()), change, work)
            .map_err(|error| if error.errno.is_some() { error.during(op()) } else { error })
    }

    /// Brings the link up and waits until both known ends are usable.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn up(&self, guard: &Guard) -> Result<()> {
        let op = || format!("set up link `{}`", self.name());
        let permit = self.guarded(guard, LinkChange::Up, op, |permit| self.change(permit, Change::Up, op))?;
        let has_peer = self.with_index(op, Net::wait_usable)?;
        self.with_index(op, Net::wait_addresses)?;
        if !has_peer {
            return Ok(());
        }
        let Some(peer) = self.peer(guard.lab())? else { return Ok(()) };
        // The end that was opened first gets its carrier only now. If it is gone, there is nothing to wait for.
        let at = peer.at();
        match (at.ns.net(), at.index) {
            (Ok(net), Some(index)) => {
                net.wait_usable(index)?;
                net.forget_unresolved(&permit, Some(index)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Sets it down.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn down(&self, guard: &Guard) -> Result<()> {
        let op = || format!("set down link `{}`", self.name());
        self.guarded(guard, LinkChange::Down, op, |permit| self.change(permit, Change::Down, op))?;
        // Both ends change their state now: else a list could still show the other one UP.
        let peer = self.peer(guard.lab())?;
        [self].into_iter().chain(&peer).for_each(|end| drop(end.with_index(op, Net::run_link_watch)));
        Ok(())
    }

    /// Sets its MTU.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn set_mtu(&self, guard: &Guard, mtu: u32) -> Result<()> {
        let op = || format!("set mtu {mtu} of link `{}`", self.name());
        self.guarded(guard, LinkChange::Mtu(mtu), op, |permit| self.change(permit, Change::Mtu(mtu), op)).map(drop)
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn rename(&self, guard: &Guard, name: IfName) -> Result<()> {
        let op = || format!("rename link `{}` to `{name}`", self.name());
        self.guarded(guard, LinkChange::Take("rename"), op, |permit| self.change(permit, Change::Name(&name), op))?;
        self.set(|at| at.name = name);
        Ok(())
    }

    fn change(&self, permit: &Permitted, change: Change<'_>, op: impl Fn() -> String) -> Result<()> {
        self.with_index(&op, |net, index| net.change_link(permit, Which::Index(index), change, &op))
    }

    /// Gives it a master, such as the bridge that it becomes a port of.
    ///
    /// # Errors
    /// `Usage` if the master is in another namespace; the guard's and the kernel's.
    pub fn set_master(&self, guard: &Guard, master: &Self) -> Result<()> {
        let op = || format!("set master of link `{}` to `{}`", self.name(), master.name());
        self.guarded(guard, LinkChange::Take("set the master of"), op, |_| Ok(()))?;
        let (here, there) = (self.ns(), master.ns());
        if !here.is(&there) {
            let (name, its) = (self.name(), master.name());
            let text = format!("link `{name}` is in {}, its master `{its}` in {}", here.label(), there.label());
            let hint = "both must be in one namespace: `move_to(link, ns)`, or place it there with `veth`";
            return Err(Error::usage(text).hint(hint));
        }
        let index = master.index()?;
        let enslave = |permit: &Permitted| self.change(permit, Change::Master(Some(index)), op);
        let enslaved = guard.link((&there, &master.name()), LinkChange::Enslave, enslave);
        enslaved.map(drop).map_err(|error| match error.errno {
            // net/bridge/br_if.c: a port number has ten bits.
            Some(Errno::EXFULL) => error.hint("a bridge holds 1,023 ports: use two"),
            Some(Errno::EOPNOTSUPP) => error.hint(format!("is `{}` a bridge?", master.name())),
            _ => error,
        })
    }

    /// Takes its master away.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn remove_master(&self, guard: &Guard) -> Result<()> {
        let op = || format!("remove master of link `{}`", self.name());
        let free = |permit: &Permitted| self.change(permit, Change::Master(None), op);
        self.guarded(guard, LinkChange::Take("remove the master of"), op, free).map(drop)
    }

    /// Adds an address, and waits until the kernel delivers packets to it. `dad` runs duplicate address detection
    /// first: then it returns before that ends.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn add_addr(&self, guard: &Guard, net: IpNet, dad: bool) -> Result<()> {
        let (ns, name) = (self.ns(), self.name());
        let op = || format!("add address `{net}` to link `{name}`");
        if dad && net.addr().is_ipv6() {
            // Switched off for the links of new namespaces (`exec::netns`).
            let key = format!("net.ipv6.conf.{}.accept_dad", name.as_str().replace('.', "/"));
            guard.sysctl(&ns, &key, "1", |permit| ns.net()?.set_sysctl(permit, &key, "1"))?;
        }
        let add =
            |permit: &Permitted| self.with_index(op, |ns, index| ns.add_addr(permit, index, name.as_str(), net, dad));
        self.guarded(guard, LinkChange::AddAddress(net), op, add)?;
        if net.addr().is_ipv6() && !dad && self.info()?.is_up() {
            self.with_index(op, Net::wait_addresses)?;
        }
        Ok(())
    }

    /// Removes an address.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn delete_addr(&self, guard: &Guard, net: IpNet) -> Result<()> {
        let name = self.name();
        let op = || format!("delete address `{net}` from link `{name}`");
        let delete =
            |permit: &Permitted| self.with_index(op, |ns, index| ns.delete_addr(permit, index, name.as_str(), net));
        self.guarded(guard, LinkChange::RemoveAddress(net), op, delete).map(drop)
    }

    /// Moves it into `target`. The kernel removes its addresses and routes and sets it down.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn move_to(&self, guard: &Guard, target: &NetNs) -> Result<()> {
        let at = self.at();
        guard.moving((&at.ns, &at.name), target, |permit| at.ns.net()?.move_link(permit, &at.name, &*target.net()?))?;
        self.arrive(target);
        Ok(())
    }

    /// Moves it into the namespace of a process, which is `target`.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn move_to_pid(&self, guard: &Guard, pid: u32, target: &NetNs) -> Result<()> {
        let at = self.at();
        guard.moving((&at.ns, &at.name), target, |permit| at.ns.net()?.move_link_to_pid(permit, &at.name, pid))?;
        self.arrive(target);
        Ok(())
    }

    /// Notes that the link is in `target` now.
    fn arrive(&self, target: &NetNs) {
        self.set(|at| (at.ns, at.index) = (target.clone(), None));
    }

    /// Deletes it.
    ///
    /// # Errors
    /// The guard's and the kernel's.
    pub fn delete(&self, guard: &Guard) -> Result<()> {
        let at = self.at();
        let op = || format!("delete link `{}`", at.name);
        let delete = |permit: &Permitted| at.ns.net()?.delete_link(permit, &at.name);
        self.guarded(guard, LinkChange::Take("delete"), op, delete).map(drop)
    }

    /// The other end of a veth pair, if it is in a namespace that the lab has a handle of.
    ///
    /// # Errors
    /// If the link is gone, or the kernel's.
    pub fn peer(&self, lab: &Lab) -> Result<Option<Self>> {
        if let Some(peer) = self.0.peer.get().and_then(Weak::upgrade) {
            return Ok(Some(Self(peer)));
        }
        let info = self.info()?;
        info.peer_index.map_or(Ok(None), |index| self.elsewhere(lab, info.netnsid, index))
    }

    /// The link below it, if it is in a namespace that the lab has a handle of.
    ///
    /// # Errors
    /// If the link is gone, or the kernel's.
    pub fn lower(&self, lab: &Lab) -> Result<Option<Self>> {
        let info = self.info()?;
        info.lower_index.map_or(Ok(None), |index| self.elsewhere(lab, info.netnsid, index))
    }

    /// The link with the index `index` in the namespace that this link's namespace knows by `netnsid`.
    fn elsewhere(&self, lab: &Lab, netnsid: Option<i32>, index: u32) -> Result<Option<Self>> {
        let here = self.ns();
        let ns = match netnsid {
            Some(id) => lab.by_id(&here, id)?,
            None => Some(here),
        };
        let Some(ns) = ns else { return Ok(None) };
        let Ok(net) = ns.net() else { return Ok(None) }; // deleted meanwhile
        let link = net.find_link(Which::Index(index))?;
        Ok(link.map(|link| Self::numbered(&ns, IfName::from_kernel(&link.name), Some(index))))
    }

    /// Whether both name the same link.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.ns().is(&other.ns()) && matches!((self.index(), other.index()), (Ok(a), Ok(b)) if a == b)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at();
        write!(f, "{} in {}", at.name, at.ns.label())
    }
}
