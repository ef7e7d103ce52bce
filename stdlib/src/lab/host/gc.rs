//! Undoing the journals of sessions that were killed: `nslab gc`.

use std::fs::TryLockError;

use super::directory::{Directory, read};
use super::sessions::PENDING;
use super::undo::{self, Failed};
use crate::error::{Error, Result};

/// Undoes the journals of sessions that do not live any more, and returns how many were undone, and what failed.
///
/// Each journal is undone once: one that fails is set aside, and so is one that cannot be read.
#[must_use]
pub fn collect_garbage() -> (usize, Vec<Error>) {
    let (mut undone, mut errors) = (0, Vec::new());
    let names = match Directory::open().and_then(|directory| match directory {
        Some(directory) => directory.names(&PENDING),
        None => Ok(Vec::new()),
    }) {
        Ok(names) => names,
        Err(error) => return (0, vec![error]),
    };
    for name in names {
        match collect(&name) {
            Ok(Some(failed)) if failed.is_empty() => undone += 1,
            Ok(Some(failed)) => errors.extend(failed),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    (undone, errors)
}

/// Undoes one journal; none if its session lives, or if it was undone meanwhile.
fn collect(name: &str) -> Result<Option<Vec<Error>>> {
    let Some(directory) = Directory::open()? else { return Ok(None) };
    let file = match directory.open_journal(name) {
        Err(error) if error.errno == Some(nix::errno::Errno::ENOENT) => return Ok(None),
        Ok(file) => match file.try_lock() {
            // A process of the session has the lock, whatever its name and PID are.
            Err(TryLockError::WouldBlock) => return Ok(None),
            _ => read(file),
        },
        Err(error) => Err(error),
    };
    // The file in `found` keeps the lock.
    match file {
        Ok(found) => Ok(Some(undo::all(name, found, Failed::SetAside))),
        Err(error) => Ok(Some(vec![undo::unreadable(&directory, name, &error)])),
    }
}
