//! The handle of a network namespace: cheap to clone, empty once it is deleted.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::error::Result;
use crate::exec::handle::{NsHandle, NsInode};
use crate::name::NsName;
use crate::net::Net;
use crate::net::connection::deleted;

/// A network namespace, as scripts hold it.
#[derive(Clone)]
pub struct NetNs(Arc<Inner>);

/// Where a namespace comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The interpreter itself is in it.
    Root,
    /// This lab made it, so what is in it goes with it.
    Made,
    /// It was there: found by its name or by a process in it.
    Found,
}

/// What all clones share.
pub struct Inner {
    name: Option<NsName>,
    label: String,
    inode: NsInode,
    /// A number that no other namespace ever has, once the namespace is closed; some kernels have none.
    last_id: OnceLock<Option<u64>>,
    /// The id in the lab's root by which the end of the namespace is seen, once it is deleted.
    ending_id: OnceLock<i32>,
    origin: Origin,
    net: Mutex<Option<Arc<Net>>>,
}

/// What a sentence calls a namespace.
pub(crate) fn label(name: Option<&NsName>, handle: &NsHandle) -> String {
    match name {
        Some(name) => format!("namespace `{name}`"),
        None => format!("namespace {handle}"),
    }
}

impl NetNs {
    pub(crate) fn new(name: Option<NsName>, net: Net, origin: Origin) -> Self {
        let (label, inode) = (net.label().to_owned(), net.handle().inode());
        Self(Arc::new(Inner {
            name,
            label,
            inode,
            last_id: OnceLock::new(),
            ending_id: OnceLock::new(),
            origin,
            net: Mutex::new(Some(Arc::new(net))),
        }))
    }

    /// The name below `/run/netns`, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&NsName> {
        self.0.name.as_ref()
    }

    /// What a sentence calls it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// A short name for prompts and tables.
    #[must_use]
    pub fn short(&self) -> String {
        match &self.0.name {
            Some(name) => name.to_string(),
            None if self.is_root() => "host".into(),
            None => format!("net:[{}]", self.0.inode.ino),
        }
    }

    /// Whether it is the namespace that the interpreter itself is in.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.origin == Origin::Root
    }

    /// Whether this lab made it.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.0.origin == Origin::Made
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Device and inode; they stay readable after deletion, when they say nothing any more.
    #[must_use]
    pub fn inode(&self) -> NsInode {
        self.0.inode
    }

    /// The open namespace.
    ///
    /// # Errors
    /// `Gone` after `delete`.
    pub fn net(&self) -> Result<Arc<Net>> {
        let net = self.0.net.lock().unwrap_or_else(PoisonError::into_inner);
        net.clone().ok_or_else(|| deleted(&self.0.label))
    }

    /// Its descriptor.
    ///
    /// # Errors
    /// `Gone` after `delete`.
    pub fn handle(&self) -> Result<NsHandle> {
        Ok(self.net()?.handle().clone())
    }

    /// Whether it was deleted through this handle.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.net.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The kernel's number of the namespace, which is never used again, where the kernel has such numbers.
    #[must_use]
    pub fn unique_id(&self) -> Option<u64> {
        match self.net() {
            Ok(net) => net.handle().unique_id(),
            Err(_) => self.0.last_id.get().copied().flatten(),
        }
    }

    /// Remembers the id in the lab's root that is free again when the namespace has ended.
    pub(super) fn ends_with(&self, id: i32) {
        let _ = self.0.ending_id.set(id); // a namespace is deleted once
    }

    /// That id, once the namespace is deleted.
    pub(super) fn ending_id(&self) -> Option<i32> {
        self.0.ending_id.get().copied()
    }

    /// Drops the descriptor and every socket inside.
    pub(crate) fn close(&self) {
        if let Some(net) = self.0.net.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = self.0.last_id.set(net.handle().unique_id());
        }
    }

    /// Whether both are handles of the same namespace.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || matches!((self.handle(), other.handle()), (Ok(a), Ok(b)) if a.is(&b))
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(Self)
    }
}

impl fmt::Display for NetNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}
