//! What forbids a lab: which sysctl, profile or filter of this machine, and the ways out.

use std::fs;
use std::io::{self, Write};

use nix::errno::Errno;

use crate::error::{Error, Kind};

/// The exit status when the environment forbids a lab.
pub const FORBIDDEN: u8 = 3;

pub(super) fn forbidden(errno: Errno) -> Error {
    explain(Error::sys("make the namespaces of a lab", errno))
}

/// Adds what forbids unprivileged namespaces on this machine, and the ways out.
pub(super) fn explain(error: Error) -> Error {
    let sysctl = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let hint = if sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1): give nslab an AppArmor \
         profile with the `userns` permission, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if sysctl("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        "unprivileged user namespaces are off (kernel.unprivileged_userns_clone = 0): \
         `sudo sysctl kernel.unprivileged_userns_clone=1`, or run nslab with sudo"
    } else if sysctl("/proc/sys/user/max_user_namespaces") == "0" {
        "no user namespace is allowed (user.max_user_namespaces = 0): \
         `sudo sysctl user.max_user_namespaces=15000`; root is bound by it too"
    } else if error.errno == Some(Errno::ENOSPC) || error.errno == Some(Errno::EUSERS) {
        "a limit of /proc/sys/user/max_*_namespaces, or 32 nested user namespaces, is reached: end some labs first"
    } else if error.errno == Some(Errno::EPERM) && is_in_lab_of_root() {
        "this is a lab of root: its /proc/sys is read-only, so that root in the lab cannot change the machine's kernel, and \
         so the kernel lets no process in it mount another /proc, which would not be (fs/namespace.c, \
         `mount_too_revealing`); a lab of an ordinary user holds others, in which that user is root"
    } else if error.errno == Some(Errno::EAGAIN) {
        "a limit of processes or threads is reached: `ulimit -u`, or `pids.max` of the cgroup"
    } else if error.errno == Some(Errno::ENOMEM) {
        "memory is short: on the machine, or for this process (`ulimit -v`, `memory.max` of the cgroup)"
    } else if fs::read_to_string("/proc/self/status").is_ok_and(|s| s.contains("Seccomp:\t2")) {
        "a seccomp filter is active, as in a container: start the container with \
         `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, or run nslab outside it"
    } else if error.errno == Some(Errno::EPERM) {
        "the kernel forbids it: in a chroot no user namespace can be made, and a container may mask /proc; \
         run nslab outside of them (or, for a container, with `--privileged`)"
    } else {
        "`nslab doctor` prints what this kernel and this user can do"
    };
    error.kind(Kind::Permission).only_hint(hint)
}

/// Whether this process is in a lab: the first process that `/proc` shows is another nslab.
#[must_use]
pub fn is_in_lab() -> bool {
    let is_first = fs::read_link("/proc/self").is_ok_and(|pid| pid.as_os_str() == "1"); // in a container
    !is_first && fs::read_to_string("/proc/1/comm").is_ok_and(|name| name.trim_end() == "nslab")
}

/// Whether this process is in a lab that root has made: its `/proc/sys` is read-only.
fn is_in_lab_of_root() -> bool {
    let is_read_only = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        fields.next() == Some("/proc/sys") && fields.next().is_some_and(|options| options.starts_with("ro"))
    };
    is_in_lab() && fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| mounts.lines().any(is_read_only))
}

/// Writes an error of the launch to standard error.
pub(super) fn report(error: &Error) {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = error.hint_text() {
        text.push_str("hint: ");
        text.push_str(&hint);
        text.push('\n');
    }
    let _ = io::stderr().write_all(text.as_bytes()); // there is no other place to report it
}
