//! The language: the engine with its syntax, scripts and their modules, the interpreter that evaluates them.

pub mod engine;
pub mod functions;
pub mod interpreter;
mod output;
pub mod sources;
mod syntax;
