//! The uid and gid maps of a new user namespace.

use std::fs;
use std::io;

use nix::unistd::{Pid, getegid, geteuid};

use crate::error::{Error, Kind, Result};
use crate::exec::ids::{self, Ids, own_map, ranges};
use crate::exec::mounts::has_root_of_machine;

/// The ids that a lab of the caller may have, the best first. The kernel or a program may still refuse them.
pub(super) fn candidates() -> Vec<Ids> {
    let all = geteuid().is_root().then_some(Ids::All);
    let range = ranges().is_ok().then_some(Ids::Range);
    all.into_iter().chain(range).chain([Ids::Pretend]).collect()
}

/// Maps the ids of `child`'s new user namespace. Returns the ids that it has then.
pub(super) fn write(child: Pid, ids: Ids) -> Result<Ids> {
    match ids {
        Ids::All => {
            same(child)?;
            if has_root_of_machine()? {
                return Ok(Ids::All);
            }
            // The root of a user namespace, such as a lab. It has what that has.
            Ok(if ids::count()? == 1 { Ids::Pretend } else { Ids::Range })
        }
        Ids::Range => ranges()?.map(child).map(|()| ids),
        Ids::One | Ids::Pretend => single(child).map(|()| ids).map_err(|e| failed(&e)),
    }
}

fn failed(error: &io::Error) -> Error {
    let refused = error.kind() == io::ErrorKind::PermissionDenied;
    let error = Error::io("map the ids of the user namespace", error);
    if refused { error.kind(Kind::Permission) } else { error }
}

/// Maps each id of the caller's user namespace to itself in `child`'s new one.
pub(crate) fn same(child: Pid) -> Result<()> {
    let write = |map| {
        let same: Vec<String> =
            own_map(map)?.iter().map(|(first, count)| format!("{first} {first} {count}\n")).collect();
        fs::write(format!("/proc/{child}/{map}"), same.concat())
    };
    write("uid_map").and_then(|()| write("gid_map")).map_err(|e| failed(&e))
}

fn single(child: Pid) -> io::Result<()> {
    // user_namespaces(7): without CAP_SETGID the kernel refuses the gid map until setgroups(2) is denied. If this
    // write fails, the next one reports why.
    let _ = fs::write(format!("/proc/{child}/setgroups"), "deny");
    fs::write(format!("/proc/{child}/gid_map"), format!("0 {} 1", getegid()))?;
    fs::write(format!("/proc/{child}/uid_map"), format!("0 {} 1", geteuid()))
}
