//! The memory budget of a script: an allocator that counts, and the limit that the language asks for after each step.
//!
//! * The **budget** is soft. A step of a script may pass it; the engine sees that after the step ([`is_exceeded`]) and
//!   ends the script with an error that has a line.
//! * The **hard limit** is [`STEP`] times the budget. An allocation cannot fail in Rust without the end of the process,
//!   so a single step that needs more than that ends the process, with a message and [`EXHAUSTED`]. Functions that grow
//!   by a number that the script gives ask first ([`has_room_for`]).
//!
//! No limit of the kernel (`RLIMIT_AS`, `RLIMIT_DATA`) is used: programs that a script starts would inherit it.
#![allow(unsafe_code, reason = "a global allocator; each block says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use super::sys;
use crate::error::{Error, Result};

/// The exit status of a process that has no memory left (`EX_OSERR` of sysexits(3)).
pub const EXHAUSTED: u8 = 71;

/// The budget if the user gives none.
pub const DEFAULT: usize = 512 << 20;

/// The smallest budget.
const LEAST: usize = 16 << 20;

/// How many times its budget a script may use during one step.
const STEP: usize = 4;

/// How many bytes a thread that counts for itself may be ahead of the common count.
const BATCH: isize = 64 << 10;

/// More than any machine has.
const LARGEST_BLOCK: isize = isize::MAX / 4;

/// The bytes in use, as far as they are reported.
static USED: AtomicIsize = AtomicIsize::new(0);
/// The budget; no budget before [`set_budget`].
static BUDGET: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The largest budget that can be set while the process runs.
static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The use at which a script ends: the budget, or more after [`allow_to_free`].
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    /// Whether this thread counts for itself.
    static COUNTS_ITSELF: Cell<bool> = const { Cell::new(false) };
    /// What it has counted since its last report.
    static UNREPORTED: Cell<isize> = const { Cell::new(0) };
}

/// Sets the budget of this process, in bytes.
pub fn set_budget(bytes: usize) {
    BUDGET.store(bytes, Ordering::Relaxed);
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Sets the largest budget that [`change_budget`] accepts.
pub fn set_largest(bytes: usize) {
    LARGEST.store(bytes, Ordering::Relaxed);
}

/// Sets the budget while scripts run.
///
/// # Errors
/// For a budget that is too small to work with, or larger than the process is prepared for.
pub fn change_budget(bytes: u64) -> Result<()> {
    let largest = LARGEST.load(Ordering::Relaxed);
    let bytes = check(bytes)?;
    if bytes > largest {
        return Err(Error::usage(format!("{} MiB is more than this run is prepared for", bytes >> 20))
            .hint(format!("at most {} MiB; start it with `nslab --memory SIZE` for more", largest >> 20)));
    }
    set_budget(bytes);
    Ok(())
}

/// A budget in bytes, as a number of this machine.
///
/// # Errors
/// For a budget that is too small to work with.
pub fn check(bytes: u64) -> Result<usize> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes < LEAST {
        return Err(Error::usage(format!("{bytes} bytes are too small a memory budget"))
            .hint(format!("at least {} MiB, as in \"64m\"", LEAST >> 20)));
    }
    Ok(bytes)
}

/// The budget of this process, in bytes.
#[must_use]
pub fn budget() -> usize {
    BUDGET.load(Ordering::Relaxed)
}

/// The bytes in use.
#[must_use]
pub fn used() -> usize {
    usize::try_from(USED.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Whether more is in use than the budget allows.
#[must_use]
pub fn is_exceeded() -> bool {
    used() > LIMIT.load(Ordering::Relaxed)
}

/// Whether `bytes` more would stay within the budget.
#[must_use]
pub fn has_room_for(bytes: usize) -> bool {
    used().saturating_add(bytes) <= LIMIT.load(Ordering::Relaxed)
}

/// Allows an input to run although earlier ones have used up the budget: else it could not free anything.
pub fn allow_to_free() {
    LIMIT.store(budget().max(used().saturating_add(LEAST)), Ordering::Relaxed);
}

/// Lets this thread count for itself and report only now and then, which is faster. Its last report is lost with it, so
/// this is for a thread that lasts.
pub fn count_on_this_thread() {
    COUNTS_ITSELF.set(true);
}

/// The allocator of the C library, counted. `main.rs` makes it the allocator of the program.
pub struct Counted;

impl Counted {
    /// Counts `bytes` more, or fewer. Ends the process if that passes the hard limit.
    fn count(bytes: isize) {
        let mut bytes = bytes;
        if COUNTS_ITSELF.get() {
            bytes += UNREPORTED.get();
            if bytes.abs() < BATCH {
                UNREPORTED.set(bytes);
                return;
            }
            UNREPORTED.set(0);
        }
        let used = USED.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if bytes >= BATCH && usize::try_from(used).is_ok_and(|used| used > budget().saturating_mul(STEP)) {
            end(None);
        }
    }

    /// Ends the process if the kernel has refused memory.
    fn granted(block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            end(Some(size));
        }
        block
    }
}

/// The bytes that the C library takes for a block: a header of eight bytes, in steps of sixteen, at least 32. No block is
/// larger than [`LARGEST_BLOCK`], so sums do not overflow.
fn footprint(size: usize) -> isize {
    let taken = (size.saturating_add(8 + 15) & !15).max(32);
    isize::try_from(taken).unwrap_or(isize::MAX).min(LARGEST_BLOCK)
}

// SAFETY: every call is passed on to the allocator of the C library unchanged, and so is what it returns. Counting uses
// atomics and thread-local cells without destructors, so it allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(footprint(layout.size()));
        // SAFETY: the caller's promises about the layout.
        Self::granted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(footprint(layout.size()));
        // SAFETY: the caller's promises about the layout.
        Self::granted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::count(-footprint(layout.size()));
        // SAFETY: the caller's promises about the block and its layout.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(footprint(size) - footprint(layout.size()));
        // SAFETY: the caller's promises about the block, its layout and the new size.
        Self::granted(unsafe { System.realloc(block, layout, size) }, size)
    }
}

/// A text of limited length that needs no allocation.
struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = &mut self.bytes[self.length..];
        let fitting = text.len().min(left.len());
        left[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.length += fitting;
        Ok(())
    }
}

/// Reports that there is no memory, and ends the process: an allocation can neither wait nor unwind.
#[cold]
fn end(refused: Option<usize>) -> ! {
    let mut text = Text { bytes: [0; 256], length: 0 };
    let _ = match refused {
        Some(bytes) => writeln!(text, "error: out of memory: the kernel refuses {bytes} bytes"),
        None => writeln!(
            text,
            "error: out of memory: a single step uses more than {STEP} times the budget of {} MiB\n\
             hint: `memory(\"2g\")` in the script raises the budget, or `nslab --memory 2g`",
            budget() >> 20
        ),
    };
    sys::write_error(&text.bytes[..text.length]);
    sys::exit_now(i32::from(EXHAUSTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_what_the_c_library_takes() {
        assert_eq!([0, 1, 24, 25, 40, 41].map(footprint), [32, 32, 32, 48, 48, 64]);
        assert_eq!(footprint(usize::MAX), LARGEST_BLOCK);
    }

    #[test]
    fn a_message_that_is_too_long_is_cut() {
        let mut text = Text { bytes: [0; 256], length: 0 };
        let _ = write!(text, "{}", "x".repeat(300));
        assert_eq!(text.length, 256);
    }
}
