//! The handle of a link: its namespace and its name, shared by all clones, so that all see a move.

mod change;
mod create;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use nix::errno::Errno;

use super::{Lab, NetNs};
use crate::error::Result;
use crate::name::IfName;
use crate::net::Net;
use crate::net::addr::AddrInfo;
use crate::net::link::{LinkInfo, Which};

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
