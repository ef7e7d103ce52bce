//! The process tree of nslab: how a lab is made, and how it ends.
//!
//! ```text
//! front ──clone──> keeper (PID 1 of the lab) ──fork──> interpreter
//!   └── pipe ────────┘ end of file: the front is gone, so the keeper ends, so the kernel ends everything
//! ```
//!
//! Without a lab (`--host`) no kernel ends everything. There whoever survives waits until the interpreter is gone, by
//! another pipe, and undoes what it made.

mod forbidden;
mod front;
pub(super) mod idmap;
mod inherited;
mod keeper;
mod pipe;
pub(super) mod terminal;

pub use forbidden::FORBIDDEN;
pub use front::{Launch, launch};
pub use inherited::{is_ignored, keep_inherited_descriptors};
