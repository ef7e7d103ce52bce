//! The mounts of a lab: its own `/proc`, `/sys` and `/run`.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::covers::{self, Cover};
use super::sys::mount;
use crate::error::{Error, Result};

/// The directory of the names of network namespaces, for nslab and iproute2 alike.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// The directory of the namespace's links in `/sys`.
const LINKS: &str = "/sys/devices/virtual/net";

/// A read-only `/sys` without mounts on top, in a lab of root.
const WHOLE_SYS: &str = "/run/.sys";

const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

fn failed(what: &str) -> impl Fn(Errno) -> Error + '_ {
    move |errno| Error::sys(format!("mount {what}"), errno)
}

/// Stops mount propagation in both directions. Without it a mount of the lab appears on the machine where `/` is
/// shared, which is systemd's default.
pub(crate) fn make_private() -> Result<()> {
    mount("none", "/", "none", MsFlags::MS_REC | MsFlags::MS_PRIVATE).map_err(failed("/ as private"))
}

/// Stops propagation of mounts to the outside. Mounts made outside, such as names, still appear here.
pub(crate) fn follow() -> Result<()> {
    mount("none", "/", "none", MsFlags::MS_REC | MsFlags::MS_SLAVE).map_err(failed("/ as a follower"))
}

/// Mounts a `/proc` that shows the pid namespace of the caller.
pub(crate) fn proc() -> Result<()> {
    mount("proc", "/proc", "proc", PLAIN).map_err(failed("/proc"))
}

/// Mounts a `/sys` that shows the network namespace of the caller. In a lab of root it comes from the helper.
pub(crate) fn sys() -> Result<()> {
    if covers::are_from_helper() {
        let net = File::open("/proc/thread-self/ns/net").map_err(|e| Error::io("open the network namespace", &e))?;
        return attach(&covers::ask(Cover::Sys, net.as_fd())?, Cover::Sys.path());
    }
    plain_sys()
}

/// As [`sys()`], without a helper.
pub(crate) fn plain_sys() -> Result<()> {
    match mount("sysfs", "/sys", "sysfs", PLAIN) {
        // If the visible /sys is locked read-only, a new one must be read-only too (fs/namespace.c,
        // `mnt_already_visible`).
        Err(Errno::EPERM) if is_read_only("/sys")? => {
            mount("sysfs", "/sys", "sysfs", PLAIN | MsFlags::MS_RDONLY).map_err(failed("/sys"))
        }
        done => done.map_err(failed("/sys")),
    }
}

/// A copy of the mount at `path` and of all mounts below it, attached nowhere.
pub(crate) fn take(path: &str) -> Result<OwnedFd> {
    let op = || format!("copy the mount at `{path}`");
    let path = CString::new(path).map_err(|_| Error::sys(op(), Errno::EINVAL))?;
    super::sys::copy_of_mounts(&path).map_err(|e| Error::sys(op(), e))
}

/// Attaches what [`take`] returned at `path`.
pub(crate) fn attach(tree: &OwnedFd, path: &str) -> Result<()> {
    let target = CString::new(path).map_err(|_| failed(path)(Errno::EINVAL))?;
    super::sys::attach_mounts(tree.as_fd(), &target).map_err(failed(path))
}

/// Whether the mount at `path` is read-only.
fn is_read_only(path: &str) -> Result<bool> {
    let read = statvfs(path).map_err(|e| Error::sys(format!("read the mount flags of `{path}`"), e))?;
    Ok(read.flags().contains(FsFlags::ST_RDONLY))
}

/// Whether there is a file at `path`. A file that is not seen would stay unprotected.
fn exists(path: &str) -> Result<bool> {
    Path::new(path).try_exists().map_err(|e| Error::io(format!("look for `{path}`"), &e))
}

/// Whether the user namespace of the caller has the machine's root: then files that ask for the uid alone are open to it.
pub(crate) fn has_root_of_machine() -> Result<bool> {
    let metadata = fs::metadata("/proc/sys").map_err(|e| Error::io("read the owner of `/proc/sys`", &e))?;
    Ok(metadata.uid() == 0) // else it is the overflow uid
}

