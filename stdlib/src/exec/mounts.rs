//! What a lab mounts: its own `/proc`, `/sys` and `/run`, private to it.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::sys::mount;
use crate::error::{Error, Result};

/// Where names of network namespaces live, here and in iproute2.
pub(crate) const NETNS_DIR: &str = "/run/netns";

const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

fn failed(what: &str) -> impl Fn(Errno) -> Error + '_ {
    move |errno| Error::sys(format!("mount {what}"), errno)
}

/// Cuts every tie to the mounts outside, in both directions. Without it a mount made here would appear on a
/// machine whose `/` is shared, which is systemd's default.
pub(crate) fn make_private() -> Result<()> {
    mount("none", "/", "none", MsFlags::MS_REC | MsFlags::MS_PRIVATE).map_err(failed("/ as private"))
}

/// Lets no mount made here appear outside, while names that are made outside later appear here.
pub(crate) fn follow() -> Result<()> {
    mount("none", "/", "none", MsFlags::MS_REC | MsFlags::MS_SLAVE).map_err(failed("/ as a follower"))
}

/// Mounts a `/proc` that shows the pid namespace of the caller.
pub(crate) fn proc() -> Result<()> {
    mount("proc", "/proc", "proc", PLAIN).map_err(failed("/proc"))
}

/// Mounts a `/sys` that shows the network namespace of the caller.
pub(crate) fn sys() -> Result<()> {
    mount("sysfs", "/sys", "sysfs", PLAIN).map_err(failed("/sys"))
}

/// Builds the lab's view: `/proc`, `/sys`, an empty `/run` with a `/run/netns` in it.
pub(crate) fn build(privileged: bool) -> Result<()> {
    make_private()?;
    proc()?;
    sys()?;
    mount("tmpfs", "/run", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV).map_err(failed("/run"))?;
    fs::create_dir(NETNS_DIR).map_err(|e| Error::io(format!("make `{NETNS_DIR}`"), &e))?;
    // A mount point of its own and shared, as `ip netns add` makes it: names made in one mount namespace of the
    // lab appear in all, and iproute2 finds nothing to change.
    mount(NETNS_DIR, NETNS_DIR, "none", MsFlags::MS_BIND).map_err(failed(NETNS_DIR))?;
    mount("none", NETNS_DIR, "none", MsFlags::MS_SHARED).map_err(failed(NETNS_DIR))?;
    if privileged { protect_sysctls() } else { Ok(()) }
}

/// Makes `/proc/sys` read-only but for what belongs to namespaces of the lab.
///
/// The sysctl code asks for the real uid, not for a capability (`test_perm` in `fs/proc/proc_sysctl.c`), so root in a
/// user namespace could still write `kernel.panic` of the whole machine.
pub(crate) fn protect_sysctls() -> Result<()> {
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
    let root = "/proc/sys";
    mount(root, root, "none", MsFlags::MS_BIND).map_err(failed(root))?;
    for name in OWN {
        let path = format!("{root}/{name}");
        if Path::new(&path).exists() {
            mount(&path, &path, "none", MsFlags::MS_BIND).map_err(failed(&path))?;
        }
    }
    mount("none", root, "none", MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | PLAIN)
        .map_err(failed("/proc/sys read-only"))
}

/// Binds the namespace file `source` to the new file `target`.
pub(crate) fn bind_namespace(source: &str, target: &Path) -> Result<(), Errno> {
    let target = target.to_str().ok_or(Errno::EINVAL)?;
    mount(source, target, "none", MsFlags::MS_BIND)
}
