//! The signals of the child and of the thread that starts it, by system calls: the C library hides two of them.
#![allow(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::ffi::c_int;
use std::ptr;

/// The kernel's set of signals, all 64 of them: the C library's functions leave out the two that it uses itself.
pub(super) type Mask = u64;
pub(super) const LAST_SIGNAL: c_int = 64;
const ALL: Mask = Mask::MAX;
pub(super) const NONE: Mask = 0;

/// The kernel's `struct sigaction`. Handler, flags, on some architectures a restorer, and the mask have a word each.
type Action = [libc::sighandler_t; 4];

/// Sets the signal mask of the calling thread; stores the one before.
pub(super) fn set_mask(mask: &Mask, before: Option<&mut Mask>) {
    let before = before.map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: both pointers are null or to masks of the size that is passed.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, ptr::from_ref(mask), before, size_of::<Mask>());
    }
}

/// The handler of `signal`.
pub(super) fn action(signal: c_int) -> Option<libc::sighandler_t> {
    let mut action: Action = [0; 4];
    let none = ptr::null::<Action>();
    // SAFETY: the kernel writes one action, which is not larger than `Action`.
    let done = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, none, &raw mut action, size_of::<Mask>()) };
    (done == 0).then_some(action[0])
}

/// Gives `signal` its default action. It fails for SIGKILL and SIGSTOP, which have no other.
pub(super) fn set_default_action(signal: c_int) {
    let action: Action = [libc::SIG_DFL, 0, 0, 0];
    let none = ptr::null_mut::<Action>();
    // SAFETY: the kernel reads one action, which is not larger than `Action`.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, none, size_of::<Mask>()) };
}

/// All signals blocked in the calling thread, until it is dropped.
pub(super) struct Blocked(Mask);

impl Blocked {
    pub(super) fn all() -> Self {
        let mut before = NONE;
        set_mask(&ALL, Some(&mut before));
        Self(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(&self.0, None);
    }
}
