//! The interpreter of nslab, in layers from low to high: statuses and the console, script text, diagnostics, the
//! language, sessions, the REPL, the command line. A layer uses only those below it; a test holds that.

pub mod cli;
pub mod console;
pub mod diagnostic;
mod kept;
pub mod language;
pub mod repl;
pub mod session;
pub mod status;
pub mod text;
