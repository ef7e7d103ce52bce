//! Network namespaces with a name below `/run/netns`: created, opened, listed, deleted, as `ip netns` does it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::host::Guard;
use super::netns::{self, NetNs, Origin};
use super::{Files, Lab};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::exec::mounts::{self, NETNS_DIR};
use crate::exec::{directory, hop, sys};
use crate::name::{NsName, printable};
use crate::net::Net;
use crate::net::connection::Connection;
use crate::net::probe::Echo;

/// Ids from here on mark the end of namespaces: higher than those that the kernel assigns by itself.
const FIRST_ENDING_ID: i32 = 1_000_000;

impl Guard {
    /// Creates a network namespace with files for its programs.
    ///
    /// # Errors
    /// As [`Guard::create_netns`], or if the files cannot be written.
    pub(crate) fn create_netns_with(&self, name: Option<NsName>, files: &Files) -> Result<NetNs> {
        let ns = self.create_netns(name)?;
        let written = match ns.name() {
            Some(name) => self.lab().write_files(name, files),
            None if files.is_empty() => Ok(()),
            None => {
                Err(Error::usage("a namespace without a name has no files").hint("give it a name: `netns(\"h1\", …)`"))
            }
        };
        if let Err(error) = written {
            let _ = self.delete_netns(&ns); // the first error is the one to report
            return Err(error.within(ns.label()));
        }
        Ok(ns)
    }

    /// Creates a network namespace. Like `ip netns add NAME`; without a name only the handle keeps it.
    ///
    /// # Errors
    /// `Exists`, or the kernel's.
    pub fn create_netns(&self, name: Option<NsName>) -> Result<NetNs> {
        let lab = self.lab();
        let file = name.as_ref().map(path_of);
        let journal = lab.journal().zip(name.as_ref().map(NsName::as_str));
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
        let net = Net::new(lab.exec().clone(), handle, label, Some(connection));
        if let Some(echo) = echo {
            net.echo.keep_v4(echo);
        }
        Ok(lab.remember(NetNs::new(name, net, Origin::Made)))
    }

    /// Deletes a namespace: its name, and every descriptor of the handle that keeps it.
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
            // Only if the name is still that of this namespace; another program may have deleted and created it again.
            if is_name_of(&file, net.handle())? {
                remove_name(&file).map_err(|e| e.within(ns.label()))?;
            }
            self.lab().remove_files(name);
            if let Some(journal) = self.lab().journal() {
                journal.lost_netns(name.as_str())?;
            }
        }
        self.mark_end(ns, &net)?;
        drop(net);
        ns.close();
        Ok(())
    }

    /// Gives the namespace an id in the lab's root, if it has none, so that its end can be seen there.
    ///
    /// On the machine itself it does not: the id would stay as long as something holds the namespace.
    fn mark_end(&self, ns: &NetNs, net: &Net) -> Result<()> {
        if self.lab().is_private() {
            let root = self.lab().root().net()?;
            let id = FIRST_ENDING_ID + self.lab().next_ending_id();
            ns.ends_with(root.assign_id(&self.in_own(self.lab().root())?, net, id)?);
        }
        Ok(())
    }
}

impl Lab {
    /// Whether a deleted namespace has ended, by the kernel's word: its id in the lab's root is free again. None where
    /// the kernel was not asked to tell, as on the machine itself.
    ///
    /// # Errors
    /// The kernel's.
    pub fn has_ended(&self, ns: &NetNs) -> Result<Option<bool>> {
        let Some(id) = ns.ending_id() else { return Ok(None) };
        if !self.root().net()?.has_id(id)? {
            return Ok(Some(true));
        }
        // Another namespace may have got the id since.
        let other = self.by_id(self.root(), id)?.and_then(|other| other.unique_id());
        Ok(Some(matches!((other, ns.unique_id()), (Some(other), Some(own)) if other != own)))
    }
}

impl Lab {
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

    /// The names below `/run/netns`, sorted. Like `ip netns list`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn netns_names(&self) -> Result<BTreeSet<String>> {
        match directory::names(Path::new(NETNS_DIR)) {
            Ok(names) => Ok(names.iter().map(|name| directory::text(name)).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(Error::io(format!("list `{NETNS_DIR}`"), &error)),
        }
    }
}

/// The file of a name.
pub(crate) fn path_of(name: &NsName) -> PathBuf {
    Path::new(NETNS_DIR).join(name.as_str())
}

/// Whether `file` is a name of the namespace: another program may have removed it, or left a plain file.
fn is_name_of(file: &Path, ns: &NsHandle) -> Result<bool> {
    match NsHandle::open(NsKind::Net, file) {
        Ok(named) => Ok(named.is(ns)),
        Err(error) if matches!(error.errno, Some(Errno::ENOENT | Errno::EINVAL)) => Ok(false),
        Err(error) => Err(error),
    }
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
