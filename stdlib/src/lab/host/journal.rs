//! The journal: its lines, its file, and the lock that a session holds while it works with it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::DIRECTORY;
use super::processes::start_of;
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::NetNs;

/// Which namespace it was: the inode alone is used again by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    dev: u64,
    ino: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

impl Identity {
    pub(super) fn of(handle: &NsHandle) -> Self {
        let inode = handle.inode();
        Self { dev: inode.dev, ino: inode.ino, id: handle.unique_id() }
    }

    pub(super) fn is(&self, handle: &NsHandle) -> bool {
        *self == Self::of(handle)
    }
}

/// A namespace that this lab did not make and that is not the machine's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Elsewhere {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) ns: Identity,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Elsewhere>,
    #[serde(flatten)]
    pub(super) step: Step,
}

/// One step, with what it takes to undo it and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    /// The first line: where all of this happens. After a reboot, or elsewhere, the numbers below mean nothing.
    Began {
        boot: String,
        ns: Identity,
    },
    MakesNetnsDir,
    MountsNetnsDir,
    MakesNetns {
        name: String,
        ns: Identity,
    },
    /// It is gone again, or it was never made.
    LostNetns {
        name: String,
    },
    /// `mac` if the link exists already, elsewhere.
    WillMakeLink {
        name: String,
        above: u32,
        mac: Option<String>,
    },
    MadeLink {
        name: String,
        index: u32,
        kind: String,
    },
    AddsAddress {
        index: u32,
        address: IpNet,
    },
    AddsRoute {
        dst: IpNet,
        gateway: Option<IpAddr>,
        index: Option<u32>,
        metric: u32,
    },
    /// `bare` if it is a loopback device without its address, which the kernel gives it with the first up.
    SetsUp {
        index: u32,
        bare: bool,
    },
    /// `lost` is what the kernel takes away with it: addresses and routes as messages, in hexadecimal digits.
    SetsDown {
        index: u32,
        lost: Vec<String>,
    },
    SetsMtu {
        index: u32,
        mtu: u32,
        lost: Vec<String>,
    },
    SetsSysctl {
        values: Vec<(String, String)>,
    },
    Started {
        pid: i32,
        start: u64,
    },
}

/// The journal of this process.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    memory: Mutex<Memory>,
}

/// What is ours to change and to remove, and what was allowed. Namespaces are told apart by inode: all of them live.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) links: BTreeSet<(u64, u32)>,
    pub(super) addresses: BTreeSet<(u64, u32, IpNet)>,
    pub(super) routes: BTreeSet<(u64, IpNet, u32)>,
    pub(super) names: BTreeSet<(String, u64)>,
    pub(super) allowed: BTreeSet<String>,
}

impl Journal {
    /// Where the journal of this process is: by number and start time, so that no reuse of the number can meet it.
    #[must_use]
    pub fn path_of_this_process() -> PathBuf {
        let pid = std::process::id();
        let start = i32::try_from(pid).ok().and_then(start_of).unwrap_or(0);
        Path::new(DIRECTORY).join(format!("{pid}-{start}.journal"))
    }

    /// Creates the journal at `path`, locked for as long as a process of ours has it open.
    ///
    /// # Errors
    /// When the directory or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |e: io::Error| Error::io(format!("create the journal `{}`", path.display()), &e);
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(DIRECTORY)?;
            File::options().create_new(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
        };
        // A session that ends may remove the empty directory in between.
        let file = (0..10).map(|_| make()).find(|made| !is_not_found(made)).unwrap_or_else(make).map_err(fail)?;
        let directory = fs::symlink_metadata(DIRECTORY).map_err(fail)?;
        if !directory.is_dir() || directory.uid() != 0 || directory.mode() & 0o077 != 0 {
            let _ = fs::remove_file(path);
            return Err(Error::plain(Kind::Permission, format!("`{DIRECTORY}` is not a private directory of root"))
                .hint("a journal that others can write would be undone by root: remove the directory"));
        }
        file.try_lock().map_err(|e| fail(e.into()))?;
        let journal = Self { path: path.to_owned(), file: Mutex::new(file), memory: Mutex::default() };
        let here = NsHandle::open(NsKind::Net, Path::new("/proc/self/ns/net"))?;
        journal.write(None, Step::Began { boot: boot_id(), ns: Identity::of(&here) })?;
        Ok(journal)
    }

    /// What tells the programs of this session from all others.
    #[must_use]
    pub fn tag(&self) -> String {
        tag_of(&self.path)
    }

    /// One more descriptor of the file: the lock is held until the last one is closed.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn keep_locked(&self) -> Result<File> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.try_clone().map_err(|e| Error::io("copy a descriptor", &e))
    }

    pub(super) fn write(&self, at: Option<Elsewhere>, step: Step) -> Result<()> {
        let fail = |e: io::Error| Error::io(format!("write the journal `{}`", self.path.display()), &e);
        let mut line = serde_json::to_vec(&Entry { at, step }).map_err(|e| fail(e.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(fail)
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before `name` is given to the new namespace `handle`.
    pub(in crate::lab) fn making_netns(&self, name: &str, handle: &NsHandle) -> Result<()> {
        self.write(None, Step::MakesNetns { name: name.into(), ns: Identity::of(handle) })?;
        self.memory().names.insert((name.to_owned(), handle.inode().ino));
        Ok(())
    }

    /// The name is no longer there, or never was.
    pub(in crate::lab) fn lost_netns(&self, name: &str) -> Result<()> {
        self.write(None, Step::LostNetns { name: name.into() })
    }

    /// A program was started.
    pub(in crate::lab) fn started(&self, pid: u32) -> Result<()> {
        let pid = i32::try_from(pid).unwrap_or(0);
        self.write(None, Step::Started { pid, start: start_of(pid).unwrap_or(0) })
    }

    /// Says that changes to the device `name` are meant.
    pub fn allow(&self, name: &str) {
        self.memory().allowed.insert(name.to_owned());
    }
}

fn is_not_found<T>(made: &io::Result<T>) -> bool {
    made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The tag of the session whose journal is at `path`.
pub(super) fn tag_of(path: &Path) -> String {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    format!("{}-{name}", boot_id())
}

/// What the kernel calls this boot.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Where a step in `ns` happens: nothing for the machine's own namespace.
pub(super) fn place_of(ns: &NetNs) -> Result<Option<Elsewhere>> {
    if ns.is_root() {
        return Ok(None);
    }
    let name = ns.name().map(|name| name.as_str().to_owned());
    Ok(Some(Elsewhere { name, ns: Identity::of(&ns.handle()?) }))
}
