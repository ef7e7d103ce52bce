//! Assistance while a line is typed: completion, hints, colours, validation, help.

pub mod command_line;
pub mod complete;
pub mod help;
pub mod highlight;
pub mod hint;
#[cfg(test)]
mod tests;
pub mod validate;
