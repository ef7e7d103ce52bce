//! The language: the engine with its syntax, scripts and their modules, the interpreter that evaluates them.

pub(crate) mod compile;
pub mod engine;
pub mod functions;
mod growth;
pub mod interpreter;
mod output;
pub mod sources;
pub mod stack;
mod syntax;
