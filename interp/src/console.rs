//! What the program writes to its terminal.

use std::io::Write;

/// Writes an error that has no source line.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "error: {text}");
}
