//! The namespaces of processes: `/proc/PID/ns`, and what holds a namespace.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::exec::directory::{self, if_visible};
use crate::exec::handle::{NsHandle, NsKind};

pub mod holders;

/// One line of `ls -l /proc/PID/ns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NsEntry {
    /// The file's name: a namespace type, or `pid_for_children`, `time_for_children`.
    pub name: String,
    /// The link's target: `net:[4026531840]`.
    pub target: String,
    /// The inode, in brackets in `target`.
    pub inode: u64,
}

impl fmt::Display for NsEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.name, self.target)
    }
}

fn directory(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns"))
}

fn explain(error: Error, pid: u32) -> Error {
    match error.errno {
        Some(Errno::ENOENT | Errno::ESRCH) => {
            error.hint(format!("no process {pid} in this lab: PIDs count from the PID 1 of the lab"))
        }
        Some(Errno::EACCES | Errno::EPERM) => error.hint("the process belongs to another user, or is protected"),
        _ => error,
    }
}

/// Lists the namespaces of a process. Like `ls -l /proc/PID/ns`.
///
/// # Errors
/// `NotFound` if there is no such process.
pub fn list(pid: u32) -> Result<Vec<NsEntry>> {
    let fail = |e: &std::io::Error| explain(Error::io(format!("list the namespaces of process {pid}"), e), pid);
    let mut entries = Vec::new();
    for name in directory::names(&directory(pid)).map_err(|e| fail(&e))? {
        let target = fs::read_link(directory(pid).join(&name)).map_err(|e| fail(&e))?;
        let target = directory::text(target.as_os_str());
        entries.push(NsEntry { name: directory::text(&name), inode: inode_of(&target).unwrap_or(0), target });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// The PIDs of this pid namespace. Processes may come and go meanwhile.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn pids() -> Result<Vec<u32>> {
    directory::numbers(Path::new("/proc")).map_err(|e| Error::io("list the processes in `/proc`", &e))
}

/// The inode of a namespace of a process; none if there is no such process or it may not be inspected.
///
/// # Errors
/// If its link cannot be read for another reason.
pub(crate) fn inode(pid: u32, kind: NsKind) -> Result<Option<u64>> {
    let link = directory(pid).join(kind.file());
    let target = if_visible(fs::read_link(&link));
    let target = target.map_err(|e| Error::io(format!("read `{}`", link.display()), &e))?;
    Ok(target.and_then(|target| inode_of(target.to_str()?)))
}

/// The inode in `net:[INODE]`.
pub(crate) fn inode_of(target: &str) -> Option<u64> {
    target.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// Opens one namespace of a process.
///
/// # Errors
/// `NotFound` if there is no such process, `Permission` if it may not be inspected.
pub fn open(pid: u32, kind: NsKind) -> Result<NsHandle> {
    NsHandle::open(kind, &directory(pid).join(kind.file())).map_err(|e| explain(e, pid))
}

/// Whether the process `pid` is in this process's namespace of type `kind`.
pub(crate) fn share(pid: u32, kind: NsKind) -> bool {
    let own = open(std::process::id(), kind);
    matches!((own, open(pid, kind)), (Ok(own), Ok(other)) if own.is(&other))
}

/// Whether this user namespace has no ids but root's, as in the lab of an ordinary user.
pub(crate) fn maps_root_alone() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().count() == 1 && map.split_whitespace().last() == Some("1")
}
