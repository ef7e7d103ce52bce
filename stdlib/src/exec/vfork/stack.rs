//! The stack of the child, and the report of what failed, which is above it.
#![allow(unsafe_code, reason = "a mapping of memory; each block says why it is sound")]

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;

use super::{Failed, Step};

/// The step that failed and its errno; zero if none has.
pub(super) struct Report {
    step: AtomicI32,
    errno: AtomicI32,
}

impl Report {
    pub(super) fn write(&self, (step, errno): Failed) {
        self.errno.store(errno as i32, Ordering::Relaxed);
        self.step.store(step as i32, Ordering::Release);
    }

    /// Reads the report and empties it.
    pub(super) fn take(&self) -> Option<Failed> {
        let step = match self.step.swap(0, Ordering::Acquire) {
            0 => return None,
            step if step == Step::Enter as i32 => Step::Enter,
            step if step == Step::Connect as i32 => Step::Connect,
            step if step == Step::Directory as i32 => Step::Directory,
            step if step == Step::Limit as i32 => Step::Limit,
            _ => Step::Execute,
        };
        Some((step, Errno::from_raw(self.errno.load(Ordering::Relaxed))))
    }
}

/// The child's stack: a page that cannot be accessed, the stack, and the report.
pub(super) struct Stack {
    base: NonNull<c_void>,
    length: usize,
}

impl Stack {
    /// What the child uses of it is a few hundred bytes.
    const SIZE: usize = 64 << 10;
    /// Room for the report; a multiple of what the architectures align a stack to.
    const REPORT: usize = 64;

    /// Maps a stack. A child with a copy of the memory shares this mapping all the same.
    pub(super) fn new(is_private: bool) -> Result<Self, Errno> {
        // SAFETY: sysconf(3) has no precondition.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(|_| Errno::EINVAL)?;
        let length = page + Self::SIZE;
        let sharing = if is_private { libc::MAP_PRIVATE } else { libc::MAP_SHARED };
        let flags = sharing | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        let base = NonNull::new(base).filter(|base| base.as_ptr() != libc::MAP_FAILED).ok_or_else(Errno::last)?;
        let stack = Self { base, length };
        // SAFETY: the first page of the mapping, which nothing uses.
        Errno::result(unsafe { libc::mprotect(base.as_ptr(), page, libc::PROT_NONE) })?;
        Ok(stack)
    }

    /// Where the stack begins: it grows downwards.
    pub(super) fn top(&self) -> *mut c_void {
        // SAFETY: the offset is within the mapping.
        unsafe { self.base.as_ptr().byte_add(self.length - Self::REPORT) }
    }

    pub(super) fn report(&self) -> &Report {
        // SAFETY: within the mapping and aligned; zeroes, as the kernel maps them, are a valid report.
        unsafe { &*self.top().cast() }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's; the child has executed or ended.
        unsafe { libc::munmap(self.base.as_ptr(), self.length) };
    }
}
