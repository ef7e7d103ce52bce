//! `--host`: a journal of everything made on the machine itself, and its exact undoing.
//!
//! One JSON line a step, written and synced *before* the step, below `/run/nslab` (which a reboot empties).
//! Undoing goes from the last line to the first, checks the identity of each thing, and removes nothing by pattern.
//!
//! Namespaces that this lab made need no line for what is in them: it goes with them. All others do: the machine's
//! own, and those that were found by name or by process.

mod directory;
mod gc;
mod guard;
mod journal;
mod netns_dir;
mod permit;
mod processes;
mod sessions;
mod step;
mod undo;
mod value;

pub use gc::collect_garbage;
pub use guard::Guard;
pub(crate) use guard::LinkChange;
pub use journal::Journal;
pub(crate) use permit::Permitted;
pub use undo::undo;

/// The variable by which the programs of a session are known, with the name of its journal as the value.
pub(crate) const TAG: &str = "NSLAB_JOURNAL";

/// The directory of the journals.
const DIRECTORY: &str = "/run/nslab";
