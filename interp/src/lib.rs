//! The interpreter of nslab: the language engine over the bindings, scripts, the command line, the REPL.

pub mod cli;
mod console;
pub mod diagnostic;
pub mod language;
pub mod repl;
pub mod session;
pub mod status;
pub mod text;
