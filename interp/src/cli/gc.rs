//! `nslab gc`: undoes what killed `--host` sessions have left.

use std::io::Write;

use stdlib::Error;
use stdlib::lab::host;

use super::forbidden;
use crate::console::complain;
use crate::status::FAILED;

pub(super) fn main() -> u8 {
    if !nix::unistd::geteuid().is_root() {
        return forbidden(
            &Error::plain(stdlib::Kind::Permission, "`nslab gc` needs root")
                .hint("only `--host` leaves anything behind, and only root can use it"),
        );
    }
    let (undone, errors) = host::collect_garbage();
    for error in &errors {
        complain(&error.to_string());
        if let Some(hint) = error.hint_text() {
            let _ = writeln!(std::io::stderr(), "hint: {hint}");
        }
    }
    let _ = writeln!(std::io::stdout(), "{undone} left-over journals undone");
    if errors.is_empty() { 0 } else { FAILED }
}
