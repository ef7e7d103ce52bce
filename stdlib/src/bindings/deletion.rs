//! Deleting namespaces and links, what keeps a namespace alive, and waiting for the end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rhai::{Dynamic, INT};

use super::core::options::WaitOptions;
use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::{Changes, Names};
use crate::error::{Error, Kind, Result};
use crate::lab::host::Guard;
use crate::lab::{Lab, Link, NetNs};
use crate::ns::holders::{self, Holder};

pub(super) const FAMILY: Family = Family {
    name: "deletion",
    types: &[register_type::<Holder>, register_list::<Holder>, register_type::<Deleted>],
    bindings: BINDINGS,
};

value! { Holder, "Holder", "One reason why a namespace lives on.";
    /// `process`, `descriptor` or `mount`.
    kind: String = |holder| holder.how.word().into();
    /// The process.
    pid: INT = |holder| INT::from(holder.pid);
    /// The command of the process.
    command: String = |holder| holder.command.clone();
    /// The descriptor, or the mount point.
    detail: String = |holder| holder.detail.clone();
}

impl Listed for Holder {
    const LIST: &'static str = "Holders";
    const LIST_DOC: &'static str = "Everything that can be seen keeping a namespace alive.";
    const COLUMNS: &'static [&'static str] = &["kind", "pid", "command", "detail"];
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if items.is_empty() {
            return f.write_str("nothing holds it");
        }
        for (n, item) in items.iter().enumerate() {
            write!(f, "{}{item}", if n > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

/// What `delete` returns.
#[derive(Clone)]
pub(crate) struct Deleted {
    ns: NetNs,
    /// Computed on demand: scanning /proc costs more than the deletion.
    holders: Arc<Mutex<Option<Vec<Holder>>>>,
}

impl Deleted {
    pub(crate) fn new(ns: &NetNs) -> Self {
        Self { ns: ns.clone(), holders: Arc::default() }
    }

    fn holders(&self) -> Result<Vec<Holder>> {
        let mut seen = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = Some(holders::of(self.ns.inode(), self.ns.unique_id())?);
        }
        Ok(seen.clone().unwrap_or_default())
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holders() {
            Ok(holders) if holders.is_empty() => write!(f, "{}: gone, nothing holds it", self.ns.label()),
            Ok(holders) => {
                write!(f, "{}: its name is gone, but it lives on:", self.ns.label())?;
                holders.iter().try_for_each(|holder| write!(f, "\n  {holder}"))
            }
            Err(error) => write!(f, "{}: its name is gone; {error}", self.ns.label()),
        }
    }
}

value! { Deleted, "Deleted", "The result of deleting a namespace: whether it is gone, and what still holds it.";
    /// Whether nothing that can be seen holds it.
    gone: bool = |deleted| deleted.holders()?.is_empty();
    /// What still holds it; computed once, when first read.
    holders: List<Holder> = |deleted| deleted.holders()?.into();
}

/// What can be deleted, and waited for.
pub(crate) enum Deletable {
    Namespace(NetNs),
    Link(Link),
}

impl Arg for Deletable {
    const TYPE: &'static str = "NetNs or Link";
    const MAX_ARGS: usize = 2;
    const NAMES: Names = Names::Links;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if call.left() == 1
            && let Some(ns) = call.take_net()?
        {
            return Ok(Self::Namespace(ns));
        }
        Link::take(call, name).map(Self::Link)
    }
    fn fill(&self, _: &str, values: &mut Values<'_>) {
        match self {
            Self::Namespace(ns) => ns.fill("ns", values),
            Self::Link(link) => link.fill("link", values),
        }
    }
}

/// Polls `gone` until it holds: the kernel has no event for the end of a namespace.
fn wait_for_end(lab: &Lab, limit: Duration, object: &str, gone: impl Fn() -> Result<bool>) -> Result<()> {
    let ended = || Ok(gone()?.then_some(()));
    if lab.exec().poll_until(limit, Duration::from_micros(200), Duration::from_millis(10), ended)?.is_some() {
        return Ok(());
    }
    Err(Error::plain(Kind::Timeout, format!("wait for the end of {object}: it exists after {limit:?}")))
}

bindings! {
    /// Deletes a namespace and reports what still holds it, or deletes a link, whose peer goes with it.
    ///
    /// Like `ip netns delete NS` or `ip link delete dev LINK`. A namespace in which a process runs, or that a process
    /// has open, lives on without its name.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// let report = delete(ns1);
    /// check !report.gone;
    /// check report.holders[0].pid == p.pid;
    /// check netns_list().is_empty;
    /// ```
    #[changes = Changes::Guarded(r#"delete("eth0")"#)]
    fn delete(guard: Guard, object: Deletable) -> Dynamic {
        match &object {
            Deletable::Namespace(ns) => {
                guard.delete_netns(ns)?;
                Ok(Deleted::new(ns).out())
            }
            Deletable::Link(link) => link.delete(&guard).map(Out::out),
        }
    }

    /// Lists what keeps the namespace alive: processes in it, open descriptors, mounts.
    ///
    /// Like `ip netns pids NS`, which lists processes alone. A socket that a process opened inside keeps it too; the
    /// kernel has no list of those.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// let kinds = holders(ns1).map(|h| h.kind);
    /// check "process" in kinds;
    /// check "mount" in kinds;
    /// ```
    fn holders(ns: NetNs) -> List<Holder> {
        ns.net()?;
        Ok(holders::of(ns.inode(), ns.unique_id())?.into())
    }

    /// Waits until a deleted namespace, or a link, is gone. The kernel removes both in the background.
    ///
    /// No equivalent command: no tool waits for the end of either.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// delete(ns1);
    /// wait_gone(ns1);                     // nothing holds it any more
    /// wait_gone(cable.a);                 // the kernel has taken its end of the cable away
    /// check !exists(host(), "veth0");
    /// ```
    fn wait_gone(lab: Arc<Lab>, object: Deletable, opts: Opts<WaitOptions>) -> () {
        match &object {
            Deletable::Link(link) => {
                wait_for_end(&lab, opts.0.0, &format!("{link:?}"), || link.exists().map(|exists| !exists))
            }
            Deletable::Namespace(ns) if !ns.is_closed() => Err(Error::usage(format!("{} was not deleted", ns.label()))
                .hint("`delete(ns)` first: as long as this handle is open, the namespace lives")),
            Deletable::Namespace(ns) => wait_for_end(&lab, opts.0.0, ns.label(), || {
                holders::of(ns.inode(), ns.unique_id()).map(|holders| holders.is_empty())
            }),
        }
    }
}
