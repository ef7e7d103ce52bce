//! What the program that started us left behind: open descriptors, ignored signals.

use std::fs;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use crate::exec::sys;

/// Descriptors that the program which started us left open.
static INHERITED: OnceLock<Vec<i32>> = OnceLock::new();

/// Keeps what the program that started us left open from everything that we start. Call it before anything is opened.
pub fn keep_inherited_descriptors() {
    let list = || {
        let entries = fs::read_dir("/proc/self/fd").ok()?;
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        Some(numbers.filter(|number| *number > 2).collect::<Vec<_>>())
    };
    // Among them is the one of the list itself, which is closed by now: `forget_inherited` looks once more.
    let _ = INHERITED.set(list().unwrap_or_default().into_iter().filter(|fd| sys::is_open(*fd)).collect());
    sys::close_on_exec_from(3);
}

/// Closes them: in a lab there is no handle of anything outside but the three standard streams.
pub(super) fn forget_inherited_descriptors() {
    for fd in INHERITED.get().into_iter().flatten() {
        sys::close_inherited(*fd);
    }
}

/// Whether this process ignores `signal`, by its number.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    Signal::try_from(signal).is_ok_and(sys::is_ignored)
}
