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
    lab: Arc<Lab>,
    ns: NetNs,
    /// Computed on demand: scanning /proc costs more than the deletion.
    fate: Arc<Mutex<Option<Fate>>>,
}

/// What became of a deleted namespace.
#[derive(Clone)]
struct Fate {
    ended: Ended,
    holders: Vec<Holder>,
}

/// Whether a deleted namespace has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The kernel says so.
    Yes,
    /// Something holds it.
    No,
    /// Nothing that can be seen holds it, and the kernel was not asked.
    Unknown,
}

/// The longest time that the kernel may take to end a namespace which nothing holds.
const END: Duration = Duration::from_secs(5);

impl Deleted {
    fn new(lab: &Arc<Lab>, ns: &NetNs) -> Self {
        Self { lab: lab.clone(), ns: ns.clone(), fate: Arc::default() }
    }

    fn fate(&self) -> Result<Fate> {
        let mut known = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(self.find_out()?);
        }
        Ok(known.clone().expect("set above"))
    }

    fn find_out(&self) -> Result<Fate> {
        let holders = holders::of(self.ns.inode(), self.ns.unique_id())?;
        if !holders.is_empty() {
            return Ok(Fate { ended: Ended::No, holders });
        }
        let told = || match self.lab.has_ended(&self.ns)? {
            None => Ok(Some(Ended::Unknown)),
            Some(ended) => Ok(ended.then_some(Ended::Yes)),
        };
        let (first, longest) = (Duration::from_micros(200), Duration::from_millis(10));
        let ended = self.lab.exec().poll_until(END, first, longest, told)?.unwrap_or(Ended::No);
        Ok(Fate { ended, holders })
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.ns.label();
        match self.fate() {
            Ok(Fate { ended: Ended::Yes, .. }) => write!(f, "{label}: gone, nothing holds it"),
            Ok(Fate { ended: Ended::Unknown, .. }) => {
                write!(f, "{label}: its name is gone, nothing that can be seen holds it")
            }
            Ok(Fate { holders, .. }) if holders.is_empty() => {
                write!(f, "{label}: its name is gone, but something that cannot be seen holds it, such as a socket")
            }
            Ok(Fate { holders, .. }) => {
                write!(f, "{label}: its name is gone, but it lives on:")?;
                holders.iter().try_for_each(|holder| write!(f, "\n  {holder}"))
            }
            Err(error) => write!(f, "{label}: its name is gone; {error}"),
        }
    }
}

value! { Deleted, "Deleted", "The result of deleting a namespace: whether it is gone, and what still holds it.";
    /// Whether the namespace has ended, by the kernel's word. With `--host` the kernel is not asked: then whether
    /// nothing that can be seen holds it.
    gone: bool = |deleted| deleted.fate()?.ended != Ended::No;
    /// What can be seen holding it; computed once, when first read.
    holders: List<Holder> = |deleted| deleted.fate()?.holders.into();
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
        // A namespace before a name belongs to a link.
        if !call.is_text_after_next()
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
                Ok(Deleted::new(guard.lab(), ns).out())
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
                Ok(lab.has_ended(ns)?.unwrap_or(true) && holders::of(ns.inode(), ns.unique_id())?.is_empty())
            }),
        }
    }
}
