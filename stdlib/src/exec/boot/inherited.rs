//! What nslab inherits from the program that started it: open descriptors, ignored signals.

use std::fs;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use crate::exec::sys;

/// The inherited descriptors, other than the three standard streams.
static INHERITED: OnceLock<Vec<i32>> = OnceLock::new();

/// Lists the inherited descriptors and marks them close-on-exec. Call it before anything is opened.
pub fn keep_inherited_descriptors() {
    let list = || {
        let entries = fs::read_dir("/proc/self/fd").ok()?;
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        Some(numbers.filter(|number| *number > 2).collect::<Vec<_>>())
    };
    // The list also has the descriptor of the directory itself, which is closed by now: `is_open` removes it.
    let _ = INHERITED.set(list().unwrap_or_default().into_iter().filter(|fd| sys::is_open(*fd)).collect());
    sys::close_on_exec_from(3);
}

/// Closes the inherited descriptors: a lab has no handle of anything outside but the three standard streams.
pub(super) fn forget_inherited_descriptors() {
    for fd in INHERITED.get().into_iter().flatten() {
        sys::close_inherited(*fd);
    }
}

/// Whether this process ignores signal number `signal`.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    Signal::try_from(signal).is_ok_and(sys::is_ignored)
}
