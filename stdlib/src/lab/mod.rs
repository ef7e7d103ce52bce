//! The lab: its root, its named namespaces, and how they come and go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::exec::mounts::{self, NETNS_DIR};
use crate::exec::{Executor, hop, sys};
use crate::name::{NsName, printable};
use crate::net::Net;
use crate::net::connection::Connection;
use crate::net::probe::Echo;
use netns::Origin;

pub mod events;
pub mod host;
pub mod link;
pub mod netns;
pub mod place;
pub mod process;
pub mod topology;

pub use host::Journal;
pub use link::Link;
pub use netns::NetNs;
pub use place::{Place, Sandbox};
pub use process::Process;
pub use topology::Topology;

/// What this process made, and the executor that made it.
pub struct Lab {
    exec: Arc<Executor>,
    root: NetNs,
    journal: Option<Journal>,
    known: Mutex<Vec<Weak<netns::Inner>>>,
    events: events::Events,
    processes: Mutex<Vec<Weak<process::Inner>>>,
    explain: OnceLock<(AtomicBool, Explain)>,
}

/// Who is told the iproute2 twin of each call.
type Explain = Box<dyn Fn(&str) + Send + Sync>;

impl Lab {
    /// The lab that this process stands in: private, or with a journal the machine itself.
    ///
    /// # Errors
    /// When the namespace of this process cannot be opened.
    pub fn here(journal: Option<Journal>) -> Result<Arc<Self>> {
        let exec = Arc::new(Executor::new()?);
        let handle = NsHandle::open(NsKind::Net, Path::new("/proc/self/ns/net"))?;
        let label = if journal.is_some() { "the host" } else { "the lab root" };
        let net = Net::new(exec.clone(), handle, label.into(), None).at_home();
        let root = NetNs::new(None, net, Origin::Root);
        Ok(Arc::new(Self {
            exec,
            root,
            journal,
            known: Mutex::default(),
            events: events::Events::default(),
            processes: Mutex::default(),
            explain: OnceLock::new(),
        }))
    }

    /// Waits, deadlines, interrupts.
    #[must_use]
    pub fn exec(&self) -> &Arc<Executor> {
        &self.exec
    }

    /// The namespace that plays the host (with `--host` it is the host).
    #[must_use]
    pub fn root(&self) -> &NetNs {
        &self.root
    }

