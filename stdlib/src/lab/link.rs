//! The handle of a link: where it is and what it is called, shared by all clones, so that a move is seen by all.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ipnet::IpNet;
use nix::errno::Errno;

use super::{Lab, NetNs};
use crate::error::{Error, Result};
use crate::name::IfName;
use crate::net::Net;
use crate::net::addr::AddrInfo;
use crate::net::link::{Change, LinkInfo, Which};

/// A link, as scripts hold it. Its properties are asked of the kernel each time.
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
    /// The kernel's number, where it is known: it stays the same as long as the link stays in its namespace.
    index: Option<u32>,
}

impl Link {
    /// The link called `name` in `ns`; nobody looks whether there is one.
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

    /// Creates a cable; each end knows the other.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_cable(a: (&NetNs, IfName), b: (&NetNs, IfName)) -> Result<(Self, Self)> {
        let [at_a, at_b] = a.0.net()?.add_veth(&a.1, &*b.0.net()?, &b.1)?;
        let (a, b) = (Self::numbered(a.0, a.1, at_a), Self::numbered(b.0, b.1, at_b));
        let _ = a.0.peer.set(Arc::downgrade(&b.0));
        let _ = b.0.peer.set(Arc::downgrade(&a.0));
        Ok((a, b))
    }

    /// Creates a bridge.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_bridge(ns: &NetNs, name: IfName) -> Result<Self> {
        let index = ns.net()?.add_bridge(&name)?;
        Ok(Self::numbered(ns, name, index))
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

    /// What the kernel knows about it.
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
        if at.index != Some(info.index) {
            self.set(|at| at.index = Some(info.index));
        }
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
        self.with_index(|net, index| net.addrs(Some(index)))
    }

    /// Runs `work` with the index, and once more with a fresh one if the link was made anew meanwhile.
    fn with_index<T>(&self, work: impl Fn(&Net, u32) -> Result<T>) -> Result<T> {
        let net = self.ns().net()?;
        let known = self.at().index.is_some();
        match work(&net, self.index()?) {
            Err(error) if known && error.errno == Some(Errno::ENODEV) => {
                self.set(|at| at.index = None);
                work(&net, self.index()?)
            }
            done => done,
        }
    }

    /// Sets it up, and returns when it can carry packets, as far as that lies at this end and the one we know.
    ///
    /// # Errors
    /// The kernel's.
    pub fn up(&self, lab: &Lab) -> Result<()> {
        self.change(Change::Up, "set up")?;
        if !self.with_index(Net::wait_usable)? {
            return Ok(());
        }
        self.peer(lab).map_or(Ok(()), |peer| {
            // The end that was opened first gets its carrier only now. It may be gone: that is not our concern.
            let at = peer.at();
            match (at.ns.net(), at.index) {
                (Ok(net), Some(index)) => net.wait_usable(index).and_then(|_| net.forget_unresolved(index)),
                _ => Ok(()),
            }
        })
    }

    /// Sets it down.
    ///
    /// # Errors
    /// The kernel's.
    pub fn down(&self) -> Result<()> {
        self.change(Change::Down, "set down")
    }

    /// Changes one thing; `verb` names it in an error.
    pub(crate) fn change(&self, change: Change<'_>, verb: &str) -> Result<()> {
        let name = self.name();
        self.with_index(|net, index| net.change_link(Which::Index(index), change, || format!("{verb} link `{name}`")))
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rename(&self, name: IfName) -> Result<()> {
        self.change(Change::Name(&name), "rename")?;
        self.set(|at| at.name = name);
        Ok(())
    }

    /// Makes it a port of a bridge, or of none.
    ///
    /// # Errors
    /// `Usage` if the bridge is elsewhere; the kernel's.
    pub fn set_master(&self, master: Option<&Self>) -> Result<()> {
        let Some(master) = master else { return self.change(Change::Master(None), "release") };
        let (here, there) = (self.ns(), master.ns());
        if !here.is(&there) {
            return Err(Error::usage(format!(
                "link `{}` is in {}, the bridge `{}` in {}",
                self.name(),
                here.label(),
                master.name(),
                there.label()
            ))
            .hint(
                "a port must be in the namespace of its bridge: `move_to(link, ns)`, or place it there with `veth`",
            ));
        }
        let index = master.index()?;
        self.change(Change::Master(Some(index)), &format!("add to bridge `{}`:", master.name())).map_err(|error| {
            match error.errno {
                // net/bridge/br_if.c: a port number has ten bits.
                Some(Errno::EXFULL) => error.hint("a bridge holds 1,023 ports: use two"),
                Some(Errno::EOPNOTSUPP) => error.hint(format!("is `{}` a bridge?", master.name())),
                _ => error,
            }
        })
    }

    /// Adds an address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_addr(&self, net: IpNet, dad: bool) -> Result<()> {
        let name = self.name();
        self.with_index(|ns, index| ns.add_addr(index, name.as_str(), net, dad))
    }

    /// Removes an address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete_addr(&self, net: IpNet) -> Result<()> {
        let name = self.name();
        self.with_index(|ns, index| ns.delete_addr(index, name.as_str(), net))
    }

    /// Moves it into `target`. The kernel takes its addresses and routes away and sets it down.
    ///
    /// # Errors
    /// The kernel's.
    pub fn move_to(&self, target: &NetNs) -> Result<()> {
        let at = self.at();
        at.ns.net()?.move_link(&at.name, &*target.net()?)?;
        self.set(|at| {
            at.ns = target.clone();
            at.index = None;
        });
        Ok(())
    }

    /// Moves it into the namespace of a process, which becomes `target`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn move_to_pid(&self, pid: u32, target: &NetNs) -> Result<()> {
        let at = self.at();
        at.ns.net()?.move_link_to_pid(&at.name, pid)?;
        self.set(|at| {
            at.ns = target.clone();
            at.index = None;
        });
        Ok(())
    }

    /// Deletes it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete(&self) -> Result<()> {
        let at = self.at();
        at.ns.net()?.delete_link(&at.name)
    }

    /// The other end of its cable: the one we made, or the one the kernel names, if it is in a namespace we know.
    #[must_use]
    pub fn peer(&self, lab: &Lab) -> Option<Self> {
        if let Some(peer) = self.0.peer.get().and_then(Weak::upgrade) {
            return Some(Self(peer));
        }
        let info = self.info().ok().filter(|info| info.kind == "veth")?;
        let here = self.ns();
        let ns = match info.netnsid {
            Some(id) => lab.by_id(&here, id)?,
            None => here,
        };
        let index = info.peer_index?;
        let peer = ns.net().ok()?.find_link(Which::Index(index)).ok()??;
        Some(Self::numbered(&ns, IfName::from_kernel(&peer.name), Some(index)))
    }
}

impl Link {
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
