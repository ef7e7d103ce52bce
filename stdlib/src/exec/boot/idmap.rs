//! The uid and gid maps of a new user namespace.

use std::fs;
use std::io;

use nix::unistd::{Pid, getegid, geteuid};

use crate::error::{Error, Result};
use crate::exec::ids::Ids;

/// Maps the ids of `child`'s new user namespace: for root every id to itself, for a user their own id to root.
/// Returns the ids that it has then.
pub(crate) fn write(child: Pid, choice: Option<Ids>) -> Result<Ids> {
    let failed = |e: io::Error| Error::io("map the ids of the user namespace", &e);
    if geteuid().is_root() && choice.is_none() {
        match identity(child) {
            Ok(()) => return Ok(Ids::All),
            // Root without the capability, as in a container, is an ordinary user here.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failed(error)),
        }
    }
    single(child).map_err(failed)?;
    Ok(choice.unwrap_or(Ids::Pretend))
}

fn identity(child: Pid) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        let ours = fs::read_to_string(format!("/proc/self/{map}"))?;
        let same: Vec<String> = ours
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (first, _, count) = (words.next()?, words.next()?, words.next()?);
                Some(format!("{first} {first} {count}\n"))
            })
            .collect();
        fs::write(format!("/proc/{child}/{map}"), same.concat())?;
    }
    Ok(())
}

fn single(child: Pid) -> io::Result<()> {
    // user_namespaces(7): without CAP_SETGID the kernel refuses the gid map until setgroups(2) is denied. If this
    // write fails, the next one reports why.
    let _ = fs::write(format!("/proc/{child}/setgroups"), "deny");
    fs::write(format!("/proc/{child}/gid_map"), format!("0 {} 1", getegid()))?;
    fs::write(format!("/proc/{child}/uid_map"), format!("0 {} 1", geteuid()))
}
