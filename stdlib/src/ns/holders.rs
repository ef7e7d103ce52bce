//! The holders of a namespace, which keep it alive: processes in it, open descriptors, mounts.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{inode_of, pids};
use crate::error::{Error, Result};
use crate::exec::directory::{self, if_visible};
use crate::exec::handle::{NsHandle, NsInode, NsKind};
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
    let mut holders = BTreeSet::new();
    let mut mounts = BTreeSet::new();
    for pid in pids()? {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let found = of_process(pid, &process, inode, id);
        for (how, detail) in found.map_err(|e| Error::io(format!("list what process {pid} holds"), &e))? {
            if how != How::Mount || mounts.insert(detail.clone()) {
                let comm = if_visible(fs::read_to_string(process.join("comm")));
                let comm = comm.map_err(|e| Error::io(format!("read `/proc/{pid}/comm`"), &e))?;
                let command = comm.unwrap_or_default().trim().to_owned();
                holders.insert(Holder { how, pid, command, detail });
            }
        }
    }
    Ok(holders.into_iter().collect())
}

/// How a process holds the namespace, with the detail of each.
fn of_process(pid: u32, process: &Path, inode: NsInode, id: Option<u64>) -> io::Result<Vec<(How, String)>> {
    let same = |path: &Path| match (id, NsHandle::open(NsKind::Net, path).ok().and_then(|held| held.unique_id())) {
        (Some(id), Some(other)) => id == other,
        _ => true, // it may not be opened, or the kernel has no such ids: the inode decides
    };
    let mut found = Vec::new();
    // A thread can be in another namespace than its process. This process enters namespaces with threads that end
    // after one call and may still be listed, so only its main thread counts.
    for thread in listed(&process.join("task"))? {
        let link = process.join("task").join(&thread).join("ns/net");
        let counts = pid != std::process::id() || thread == pid.to_string();
        if counts && target(&link)?.and_then(|target| inode_of(&target)) == Some(inode.ino) && same(&link) {
            found.push((How::Process, String::new()));
            break;
        }
    }
    for fd in listed(&process.join("fd"))? {
        let link = process.join("fd").join(&fd);
        if is_descriptor_of(&link, inode)? && same(&link) {
            found.push((How::Descriptor, format!("fd {fd}")));
        }
    }
    let mounts = if_visible(fs::read_to_string(process.join("mountinfo")))?.unwrap_or_default();
    found.extend(mount_points(&mounts, inode.ino).map(|point| (How::Mount, point.to_owned())));
    Ok(found)
}

/// The sorted names in a directory of a process.
fn listed(directory: &Path) -> io::Result<Vec<String>> {
    let names = if_visible(directory::names(directory))?.unwrap_or_default();
    let mut names: Vec<String> = names.iter().map(|name| directory::text(name)).collect();
    names.sort();
    Ok(names)
}

/// The target of a link of a process.
fn target(link: &Path) -> io::Result<Option<String>> {
    Ok(if_visible(fs::read_link(link))?.map(|target| directory::text(target.as_os_str())))
}

/// Whether a descriptor in a `/proc/PID/fd` holds the namespace. The link of one that was opened by a name shows that
/// name, not `net:[…]`, so stat(2) decides.
fn is_descriptor_of(link: &Path, inode: NsInode) -> io::Result<bool> {
    let Some(target) = target(link)? else { return Ok(false) };
    let is_namespace = target.starts_with("net:[");
    if !is_namespace && !target.starts_with('/') {
        return Ok(false);
    }
    let metadata = match if_visible(fs::metadata(link)) {
        // Most paths are those of ordinary files, and a broken disk or file server is not this list's error.
        Err(_) if !is_namespace => None,
        read => read?,
    };
    Ok(metadata.is_some_and(|m| (m.dev(), m.ino()) == (inode.dev, inode.ino)))
}

/// The mount points of the namespace in a `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`, fields 4 and 5).
fn mount_points(mountinfo: &str, inode: u64) -> impl Iterator<Item = &str> {
    let root = format!("net:[{inode}]");
    mountinfo.lines().filter_map(move |line| {
        let mut words = line.split(' ').skip(3);
        (words.next()? == root).then(|| words.next().unwrap_or("?"))
    })
}
