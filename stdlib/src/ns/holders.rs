//! The holders of a namespace, which keep it alive: processes in it, open descriptors, mounts.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{inode_of, pids};
use crate::error::Result;
use crate::exec::handle::{NsHandle, NsInode, NsKind};
use crate::exec::spawn::is_gone;
use crate::name::printable;

/// How a holder keeps a namespace alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A process, or one of its threads, is in it.
    Process,
    /// A process has it open.
    Descriptor,
    /// It is bind-mounted on a file, such as a name in `/run/netns`.
    Mount,
}

/// One reason why a namespace lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// How it holds the namespace.
    pub how: How,
    /// The PID of the process; for a mount, of a process in whose mount namespace it is.
    pub pid: u32,
    /// The command of that process.
    pub command: String,
    /// `fd 7`, or the mount point; empty for a process.
    pub detail: String,
}

impl How {
    /// The word for scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Descriptor => "descriptor",
            Self::Mount => "mount",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = printable(&self.command);
        match self.how {
            How::Process => write!(f, "process {} ({command}) is in it", self.pid),
            How::Descriptor => write!(f, "process {} ({command}) has it open as {}", self.pid, self.detail),
            How::Mount => write!(f, "it is mounted at {}", self.detail),
        }
    }
}

/// Lists the holders of the namespace that this process may see.
///
/// A socket that was opened inside also holds it, but the kernel lists no such sockets.
///
/// The kernel reuses the inode of a namespace that is gone. `id` tells the two apart on kernels that have ids which
/// are never reused.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn of(inode: NsInode, id: Option<u64>) -> Result<Vec<Holder>> {
    let target = inode.ino;
    let same = |path: &Path| match (id, NsHandle::open(NsKind::Net, path)) {
        (Some(id), Ok(handle)) => handle.unique_id() == Some(id),
        _ => true, // it may not be opened, or the kernel has no such ids: the inode decides
    };
    let mut holders = BTreeSet::new();
    let mut mounts = BTreeSet::new();
    for pid in pids()? {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let command = || fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
        let hold = |how, detail: String| Holder { how, pid, command: command(), detail };
        // A thread can be in another namespace than its process. This process enters namespaces with threads that end
        // after one call and may still be listed, so only its main thread counts.
        let mut threads = links_in(&process.join("task"), |thread| thread.join("ns/net"));
        threads.retain(|(tid, _)| pid != std::process::id() || *tid == pid.to_string());
        if threads.into_iter().any(|(tid, ino)| ino == target && same(&process.join("task").join(tid).join("ns/net"))) {
            holders.insert(hold(How::Process, String::new()));
        }
        for fd in descriptors_of(&process.join("fd"), inode).into_iter().filter(|fd| same(&process.join("fd").join(fd)))
        {
            holders.insert(hold(How::Descriptor, format!("fd {fd}")));
        }
        for point in mount_points(&process, target) {
            if mounts.insert(point.clone()) {
                holders.insert(hold(How::Mount, point));
            }
        }
    }
    Ok(holders.into_iter().collect())
}

/// The descriptors in a `/proc/PID/fd` that hold the namespace. The link of one that was opened by a name shows that
/// name, not `net:[…]`, so stat(2) decides.
fn descriptors_of(directory: &Path, inode: NsInode) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(std::result::Result::ok);
    let held = entries.filter(|entry| {
        let is_file = fs::read_link(entry.path()).is_ok_and(|target| {
            let target = target.to_string_lossy();
            target.starts_with('/') || target.starts_with("net:[")
        });
        is_file && fs::metadata(entry.path()).is_ok_and(|m| (m.dev(), m.ino()) == (inode.dev, inode.ino))
    });
    let mut numbers: Vec<String> = held.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    numbers.sort();
    numbers
}

/// The entries of a directory whose link (at `link_of` each) is a network namespace: (name, inode).
fn links_in(directory: &Path, link_of: impl Fn(&Path) -> PathBuf) -> Vec<(String, u64)> {
    let entries: Vec<_> = match fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(std::result::Result::ok).collect(),
        Err(error) => {
            debug_assert!(is_gone(&error) || error.kind() == std::io::ErrorKind::PermissionDenied, "{error}");
            Vec::new()
        }
    };
    let numbers = entries.into_iter().filter_map(|entry| {
        let target = fs::read_link(link_of(&entry.path())).ok()?;
        let target = target.to_str()?.strip_prefix("net").map(|_| target.to_string_lossy().into_owned())?;
        Some((entry.file_name().to_string_lossy().into_owned(), inode_of(&target)?))
    });
    numbers.collect()
}

/// The mount points of the namespace in the mount namespace of a process (`proc_pid_mountinfo(5)`, fields 4 and 5).
fn mount_points(process: &Path, inode: u64) -> Vec<String> {
    let text = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    let root = format!("net:[{inode}]");
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(3);
            (words.next()? == root).then(|| words.next().unwrap_or("?").to_owned())
        })
        .collect()
}
