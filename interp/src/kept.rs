//! Keeping the lab of a session: its name, what the user is told, and how the process goes on.

use std::path::Path;

use stdlib::exec::boot::keep;
use stdlib::exec::labs;
use stdlib::name::LabName;
use stdlib::{Error, Kind, Result};

use crate::console::Console;
use crate::status::Status;

/// The name of `--keep`, checked before the lab is made: `given`, or if that is empty the script's, with a number if it is
/// taken.
///
/// # Errors
/// If it is no name, or another lab has it.
pub(crate) fn name(given: &str, script: &Path) -> Result<LabName> {
    if !given.is_empty() {
        let name = LabName::new(given)?;
        return labs::named(&name)?.first().map_or(Ok(name.clone()), |pid| Err(keep::taken(&name, pid)));
    }
    let stem = script.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let stem = LabName::new(stem).map_or("lab".to_owned(), |name| name.as_str().to_owned());
    for number in 1..=1000 {
        let name = LabName::new(&if number == 1 { stem.clone() } else { format!("{stem}-{number}") })?;
        if labs::named(&name)?.is_empty() {
            return Ok(name);
        }
    }
    Err(Error::plain(Kind::Exists, format!("the names `{stem}` to `{stem}-1000` are taken")).hint("`--keep=NAME`"))
}

/// Keeps the lab, and says how it ends.
///
/// # Errors
/// See [`keep::keep`].
pub(crate) fn keep(name: &LabName, console: &Console) -> Result<()> {
    keep::keep(name)?;
    console.note(&format!(
        "nslab: the lab `{name}` is kept until `nslab stop {name}`; `nslab attach {name}` enters it. A logout may end \
         it where the system ends a user's processes."
    ));
    Ok(())
}

/// Ends the session with `status`. If the lab is kept, this process stays, and only its front ends: call it while what the
/// session holds is alive.
pub(crate) fn end(console: &Console, status: Status) -> Status {
    match keep::kept() {
        Some(_) => keep::stay(console.conclude(status).code()),
        None => status,
    }
}
