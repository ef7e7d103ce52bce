//! `nslab gc`: undoes what killed `--host` sessions left behind.

use stdlib::lab::host;
use stdlib::{Error, Kind};

use super::launch::forbidden;
use crate::console::{Console, Lost};
use crate::status::Status;

/// Undoes every journal without an owner and prints their number.
pub(super) fn main(console: &Console) -> Result<Status, Lost> {
    if !nix::unistd::geteuid().is_root() {
        let error = Error::plain(Kind::Permission, "`nslab gc` needs root")
            .hint("only `--host` leaves anything behind, and only root can use it");
        return Ok(forbidden(console, &error));
    }
    let (undone, errors) = host::collect_garbage();
    for error in &errors {
        console.error_with_hint(error);
    }
    console.say(&format!("{undone} left-over journals undone"))?;
    Ok(if errors.is_empty() { Status::Ok } else { Status::Failed })
}
