//! A short-lived thread enters a namespace, opens a descriptor there, returns it, and ends.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::{netns, sys};
use crate::error::{Error, Kind, Result};

/// Runs `open` on a new thread and returns its result. `open` may enter or make any namespace: the thread ends
/// afterwards, so nothing is restored.
///
/// # Errors
/// What `open` returns; a panic inside it is a `Bug`.
pub(crate) fn on_a_thread<T: Send>(open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("hop".into())
            .stack_size(256 << 10)
            .spawn_scoped(scope, open)
            .map_err(|e| thread_error("start a thread", &e))?;
        thread.join().unwrap_or_else(|_| Err(Error::plain(Kind::Bug, "panic while opening in a namespace")))
    })
}

/// The error of a thread that could not be started, with a hint at the limits.
#[must_use]
pub fn thread_error(op: &str, error: &io::Error) -> Error {
    let error = Error::io(op, error);
    match error.errno {
        Some(Errno::EAGAIN | Errno::ENOMEM) => {
            error.hint("a limit is reached: of threads (`ulimit -u`, `pids.max` of the cgroup) or memory (`ulimit -v`)")
        }
        _ => error,
    }
}

/// Runs `open` inside the network namespace `ns`.
///
/// # Errors
/// As [`on_a_thread`], or if the namespace cannot be entered.
pub(crate) fn hop<T: Send>(ns: BorrowedFd<'_>, open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_a_thread(move || {
        enter(ns)?;
        open()
    })
}

/// Moves the calling thread, which must be a hop's, into `ns`.
pub(crate) fn enter(ns: BorrowedFd<'_>) -> Result<()> {
    debug_assert_eq!(thread::current().name(), Some("hop"), "only a thread that ends may enter");
    sys::enter(ns).map_err(|errno| Error::sys("enter the namespace", errno))
}

/// Moves the calling thread, which must be a hop's, into the mount namespace `ns`.
pub(crate) fn enter_mounts(ns: BorrowedFd<'_>) -> Result<()> {
    unshare(CloneFlags::CLONE_FS)?; // setns(2) refuses a thread that shares its root directory
    enter(ns)
}

/// Makes new namespaces for the calling thread, which must be a hop's.
pub(crate) fn unshare(kinds: CloneFlags) -> Result<()> {
    debug_assert_eq!(thread::current().name(), Some("hop"), "only a thread that ends may leave");
    sys::unshare(kinds).map_err(unshare_error)?;
    if kinds.contains(CloneFlags::CLONE_NEWNET) { netns::set_defaults() } else { Ok(()) }
}

/// The error of a refused `unshare`, with a hint.
pub(crate) fn unshare_error(errno: Errno) -> Error {
    with_limits(Error::sys("make a namespace", errno))
}

/// The error of a refused namespace, with a hint at the limit or the rule that forbids it.
pub(crate) fn with_limits(error: Error) -> Error {
    match error.errno {
        // kernel/ucount.c: the user's count of namespaces, not the disk.
        Some(Errno::ENOSPC) => error.hint("the limit of /proc/sys/user/max_*_namespaces is reached: delete some"),
        Some(Errno::EPERM) => error.hint("run `nslab doctor`: it names what forbids it"),
        _ => error,
    }
}
