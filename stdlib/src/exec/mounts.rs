//! The mounts of a lab: its own `/proc`, `/sys` and `/run`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::sys::mount;
use crate::error::{Error, Result};

/// The directory of the names of network namespaces, for nslab and iproute2 alike.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// The directory of the namespace's links in `/sys`.
const LINKS: &str = "/sys/devices/virtual/net";

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

/// Mounts a `/sys` that shows the network namespace of the caller.
pub(crate) fn sys() -> Result<()> {
    sys_like(is_read_only("/sys")?)
}

/// Prepares the caller's mount namespace for a new user namespace, which will mount its `/sys` with [`sys_like`]: the
/// kernel refuses that while a locked mount covers a part of `/sys`. Returns whether `/sys` was guarded.
pub(crate) fn unguard_sys() -> Result<bool> {
    let guarded = is_read_only("/sys")?;
    if guarded {
        let _ = super::sys::unmount(Path::new(LINKS));
        let _ = mount("none", "/sys", "none", MsFlags::MS_BIND | MsFlags::MS_REMOUNT | PLAIN);
    }
    Ok(guarded)
}

/// As [`sys()`]; read-only but for the links if `guarded`.
pub(crate) fn sys_like(guarded: bool) -> Result<()> {
    match mount("sysfs", "/sys", "sysfs", PLAIN) {
        Ok(()) if guarded => protect_sys(),
        // If the visible /sys is locked read-only, a new one must be read-only too (fs/namespace.c,
        // `mnt_already_visible`).
        Err(Errno::EPERM) if guarded => {
            mount("sysfs", "/sys", "sysfs", PLAIN | MsFlags::MS_RDONLY).map_err(failed("/sys"))
        }
        done => done.map_err(failed("/sys")),
    }
}

/// Whether the mount at `path` is read-only.
pub(crate) fn is_read_only(path: &str) -> Result<bool> {
    let read = statvfs(path).map_err(|e| Error::sys(format!("read the mount flags of `{path}`"), e))?;
    Ok(read.flags().contains(FsFlags::ST_RDONLY))
}

/// Whether there is a file at `path`. A file that is not seen would stay unprotected.
fn exists(path: &str) -> Result<bool> {
    Path::new(path).try_exists().map_err(|e| Error::io(format!("look for `{path}`"), &e))
}

/// Whether the user namespace of the caller has the machine's root: then files that ask for the uid alone are open to it.
fn has_root_of_machine() -> Result<bool> {
    let metadata = fs::metadata("/proc/sys").map_err(|e| Error::io("read the owner of `/proc/sys`", &e))?;
    Ok(metadata.uid() == 0) // else it is the overflow uid
}

/// Mounts the lab's `/proc`, `/sys`, and an empty `/run` with a `/run/netns` in it.
pub(crate) fn build() -> Result<()> {
    let privileged = has_root_of_machine()?;
    make_private()?;
    proc()?;
    sys()?;
    mount("tmpfs", "/run", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV).map_err(failed("/run"))?;
    fs::create_dir(NETNS_DIR).map_err(|e| Error::io(format!("make `{NETNS_DIR}`"), &e))?;
    // A shared mount point, as `ip netns add` makes it: a name made in one mount namespace of the lab appears in all.
    mount(NETNS_DIR, NETNS_DIR, "none", MsFlags::MS_BIND).map_err(failed(NETNS_DIR))?;
    mount("none", NETNS_DIR, "none", MsFlags::MS_SHARED).map_err(failed(NETNS_DIR))?;
    if privileged {
        protect_sys()?;
        protect_proc()?;
    }
    Ok(())
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

/// Makes `/sys` read-only, except the links of the namespace. Most files there check the uid alone, so root in a user
/// namespace could suspend the machine.
fn protect_sys() -> Result<()> {
    bind(LINKS)?;
    read_only("/sys")
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
pub(crate) fn protect_proc() -> Result<()> {
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
