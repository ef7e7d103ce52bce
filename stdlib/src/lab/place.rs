//! Where work happens: a network namespace, and perhaps namespaces of other kinds.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::netns::Origin;
use super::{Lab, NetNs};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::exec::init::Init;
use crate::exec::spawn;
use crate::net::Net;

/// A set of namespaces that are held: what `nsenter`, `unshare` and `hold` return.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    label: String,
    /// A process that is in them, or was when they were opened.
    pid: Option<u32>,
    held: Mutex<Option<Held>>,
}

struct Held {
    handles: Vec<NsHandle>,
    net: Option<NetNs>,
    /// PID 1 of a new pid namespace: nothing can run in it after that process is gone.
    _init: Option<Init>,
}

impl Sandbox {
    fn new(label: String, pid: Option<u32>, handles: Vec<NsHandle>, net: Option<NetNs>, init: Option<Init>) -> Self {
        Self(Arc::new(Inner { label, pid, held: Mutex::new(Some(Held { handles, net, _init: init })) }))
    }

    /// The namespaces of a process. Like `nsenter -t PID`.
    ///
    /// # Errors
    /// `NotFound` without such a process, `Permission` where it is not ours to look at.
    pub fn of_process(lab: &Lab, pid: u32, kinds: &[NsKind]) -> Result<Self> {
        spawn::no_duplicates(kinds)?;
        let handles = kinds.iter().map(|&kind| crate::ns::open(pid, kind)).collect::<Result<Vec<_>>>()?;
        // Entering one's own user namespace again is refused (user_namespaces(7)), and changes nothing.
        let own = NsHandle::open(NsKind::User, Path::new("/proc/self/ns/user"))?;
        let handles: Vec<_> = handles.into_iter().filter(|handle| !handle.is(&own)).collect();
        let net = handles.iter().find(|handle| handle.kind() == NsKind::Net).map(|handle| own_net(lab, handle));
        Ok(Self::new(format!("namespaces of process {pid}"), Some(pid), handles, net, None))
    }

    /// New namespaces. Like `unshare(1)`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(lab: &Lab, kinds: &[NsKind]) -> Result<Self> {
        spawn::no_duplicates(kinds)?;
        let (handles, init) = spawn::make(kinds)?;
        let net = handles.iter().find(|handle| handle.kind() == NsKind::Net).cloned();
        let net = net.map(|handle| lab.adopt_made(handle));
        Ok(Self::new("sandbox".into(), init.as_ref().map(Init::pid), handles, net, init))
    }

    /// One more descriptor of a network namespace.
    ///
    /// # Errors
    /// `Gone` after `delete`.
    pub fn hold(lab: &Lab, ns: &NetNs) -> Result<Self> {
        use std::os::fd::AsFd;
        let net = ns.handle()?;
        let copy = net.as_fd().try_clone_to_owned().map_err(|e| Error::io("copy a descriptor", &e))?;
        let handle = NsHandle::new(NsKind::Net, copy)?;
        // A handle of its own, so that deleting `ns` does not empty it.
        let net = Net::new(lab.exec().clone(), handle.clone(), format!("held {}", ns.label()), None);
        let net = net.seeing_as(&*ns.net()?);
        let net = NetNs::new(None, net, ns.origin());
        Ok(Self::new(format!("hold on {}", ns.label()), None, vec![handle], Some(net), None))
    }

    /// Lets go of the namespaces; whether it held any.
    #[must_use]
    pub fn release(&self) -> bool {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(net) = held.as_ref().and_then(|held| held.net.as_ref()).filter(|net| !net.is_root()) {
            net.close();
        }
        held.is_some()
    }

    /// What it is, in a sentence.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// A process that was in the namespaces when they were opened. It may have ended or entered others since.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// The descriptors.
    ///
    /// # Errors
    /// `Gone` after `release`.
    pub fn handles(&self) -> Result<Vec<NsHandle>> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| held.handles.clone()).ok_or_else(|| self.released())
    }

    /// Its network namespace, if that is one of the kinds.
    ///
    /// # Errors
    /// `Gone` after `release`.
    pub fn net(&self) -> Result<Option<NetNs>> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| held.net.clone()).ok_or_else(|| self.released())
    }

    /// Its network namespace.
    ///
    /// # Errors
    /// `Usage` if that is not one of the kinds; `Gone` after `release`.
    pub fn require_net(&self) -> Result<NetNs> {
        let none = || Error::usage(format!("the {} has no network namespace of its own", self.label()));
        self.net()?.ok_or_else(none)
    }

    fn released(&self) -> Error {
        Error::plain(Kind::Gone, format!("the {} was released", self.0.label))
    }
}

/// A handle of its own for an open network namespace: deleting another handle does not empty it, and releasing this
/// one empties no other.
fn own_net(lab: &Lab, handle: &NsHandle) -> NetNs {
    if lab.root().handle().is_ok_and(|root| root.is(handle)) {
        return lab.root().clone();
    }
    let known = lab.find(|ns| ns.handle().is_ok_and(|known| known.is(handle)));
    let origin = known.as_ref().map_or(Origin::Found, NetNs::origin);
    let name = known.as_ref().and_then(|ns| ns.name().cloned());
    let label = super::netns::label(name.as_ref(), handle);
    let net = Net::new(lab.exec().clone(), handle.clone(), label, None);
    let net = match known.and_then(|ns| ns.net().ok()) {
        Some(known) => net.seeing_as(&known),
        None => net,
    };
    NetNs::new(name, net, origin)
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.handles() {
            Ok(handles) => {
                let shown: Vec<_> = handles.iter().map(ToString::to_string).collect();
                write!(f, "{} ({})", self.0.label, shown.join(" "))
            }
            Err(_) => write!(f, "{} (released)", self.0.label),
        }
    }
}

/// Where an operation happens. It is the evaluation's tag, never a thread's state.
#[derive(Clone)]
pub struct Place {
    /// The network namespace.
    pub net: NetNs,
    /// Namespaces of other kinds, for programs.
    pub sandbox: Option<Sandbox>,
}

impl Place {
    /// A network namespace and nothing else.
    #[must_use]
    pub fn of(net: &NetNs) -> Self {
        Self { net: net.clone(), sandbox: None }
    }

    /// The same place, in another network namespace.
    #[must_use]
    pub fn entering(&self, net: &NetNs) -> Self {
        Self { net: net.clone(), sandbox: self.sandbox.clone() }
    }

    /// The place in a sandbox, whose network is the one here if the sandbox has none of its own.
    ///
    /// # Errors
    /// `Gone` after `release`.
    pub fn entering_sandbox(&self, sandbox: &Sandbox) -> Result<Self> {
        let net = sandbox.net()?.unwrap_or_else(|| self.net.clone());
        Ok(Self { net, sandbox: Some(sandbox.clone()) })
    }

    /// What a program has to enter.
    pub(crate) fn namespaces(&self, lab: &Lab) -> Result<Vec<NsHandle>> {
        lab.update_hosts();
        let mut all = match &self.sandbox {
            Some(sandbox) => sandbox.handles()?,
            None => Vec::new(),
        };
        all.retain(|handle| handle.kind() != NsKind::Net);
        if self.net.is_root() {
            return Ok(all);
        }
        let net = self.net.net()?;
        net.expect_ipv6(); // a program may assign addresses
        if !all.iter().any(|handle| handle.kind() == NsKind::Mount) {
            all.push(self.net.view(lab, &net)?);
        }
        all.push(net.handle().clone());
        Ok(all)
    }
}
