//! Script text without evaluation: tokens, statements, the place of the cursor, the texts behind source names.

pub mod arguments;
pub mod escapes;
pub mod scan;
pub mod sources;
pub mod statements;
pub mod tokens;
