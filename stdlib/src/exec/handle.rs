//! A held namespace: an open descriptor, with the namespace's type and identity.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::stat::fstat;

use super::sys;
use crate::error::{Error, Result};

/// The namespace types of Linux (`namespaces(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NsKind {
    /// Control group root.
    Cgroup,
    /// System V IPC, POSIX message queues.
    Ipc,
    /// Mount points.
    Mount,
    /// Network devices, stacks, ports.
    Net,
    /// PIDs.
    Pid,
    /// Boot and monotonic clocks.
    Time,
    /// User and group IDs.
    User,
    /// Host name and NIS domain name.
    Uts,
}

impl NsKind {
    /// All eight types, in the order of `ls /proc/PID/ns`.
    pub const ALL: [Self; 8] =
        [Self::Cgroup, Self::Ipc, Self::Mount, Self::Net, Self::Pid, Self::Time, Self::User, Self::Uts];

    /// The name of the type's file in `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mount => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }

    /// The type called `name`: its file name, or the long option of `nsenter(1)`.
    ///
    /// # Errors
    /// `Usage` for any other name; the hint lists the names.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "mount" {
            return Ok(Self::Mount);
        }
        Self::ALL.into_iter().find(|kind| kind.file() == name).ok_or_else(|| {
            Error::usage(format!("unknown namespace type `{}`", crate::name::short(name)))
                .hint("the types are: cgroup, ipc, mount (or mnt), net, pid, time, user, uts")
        })
    }

    /// The type's flag for `unshare(2)`.
    #[must_use]
    pub fn flag(self) -> CloneFlags {
        match self {
            Self::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Mount => CloneFlags::CLONE_NEWNS,
            Self::Net => CloneFlags::CLONE_NEWNET,
            Self::Pid => CloneFlags::CLONE_NEWPID,
            Self::Time => CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
            Self::User => CloneFlags::CLONE_NEWUSER,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
        }
    }
}

/// Device and inode of a namespace file. Equal values mean the same namespace only while both namespaces are held:
/// the kernel reuses the inode of a namespace that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NsInode {
    /// The device of nsfs.
    pub dev: u64,
    /// The inode, which `ls -l /proc/PID/ns` shows in brackets.
    pub ino: u64,
}

/// A held namespace. It lives at least as long as the last clone.
#[derive(Clone)]
pub struct NsHandle {
    kind: NsKind,
    inode: NsInode,
    fd: Arc<OwnedFd>,
}

impl NsHandle {
    /// Holds an open namespace file.
    pub(crate) fn new(kind: NsKind, fd: OwnedFd) -> Result<Self> {
        let stat = fstat(&fd).map_err(|e| Error::sys("read the inode of the namespace", e))?;
        Ok(Self { kind, inode: NsInode { dev: stat.st_dev, ino: stat.st_ino }, fd: Arc::new(fd) })
    }

    /// Opens a namespace file such as `/proc/PID/ns/net` or `/run/netns/NAME`.
    ///
    /// # Errors
    /// If the file does not exist, may not be opened, or is not a namespace.
    pub fn open(kind: NsKind, path: &Path) -> Result<Self> {
        let op = || format!("open the {} namespace at `{}`", kind.file(), path.display());
        let file = File::open(path).map_err(|e| Error::io(op(), &e))?;
        // A stale name is a plain file. Report that here, not as EINVAL of setns(2) later.
        let magic = nix::sys::statfs::fstatfs(&file).map_err(|e| Error::sys(op(), e))?.filesystem_type();
        if magic.0 != libc::NSFS_MAGIC {
            return Err(Error::sys(op(), Errno::EINVAL).detail("this file is not a namespace"));
        }
        Self::new(kind, file.into())
    }

    /// The namespace's type.
    #[must_use]
    pub fn kind(&self) -> NsKind {
        self.kind
    }

    /// Device and inode.
    #[must_use]
    pub fn inode(&self) -> NsInode {
        self.inode
    }

    /// Whether both hold the same namespace. Both are held, so the inode decides.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
    }

    /// An id that the kernel never reuses, if it has such ids (Linux 6.18).
    #[must_use]
    pub fn unique_id(&self) -> Option<u64> {
        sys::ns_id(self.fd.as_fd()).ok()
    }
}

impl AsFd for NsHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for NsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[{}]", self.kind.file(), self.inode.ino)
    }
}
