//! Links come into being: veth pairs, and every kind that `NewLink` describes.

use std::sync::Arc;

use nix::errno::Errno;

use super::Link;
use crate::error::Result;
use crate::lab::NetNs;
use crate::lab::host::{Guard, LinkChange};
use crate::name::IfName;
use crate::net::link::kinds::{self, NewLink};

impl Link {
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
}
