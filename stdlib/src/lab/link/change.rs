//! Changes of a link, each of which the guard permits: state, name, MTU, master, addresses, namespace, end.

use ipnet::IpNet;
use nix::errno::Errno;

use super::Link;
use crate::error::{Error, Result};
use crate::lab::NetNs;
use crate::lab::host::{Guard, LinkChange, Permitted};
use crate::name::IfName;
use crate::net::Net;
use crate::net::link::{Change, Which};

impl Link {
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
}