    /// Whether nothing outside can be reached.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.journal.is_none()
    }

    /// The journal of `--host`.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Creates a network namespace. Like `ip netns add NAME`; without a name only the handle keeps it.
    ///
    /// # Errors
    /// `Exists`, or the kernel's.
    pub fn create_netns(&self, name: Option<NsName>) -> Result<NetNs> {
        let file = name.as_ref().map(path_of);
        let journal = self.journal.as_ref().zip(name.as_ref().map(NsName::as_str));
        let _locked = journal.map(|(journal, _)| journal.prepare_netns_dir()).transpose()?;
        let op = || match &name {
            Some(name) => format!("create namespace `{name}`"),
            None => "create a namespace".into(),
        };
        // One thread does it all: it makes the namespace, names it, and opens the sockets that will be needed.
        let made = hop::on_a_thread(|| {
            if file.as_ref().is_some_and(|file| file.symlink_metadata().is_ok()) {
                return Err(Error::sys(op(), Errno::EEXIST));
            }
            hop::unshare(CloneFlags::CLONE_NEWNET)?;
            let handle = NsHandle::open(NsKind::Net, Path::new("/proc/thread-self/ns/net"))?;
            if let Some((journal, name)) = journal {
                journal.making_netns(name, &handle)?;
            }
            let lost = || journal.map_or(Ok(()), |(journal, name)| journal.lost_netns(name));
            if let Some(file) = &file {
                let new = fs::File::options().write(true).create_new(true).open(file);
                new.map_err(|e| Error::io(op(), &e)).inspect_err(|_| drop(lost()))?;
            }
            let make = || {
                if let Some(file) = &file {
                    mounts::bind_namespace("/proc/thread-self/ns/net", file).map_err(|e| Error::sys(op(), e))?;
                }
                let connection = Connection::open(netlink_sys::protocols::NETLINK_ROUTE)?;
                Ok((handle, connection, Echo::open(false).ok()))
            };
            make().inspect_err(|_| {
                if let Some(file) = &file {
                    let _ = sys::unmount(file);
                    let _ = fs::remove_file(file);
                    let _ = lost();
                }
            })
        });
        let (handle, connection, echo) = made.map_err(|error| match error.kind {
            Kind::Exists => error.hint("`open_netns(name)` returns the one that is there"),
            _ => error,
        })?;
        let label = netns::label(name.as_ref(), &handle);
        let net = Net::new(self.exec.clone(), handle, label, Some(connection));
        if let Some(echo) = echo {
            net.echo.keep_v4(echo);
        }
        Ok(self.remember(NetNs::new(name, net, Origin::Made)))
    }

    /// The handle of an existing namespace: by name, as `ip netns` knows it.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub fn open_netns(&self, name: &NsName) -> Result<NetNs> {
        let handle = NsHandle::open(NsKind::Net, &path_of(name)).map_err(|error| match error.errno {
            Some(Errno::ENOENT) => {
                let names = self.netns_names().unwrap_or_default();
                let names: Vec<_> = names.iter().take(8).map(|n| printable(n)).collect();
                Error::sys(format!("open namespace `{name}`"), Errno::ENOENT).hint(if names.is_empty() {
                    format!("no namespace has a name yet: `netns(\"{name}\")` creates it")
                } else {
                    format!("the names there are: {}", names.join(", "))
                })
            }
            Some(Errno::EINVAL) => error.hint("it is left over or was made by hand: remove the file"),
            _ => error,
        })?;
        Ok(self.adopt(handle, Some(name.clone())))
    }

    /// The handle that belongs to an open namespace: an old one if there is one, so that its sockets are shared.
    pub(crate) fn adopt(&self, handle: NsHandle, name: Option<NsName>) -> NetNs {
        self.known_or(handle, name, Origin::Found)
    }

    /// As [`Lab::adopt`], for a namespace that this lab has just made.
    pub(crate) fn adopt_made(&self, handle: NsHandle) -> NetNs {
        self.known_or(handle, None, Origin::Made)
    }

    fn known_or(&self, handle: NsHandle, name: Option<NsName>, origin: Origin) -> NetNs {
        if self.root.handle().is_ok_and(|root| root.is(&handle)) {
            return self.root.clone();
        }
        if let Some(known) = self.find(|ns| ns.handle().is_ok_and(|h| h.is(&handle))) {
            return known;
        }
        let label = netns::label(name.as_ref(), &handle);
        let net = Net::new(self.exec.clone(), handle, label, None);
        self.remember(NetNs::new(name, net, origin))
    }

    /// The names below `/run/netns`, sorted. Like `ip netns list`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn netns_names(&self) -> Result<BTreeSet<String>> {
        match fs::read_dir(NETNS_DIR) {
            Ok(entries) => {
                Ok(entries.filter_map(Result::ok).map(|e| e.file_name().to_string_lossy().into_owned()).collect())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(Error::io(format!("list `{NETNS_DIR}`"), &error)),
        }
    }

    /// Deletes a namespace: its name, and everything of ours that keeps it.
    ///
    /// # Errors
    /// `Gone` the second time; `Permission` for the root.
    pub fn delete_netns(&self, ns: &NetNs) -> Result<()> {
        if ns.is_root() {
            return Err(Error::plain(Kind::Permission, format!("{} cannot be deleted", ns.label()))
                .hint("it is the namespace that you started in"));
        }
        let net = ns.net()?;
        self.deleting_netns(ns)?;
        if let Some(name) = ns.name() {
            let file = path_of(name);
            // Only if the name is still that of this namespace; somebody may have deleted and made it again.
            let same = NsHandle::open(NsKind::Net, &file).is_ok_and(|named| named.is(net.handle()));
            if same {
                remove_name(&file).map_err(|e| e.within(ns.label()))?;
            }
            if let Some(journal) = &self.journal {
                journal.lost_netns(name.as_str())?;
            }
        }
        drop(net);
        ns.close();
        Ok(())
    }

    /// The namespace that `viewer` knows as number `netnsid`, among those that we have handles of.
    pub(crate) fn by_id(&self, viewer: &NetNs, netnsid: i32) -> Option<NetNs> {
        let viewer = viewer.net().ok()?;
        let is = |ns: &NetNs| ns.net().is_ok_and(|net| viewer.id_of(&net).is_ok_and(|id| id == Some(netnsid)));
        if is(&self.root) {
            return Some(self.root.clone());
        }
        self.find(is)
    }

    /// The root and every namespace that a handle is open of.
    #[must_use]
    pub fn known(&self) -> Vec<NetNs> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let open = known.iter().filter_map(NetNs::upgrade).filter(|ns| !ns.is_closed());
        std::iter::once(self.root.clone()).chain(open).collect()
    }

    /// The root, the namespaces with a name, and those that a handle is open of.
    ///
    /// # Errors
    /// When `/run/netns` cannot be read.
    pub fn all(&self) -> Result<Vec<NetNs>> {
        let named = self.netns_names()?;
        let mut all = vec![self.root.clone()];
        all.extend(named.iter().filter_map(|name| NsName::new(name).and_then(|name| self.open_netns(&name)).ok()));
        for ns in self.known() {
            if !all.iter().any(|known| known.is(&ns)) {
                all.push(ns);
            }
        }
        Ok(all)
    }

    /// The first open handle that fits.
    fn find(&self, fits: impl Fn(&NetNs) -> bool) -> Option<NetNs> {
        let known: Vec<NetNs> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter_map(NetNs::upgrade).collect()
        };
        known.into_iter().find(fits)
    }

    /// The background processes that run, and those that ended and are still held by a handle.
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

    /// Tells `listener` the iproute2 twin of each call from now on, or stops to.
    pub fn explain(&self, on: bool, listener: impl Fn(&str) + Send + Sync + 'static) {
        let (is_on, _) = self.explain.get_or_init(|| (AtomicBool::new(on), Box::new(listener)));
        is_on.store(on, Ordering::Relaxed);
    }

    /// Who is told the twin of a call, if anybody.
    pub(crate) fn explaining(&self) -> Option<&Explain> {
        self.explain.get().filter(|(on, _)| on.load(Ordering::Relaxed)).map(|(_, explain)| explain)
    }

    /// The events of the lab, and their listeners.
    pub(crate) fn events(&self) -> &events::Events {
        &self.events
    }

    fn remember(&self, ns: NetNs) -> NetNs {
        if let Some(watcher) = self.events.watcher() {
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

/// The file of a name.
pub(crate) fn path_of(name: &NsName) -> PathBuf {
    Path::new(NETNS_DIR).join(name.as_str())
}

/// Unmounts and removes the file of a name. Unlinking drops copies of the mount in other mount namespaces too
/// (fs/namespace.c, `__detach_mounts`).
pub(crate) fn remove_name(file: &Path) -> Result<()> {
    match sys::unmount(file) {
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(Error::sys(format!("unmount `{}`", file.display()), errno)),
    }
    fs::remove_file(file).map_err(|e| Error::io(format!("remove `{}`", file.display()), &e))
}
