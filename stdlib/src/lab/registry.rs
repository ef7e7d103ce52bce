//! What a lab has handles of: namespaces and background processes. Two handles of one namespace share its sockets.

use std::sync::PoisonError;

use nix::errno::Errno;

use super::netns::{self, NetNs, Origin};
use super::{Lab, Process};
use crate::error::Result;
use crate::exec::handle::NsHandle;
use crate::name::NsName;
use crate::net::Net;

impl Lab {
    /// The handle of an open namespace: an earlier one if there is one, so that its sockets are shared.
    pub(crate) fn adopt(&self, handle: NsHandle, name: Option<NsName>) -> NetNs {
        self.known_or(handle, name, Origin::Found)
    }

    /// As [`Lab::adopt`], for a namespace that this lab has just created.
    pub(crate) fn adopt_made(&self, handle: NsHandle) -> NetNs {
        self.known_or(handle, None, Origin::Made)
    }

    /// A handle that is open of the namespace, by the same name if one is given: each name is a name of its own, which
    /// can be deleted. A new handle if there is none.
    fn known_or(&self, handle: NsHandle, name: Option<NsName>, origin: Origin) -> NetNs {
        if name.is_none() && self.root.handle().is_ok_and(|root| root.is(&handle)) {
            return self.root.clone();
        }
        let mut origin = origin;
        let known = self.find(|ns| {
            let is_it = ns.handle().is_ok_and(|h| h.is(&handle));
            if is_it && !ns.is_root() {
                origin = ns.origin();
            }
            is_it && (name.is_none() || ns.name() == name.as_ref())
        });
        if let Some(known) = known {
            return known;
        }
        let label = netns::label(name.as_ref(), &handle);
        let net = Net::new(self.exec.clone(), handle, label, None);
        self.remember(NetNs::new(name, net, origin))
    }

    /// The namespace that `viewer` knows by the id `netnsid`, among those that the lab has handles of.
    ///
    /// # Errors
    /// `Gone` if `viewer` was deleted, or the kernel's.
    pub(crate) fn by_id(&self, viewer: &NetNs, netnsid: i32) -> Result<Option<NetNs>> {
        let viewer = viewer.net()?;
        for ns in self.known() {
            let Ok(net) = ns.net() else { continue }; // deleted meanwhile
            if viewer.id_of(&net)? == Some(netnsid) {
                return Ok(Some(ns));
            }
        }
        Ok(None)
    }

    /// The root and every namespace of which a handle is open.
    #[must_use]
    pub fn known(&self) -> Vec<NetNs> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let open = known.iter().filter_map(NetNs::upgrade).filter(|ns| !ns.is_closed());
        std::iter::once(self.root.clone()).chain(open).collect()
    }

    /// The root, the namespaces with a name, and those of which a handle is open.
    ///
    /// # Errors
    /// When `/run/netns` cannot be read.
    pub fn all(&self) -> Result<Vec<NetNs>> {
        let named = self.netns_names()?;
        let mut all = vec![self.root.clone()];
        for name in &named {
            match NsName::new(name).and_then(|name| self.open_netns(&name)) {
                Ok(ns) => all.push(ns),
                // The name of another program that nslab does not accept, a plain file, or deleted meanwhile.
                Err(error) if matches!(error.errno, None | Some(Errno::ENOENT | Errno::EINVAL)) => {}
                Err(error) => return Err(error),
            }
        }
        for ns in self.known() {
            if !all.iter().any(|known| known.is(&ns)) {
                all.push(ns);
            }
        }
        Ok(all)
    }

    /// The first open handle that fits.
    pub(super) fn find(&self, fits: impl FnMut(&NetNs) -> bool) -> Option<NetNs> {
        let known: Vec<NetNs> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter_map(NetNs::upgrade).collect()
        };
        known.into_iter().find(fits)
    }

    /// The background processes that run, and those that have ended and of which there is a handle.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.iter().filter_map(Process::upgrade).collect()
    }

    pub(crate) fn started(&self, process: &Process) {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.retain(|process| process.strong_count() > 0);
        processes.push(process.downgrade());
    }

    pub(super) fn remember(&self, ns: NetNs) -> NetNs {
        if let Some(watcher) = self.events().watcher() {
            let _ = watcher.add(&ns); // a namespace that cannot be watched works all the same
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == known.capacity() {
            known.retain(|ns| ns.strong_count() > 0);
        }
        known.push(ns.downgrade());
        ns
    }
}
