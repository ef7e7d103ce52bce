//! The process tree of nslab: how a lab is made, and how it ends.
//!
//! ```text
//! front ──clone──> helper ──clone──> keeper (PID 1 of the lab, a child of the front) ──fork──> interpreter
//!   └── pipe ──────────────────────────┘ end of file: the front is gone, so the keeper exits, so the kernel ends the lab
//! ```
//!
//! * The **front** owns the terminal: it restores the terminal and reports the status.
//! * The **helper** mounts what the lab shows (`/proc`, `/sys`, `/run`) from an outer user and mount namespace, so that
//!   no process of the lab can unmount it. It ends when the lab is made; in a lab of root, with the lab.
//! * The **keeper** reaps the processes of the lab.
//! * The **interpreter** runs scripts.
//!
//! With `--host` there is no lab that the kernel could end. The keeper, or the front if the keeper is gone, waits until
//! the interpreter has ended (end of file on a second pipe), then undoes what it made.

mod forbidden;
mod front;
mod helper;
pub(super) mod idmap;
mod inherited;
mod keeper;
mod pipe;
pub(super) mod terminal;

pub use forbidden::{FORBIDDEN, is_in_lab};
pub use front::{Foreground, Launch, launch};
pub use inherited::{is_ignored, keep_inherited_descriptors};
