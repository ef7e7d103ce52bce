//! The interpreter of nslab: the language engine over the bindings, scripts, the command line, the REPL.

pub mod cli;
pub mod diagnostic;
pub mod doctor;
pub mod engine;
pub mod functions;
pub mod interpreter;
mod output;
mod reference;
pub mod repl;
pub mod run;
pub mod session;
pub mod sources;
pub mod statements;
mod suggest;
mod syntax;
pub mod tokens;
