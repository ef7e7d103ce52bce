//! The journal of a session: its file, and the lock that shows that a process of the session still works with it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use nix::time::{ClockId, clock_gettime};

use super::DIRECTORY;
use super::directory::{Directory, Locked};
use super::processes::start_of;
use super::step::{Elsewhere, Entry, Identity, Step};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::NetNs;

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
    /// Where the journal of this process is: by PID and start time, so that no reuse of the PID can meet it.
    #[must_use]
    pub fn path_of_this_process() -> PathBuf {
        let pid = std::process::id();
        let start = i32::try_from(pid).ok().and_then(start_of).unwrap_or(0);
        Path::new(DIRECTORY).join(format!("{pid}-{start}.journal"))
    }

    /// Creates the journal at `path`, locked for as long as a process of ours has it open.
    ///
    /// It gets its name when it has its first line and its lock, so `nslab gc` never meets one without an owner.
    ///
    /// # Errors
    /// When the directory or the file cannot be made, or the directory is not private.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |e: io::Error| Error::io(format!("create the journal `{}`", path.display()), &e);
        let directory = Directory::create_and_lock()?;
        let file = directory.unnamed().map_err(fail)?;
        file.try_lock().map_err(|e| fail(e.into()))?;
        let journal = Self { path: path.to_owned(), file: Mutex::new(file), memory: Mutex::default() };
        let here = NsHandle::open(NsKind::Net, Path::new("/proc/self/ns/net"))?;
        journal.write(None, Step::Began { boot: boot_id(), ns: Identity::of(&here) })?;
        directory.name(&journal.file(), path.file_name().unwrap_or_default()).map_err(fail)?;
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
        self.file().try_clone().map_err(|e| Error::io("copy a descriptor", &e))
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of its file.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(OsStr::to_str).unwrap_or_default()
    }

    /// Writes a step. Returns its time, which names it.
    pub(super) fn write(&self, at: Option<Elsewhere>, step: Step) -> Result<u64> {
        let entry = Entry { time: now(), at, step };
        append(&mut self.file(), &entry)
            .map_err(|e| Error::io(format!("write the journal `{}`", self.path.display()), &e))?;
        Ok(entry.time)
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
        self.write(None, Step::LostNetns { name: name.into() }).map(drop)
    }

    /// A program was started.
    pub(in crate::lab) fn started(&self, pid: u32) -> Result<()> {
        let pid = i32::try_from(pid).unwrap_or(0);
        self.write(None, Step::Started { pid, start: start_of(pid).unwrap_or(0) }).map(drop)
    }

    /// Says that changes to the device `name` are meant.
    pub fn allow(&self, name: &str) {
        self.memory().allowed.insert(name.to_owned());
    }
}

/// Appends a step to a journal, and returns when it is on the disk. One write: sessions append to each other's journals.
pub(super) fn append(file: &mut File, entry: &Entry) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()
}

/// The time since boot, in nanoseconds.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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

/// Waits until no other session changes anything, or undoes it.
pub(super) fn lock(exec: &Executor) -> Result<Locked> {
    let locked = Directory::lock(|pause| exec.sleep(pause))?;
    locked.ok_or_else(|| {
        Error::sys(format!("lock `{DIRECTORY}`"), nix::errno::Errno::ENOENT)
            .hint("another program has removed it, and with it the journal of this session")
    })
}
