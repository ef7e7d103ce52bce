//! The names of nslab's processes in lists of processes, as `ps -e` prints them.

use std::ffi::CStr;

/// By it a process in the lab recognizes the lab, and `nslab ps` finds the keeper.
pub(in crate::exec) const KEEPER: &CStr = c"nslab-keeper";

/// By it `nslab attach` finds the helper of a lab of root.
pub(in crate::exec) const HELPER: &CStr = c"nslab-helper";

/// An interpreter, whether it has made its lab or entered it.
pub(super) const INTERPRETER: &CStr = c"nslab-interp";
