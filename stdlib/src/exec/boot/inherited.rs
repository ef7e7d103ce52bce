//! What nslab inherits from the program that started it: open descriptors, ignored signals.

use std::path::Path;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};
use crate::exec::{directory, sys};

/// The inherited descriptors, other than the three standard streams, or why they are not known.
static INHERITED: OnceLock<Result<Vec<i32>>> = OnceLock::new();

/// Lists the inherited descriptors and marks them close-on-exec. Call it before anything is opened.
pub fn keep_inherited_descriptors() {
    let listed = directory::numbers::<i32>(Path::new("/proc/self/fd"));
    let listed = listed.map_err(|e| Error::io("list the inherited descriptors in `/proc/self/fd`", &e));
    // The list also has the descriptor of the directory itself, which is closed by now: `is_open` removes it.
    let inherited = listed.map(|all| all.into_iter().filter(|fd| *fd > 2 && sys::is_open(*fd)).collect());
    let _ = INHERITED.set(inherited);
    sys::close_on_exec_from(3);
}

/// Closes the inherited descriptors: a lab has no handle of anything outside but the three standard streams.
///
/// # Errors
/// If they are not known.
pub(super) fn forget_inherited_descriptors() -> Result<()> {
    if let Some(inherited) = INHERITED.get() {
        inherited.clone()?.into_iter().for_each(sys::close_inherited);
    }
    Ok(())
}

/// Whether this process ignores signal number `signal`.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    Signal::try_from(signal).is_ok_and(sys::is_ignored)
}
