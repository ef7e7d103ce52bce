//! A namespace that is held: an open descriptor, with its kind and identity.

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

/// The kinds of namespace that Linux has (`namespaces(7)`).
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
    /// Process numbers.
    Pid,
    /// Boot and monotonic clocks.
    Time,
    /// User and group numbers.
    User,
    /// Host name and domain name.
    Uts,
}

impl NsKind {
    /// All eight, in the order in which `ls /proc/PID/ns` lists them.
    pub const ALL: [Self; 8] =
        [Self::Cgroup, Self::Ipc, Self::Mount, Self::Net, Self::Pid, Self::Time, Self::User, Self::Uts];

    /// The name of its file below `/proc/PID/ns`.
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

    /// The kind called `name`, by its file name or the long option of `nsenter(1)`.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "mount" {
            return Ok(Self::Mount);
        }
        Self::ALL.into_iter().find(|kind| kind.file() == name).ok_or_else(|| {
            Error::usage(format!("no kind of namespace is called `{}`", crate::name::short(name)))
                .hint("the kinds are: cgroup, ipc, mount (or mnt), net, pid, time, user, uts")
        })
    }

    /// Its flag for `unshare(2)`.
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

/// Device and inode of a namespace file. Equal numbers mean the same namespace only while both are held: the
/// kernel gives the number of a namespace that is gone to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NsInode {
    /// The device of nsfs.
    pub dev: u64,
    /// What `ls -l /proc/PID/ns` shows in brackets.
    pub ino: u64,
}

/// A held namespace. As long as one clone lives, the namespace lives.
#[derive(Clone)]
pub struct NsHandle {
    kind: NsKind,
    inode: NsInode,
    fd: Arc<OwnedFd>,
}

impl NsHandle {
    /// Takes an open namespace file.
    pub(crate) fn new(kind: NsKind, fd: OwnedFd) -> Result<Self> {
        let stat = fstat(&fd).map_err(|e| Error::sys("look at the namespace", e))?;
        Ok(Self { kind, inode: NsInode { dev: stat.st_dev, ino: stat.st_ino }, fd: Arc::new(fd) })
    }

    /// Opens a namespace file such as `/proc/PID/ns/net` or `/run/netns/NAME`.
    ///
    /// # Errors
    /// When it is not there, not ours to open, or no namespace.
    pub fn open(kind: NsKind, path: &Path) -> Result<Self> {
        let op = || format!("open the {} namespace at `{}`", kind.file(), path.display());
        let file = File::open(path).map_err(|e| Error::io(op(), &e))?;
        // A stale name is a plain file: say so now instead of failing in setns (EINVAL) later.
        let magic = nix::sys::statfs::fstatfs(&file).map_err(|e| Error::sys(op(), e))?.filesystem_type();
        if magic.0 != libc::NSFS_MAGIC {
            return Err(Error::sys(op(), Errno::EINVAL).detail("this file is not a namespace"));
        }
        Self::new(kind, file.into())
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> NsKind {
        self.kind
    }

    /// Device and inode.
    #[must_use]
    pub fn inode(&self) -> NsInode {
        self.inode
    }

    /// Whether both hold the same namespace; both are held, so the inode decides.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
    }

    /// A number that no other namespace ever has, where the kernel has such numbers (6.18).
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
