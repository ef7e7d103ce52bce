//! The system calls that need care: every `unsafe` block, `setns`, `unshare`, `clone` and `mount` is here, but those of the
//! child that becomes a program (`vfork`).
#![allow(unsafe_code, reason = "raw system calls; each block says why it is sound")]
#![allow(clippy::disallowed_methods, reason = "this is the one module that may enter and make namespaces")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessageOwned, RecvMsg};
use nix::unistd::Pid;

type Sys<T> = Result<T, Errno>;

/// Makes a process, as `fork(2)` does, in new namespaces. `None` is the child.
///
/// The caller has one thread, or the child only makes system calls.
pub(crate) fn clone_process(namespaces: CloneFlags) -> Sys<Option<Pid>> {
    let flags = libc::c_long::from(namespaces.bits() | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has its own copy of all memory, as after fork(2); no stack is passed.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = Errno::result(i32::try_from(pid).unwrap_or(-1))?;
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// As [`clone_process`]; also returns a descriptor that names the child, without `pidfd_open(2)`, which a container's
/// filter may refuse.
pub(crate) fn clone_with_pidfd(namespaces: CloneFlags) -> Sys<Option<(Pid, OwnedFd)>> {
    let flags = libc::c_long::from(namespaces.bits() | libc::CLONE_PIDFD | libc::SIGCHLD);
    let mut pidfd: RawFd = -1;
    // SAFETY: as above. The kernel writes the descriptor through the third argument, which is valid for it.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match Errno::result(i32::try_from(pid).unwrap_or(-1))? {
        0 => Ok(None),
        // SAFETY: the kernel has just made the descriptor, and no other value owns it.
        pid => Ok(Some((Pid::from_raw(pid), unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// As [`fork`], with a PID far from those that the pid namespace of the child gives out: it skips none for the child. A
/// kernel or a filter without `clone3(2)` gives it the next one.
pub(crate) fn fork_apart() -> Sys<Option<Pid>> {
    const APART: libc::pid_t = 30_000; // below the smallest usual `pid_max`
    let pid = APART;
    // SAFETY: all fields are integers, and zero means that the field is not used.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD.cast_unsigned().into();
    args.set_tid = std::ptr::from_ref(&pid) as u64;
    args.set_tid_size = 1;
    // SAFETY: without CLONE_VM the child has its own copy of all memory, as after fork(2). The caller has one thread.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match child {
        0 => Ok(None),
        child if child > 0 => Ok(Some(Pid::from_raw(i32::try_from(child).map_err(|_| Errno::ERANGE)?))),
        _ => clone_process(CloneFlags::empty()),
    }
}

/// `fork(2)` by the C library, which keeps its own state right. `None` is the child. The caller has one thread.
pub(crate) fn fork() -> Sys<Option<Pid>> {
    // SAFETY: both callers (front and keeper) are single-threaded, so no lock is held by a thread that is gone.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Some(child)),
        nix::unistd::ForkResult::Child => Ok(None),
    }
}

/// Ends the process at once: no destructor runs, so no buffer is written twice.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no precondition.
    unsafe { libc::_exit(status) }
}

/// Changes a variable of the environment. The caller has one thread.
pub(crate) fn set_variable(name: &str, value: &str) {
    // SAFETY: the only caller (keeper) is single-threaded, so nothing reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// Writes to standard error, once and without a buffer: there may be no memory.
pub(crate) fn write_error(text: &[u8]) {
    // SAFETY: the pointer and the length are those of a live slice. The result is the end of the process in any case.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Moves the calling thread into a namespace of any type. The thread must end soon.
pub(crate) fn enter(ns: BorrowedFd<'_>) -> Sys<()> {
    nix::sched::setns(ns, CloneFlags::empty())
}

/// Moves the calling thread into namespaces of another process, of all `kinds`. The thread must end soon.
pub(crate) fn enter_namespaces_of(process: BorrowedFd<'_>, kinds: CloneFlags) -> Sys<()> {
    nix::sched::setns(process, kinds)
}

/// Gives the calling thread new namespaces.
pub(crate) fn unshare(kinds: CloneFlags) -> Sys<()> {
    nix::sched::unshare(kinds)
}

/// Ignores Ctrl-Z (SIGTSTP).
pub(crate) fn ignore_stop_key() {
    // SAFETY: no handler is installed, so nothing can run at a bad time.
    let _ = unsafe { nix::sys::signal::signal(Signal::SIGTSTP, nix::sys::signal::SigHandler::SigIgn) };
}

/// `mount(2)`.
pub(crate) fn mount(source: &str, target: &str, kind: &str, flags: MsFlags) -> Sys<()> {
    nix::mount::mount(Some(source), target, Some(kind), flags, None::<&str>)
}

/// `mount(2)` with options of the file system.
pub(crate) fn mount_with(source: &str, target: &str, kind: &str, flags: MsFlags, options: &str) -> Sys<()> {
    nix::mount::mount(Some(source), target, Some(kind), flags, Some(options))
}

/// `umount2(2)`, lazily.
pub(crate) fn unmount(target: &std::path::Path) -> Sys<()> {
    nix::mount::umount2(target, MntFlags::MNT_DETACH)
}

/// `open_tree(2)`: a copy of the mount at `path`, with all mounts below it, that is attached nowhere.
pub(crate) fn copy_of_mounts(path: &CStr) -> Sys<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE.cast_unsigned();
    // SAFETY: the path is a string that ends in NUL. The descriptor that the call returns is new.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made the descriptor, and no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `move_mount(2)`: attaches a copy of mounts at `path`.
pub(crate) fn attach_mounts(tree: BorrowedFd<'_>, path: &CStr) -> Sys<()> {
    // SAFETY: both paths are strings that end in NUL.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// The descriptor that came with a message.
pub(crate) fn descriptor_of(message: &RecvMsg<'_, '_, ()>) -> Sys<Option<OwnedFd>> {
    let mut received = message.cmsgs()?.flat_map(|part| match part {
        ControlMessageOwned::ScmRights(all) => all,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has just made the descriptor, and no other value owns it.
    Ok(received.next().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `ppoll(2)`, with the signal mask as it is. Without `timeout` it waits until a descriptor is ready.
pub(crate) fn poll(descriptors: &mut [libc::pollfd], timeout: Option<Duration>) -> Sys<()> {
    let timeout = timeout.map(nix::sys::time::TimeSpec::from_duration);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), |timeout| std::ptr::from_ref(timeout.as_ref()));
    let count = descriptors.len() as libc::nfds_t;
    // SAFETY: pointer and count are those of a live slice. A descriptor that is closed meanwhile is reported in its
    // entry; the kernel accesses no other memory than the entries and the timeout.
    Errno::result(unsafe { libc::ppoll(descriptors.as_mut_ptr(), count, timeout, std::ptr::null()) }).map(drop)
}

/// `pidfd_open(2)`: a descriptor that names the process even after its PID is reused.
pub(crate) fn pidfd_open(pid: Pid) -> Sys<OwnedFd> {
    // SAFETY: takes two integers. The descriptor that it returns is new and has the close-on-exec flag.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made the descriptor, and no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `pidfd_send_signal(2)`.
pub(crate) fn pidfd_send_signal(process: BorrowedFd<'_>, signal: Signal) -> Sys<()> {
    // SAFETY: a null siginfo means the contents that kill(2) sends.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal as i32,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })?;
    Ok(())
}

/// Marks every descriptor from `first` on to be closed when a program is started.
pub(crate) fn close_on_exec_from(first: u32) {
    // SAFETY: changes a flag of open descriptors and accesses no memory.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Whether `fd` is an open descriptor.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: reads a flag and accesses no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Closes a descriptor that was inherited. No value of this process owns it.
pub(crate) fn close_inherited(fd: RawFd) {
    // SAFETY: the descriptor was open before `main`, so no value owns it.
    unsafe { libc::close(fd) };
}

/// Whether the process ignores `signal`.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a zeroed sigaction is valid to be written to, and no new action is given.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Gives `signal` its default action.
pub(crate) fn default_action(signal: Signal) {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
}

/// The kernel's id of a namespace, which it never reuses: `ioctl(NS_GET_ID)`, Linux 6.18.
pub(crate) fn ns_id(ns: BorrowedFd<'_>) -> Sys<u64> {
    const NS_GET_ID: libc::c_ulong = 0x8008_b70d; // _IOR(0xb7, 13, u64)
    let mut id = 0u64;
    // SAFETY: the ioctl writes one u64 through the pointer, which is valid for it.
    Errno::result(unsafe { libc::ioctl(ns.as_raw_fd(), NS_GET_ID, &raw mut id) })?;
    Ok(id)
}

/// `waitpid(2)` for one child: its status, or `None` if `flags` say not to wait and it runs on.
pub(crate) fn wait_for(pid: Pid, flags: libc::c_int) -> Sys<Option<ExitStatus>> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one integer through the pointer, which is valid for it.
        match Errno::result(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, flags) }) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(ExitStatus::from_raw(status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The standard streams, as bits, that were closed when this program was started. Rust opens `/dev/null` in their place
/// before `main`.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Called by the C library before `main`.
extern "C" fn see_closed_streams() {
    for fd in (0..3).filter(|fd| !is_open(*fd)) {
        CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
    }
}

// SAFETY: the C library calls each entry of this section once, with arguments that a C function may ignore.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = see_closed_streams;

/// The standard streams that were closed when this program was started.
pub(crate) fn closed_streams() -> [bool; 3] {
    let closed = CLOSED.load(Ordering::Relaxed);
    [0, 1, 2].map(|fd| closed & 1 << fd != 0)
}

/// Gives the calling thread a seccomp filter, for good: `seccomp(2)`. Without `no_new_privs`, as root may.
pub(crate) fn install_filter(instructions: &[libc::sock_filter]) -> Sys<()> {
    let len = libc::c_ushort::try_from(instructions.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: instructions.as_ptr().cast_mut() };
    // Without it a filter turns on mitigations of speculation, which slow the program down on some processors.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the kernel reads the instructions, which outlive the call, and checks them.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) })
        .map(drop)
}