/// Mounts a lab's `/proc`, `/sys`, and an empty `/run` with a `/run/netns` in it. If `guarded`, what root could change of
/// the machine is read-only.
///
/// The caller is in the lab's pid and network namespaces, and in the user namespace around the lab's.
pub(crate) fn cover(guarded: bool) -> Result<()> {
    make_private()?;
    mount("tmpfs", "/run", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV).map_err(failed("/run"))?;
    make_directory(NETNS_DIR)?;
    bind(NETNS_DIR)?;
    if !guarded {
        proc()?;
        return plain_sys();
    }
    // `ip netns exec` mounts a /sys. The kernel lets it if a whole one is visible, and the guarded one is not: a mount
    // that cannot be taken off covers a part of it (fs/namespace.c, `mnt_already_visible`).
    guarded_sys()?;
    make_directory(WHOLE_SYS)?;
    mount("sysfs", WHOLE_SYS, "sysfs", PLAIN | MsFlags::MS_RDONLY).map_err(failed(WHOLE_SYS))?;
    guarded_proc()
}

fn make_directory(path: &str) -> Result<()> {
    fs::create_dir(path).map_err(|e| Error::io(format!("make `{path}`"), &e))
}

/// Lets what is mounted in the lab's root appear in mount namespaces that follow it, as on a machine with systemd.
pub(crate) fn share() -> Result<()> {
    mount("none", "/", "none", MsFlags::MS_REC | MsFlags::MS_SHARED).map_err(failed("/ as shared"))
}

/// Lets mounts of the lab's root appear in the caller's mount namespace, a copy of the root's, and not the reverse. A name
/// of a network namespace that is made in one of the two appears in both.
pub(crate) fn follow_root_of_lab() -> Result<()> {
    let names = take(NETNS_DIR)?; // in the peer group of the root's
    follow()?;
    mount("none", NETNS_DIR, "none", MsFlags::MS_PRIVATE).map_err(failed(NETNS_DIR))?; // below it no name is needed
    attach(&names, NETNS_DIR)
}

/// A `/proc` as [`proc`] mounts it, whose machine-wide files are read-only.
pub(crate) fn guarded_proc() -> Result<()> {
    proc()?;
    protect_proc()
}

/// A `/sys` that is read-only, except the links of the namespace. Most files there check the uid alone, so root in a user
/// namespace could suspend the machine.
pub(crate) fn guarded_sys() -> Result<()> {
    plain_sys()?;
    // All mounts of a network namespace's sysfs share one superblock. It is read-only if `ip netns exec` was the first.
    let _ = mount("none", "/sys", "none", MsFlags::MS_REMOUNT | PLAIN);
    bind(LINKS)?;
    read_only("/sys")
}

/// Remounts the mount point `path` read-only.
fn read_only(path: &str) -> Result<()> {
    mount("none", path, "none", MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | PLAIN)
        .map_err(failed(path))
}

/// Makes `path` a mount point.
fn bind(path: &str) -> Result<()> {
    mount(path, path, "none", MsFlags::MS_BIND).map_err(failed(path))
}

/// The sysctls that belong to namespaces of the lab.
const OWN: [&str; 16] = [
    "net",
    "user",
    "fs/mqueue",
    "kernel/hostname",
    "kernel/domainname",
    "kernel/auto_msgmni",
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/msg_next_id",
    "kernel/sem",
    "kernel/sem_next_id",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_next_id",
];

/// Makes the machine-wide files of `/proc` read-only.
///
/// The sysctl code checks the real uid, not a capability (`test_perm` in `fs/proc/proc_sysctl.c`), so root in a user
/// namespace could write `kernel.panic` of the machine. The sysctls of the lab's own namespaces stay writable. The other
/// files are those that containers guard too.
fn protect_proc() -> Result<()> {
    for path in ["/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"] {
        if exists(path)? {
            bind(path)?;
            read_only(path)?;
        }
    }
    let root = "/proc/sys";
    bind(root)?;
    for name in OWN {
        let path = format!("{root}/{name}");
        if exists(&path)? {
            bind(&path)?;
        }
    }
    read_only(root)
}

/// Binds the namespace file `source` to the new file `target`.
pub(crate) fn bind_namespace(source: &str, target: &Path) -> Result<(), Errno> {
    let target = target.to_str().ok_or(Errno::EINVAL)?;
    mount(source, target, "none", MsFlags::MS_BIND)
}
