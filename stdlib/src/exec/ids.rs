//! Which user and group ids a lab has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::unistd::{Pid, Uid, User, getgid, getuid};

use super::sys;
use crate::error::{Error, Kind, Result};

/// The user and group ids of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// All ids of the machine: a lab of root.
    All,
    /// The user's own id as 0, and the user's subordinate ids from 1 on.
    Range,
    /// The user's own id as 0, and no other.
    One,
    /// As `One`. Programs may change to other ids, which has no effect.
    Pretend,
}

impl Ids {
    const EACH: [Self; 4] = [Self::All, Self::Range, Self::One, Self::Pretend];

    /// The byte by which one process of a lab tells the next.
    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    /// The ids that `byte` stands for.
    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        Self::EACH.into_iter().find(|ids| ids.byte() == byte)
    }
}

/// The ids of the lab that this process works in.
static CURRENT: OnceLock<Ids> = OnceLock::new();

/// The ids of the lab that this process works in. Without a lab, as with `--host`, they are those of the machine.
#[must_use]
pub fn current() -> Ids {
    CURRENT.get().copied().unwrap_or(Ids::All)
}

/// How many user ids the user namespace of this process has.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn count() -> Result<u64> {
    let map = own_map("uid_map").map_err(|e| Error::io("read `/proc/self/uid_map`", &e))?;
    Ok(map.iter().map(|(_, count)| count).sum())
}

/// The ranges of ids in the caller's user namespace: the first id and the count.
pub(super) fn own_map(map: &str) -> std::io::Result<Vec<(u64, u64)>> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let (first, _, count) = (numbers.next()??, numbers.next()?, numbers.next()??);
        Some((first, count))
    };
    Ok(fs::read_to_string(format!("/proc/self/{map}"))?.lines().filter_map(range).collect())
}

/// Records the ids of the lab, for this process and its children.
pub(super) fn set(ids: Ids) {
    let _ = CURRENT.set(ids); // the keeper sets it once
}

/// Sets the name of the user for programs to `root`, which fits the ids of a lab. HOME is the machine's directory.
pub(super) fn name_user() {
    for name in ["USER", "LOGNAME"] {
        sys::set_variable(name, "root");
    }
}

/// The subordinate ids of the user, and the programs that map them (`subuid(5)`, `newuidmap(1)`).
pub struct Ranges {
    users: Map,
    groups: Map,
}

/// One map: the program that writes it, the user's own id, and the ranges after it (first and count).
struct Map {
    program: PathBuf,
    own: u32,
    ranges: Vec<(u32, u32)>,
}

/// The subordinate ids that a lab of this user has.
///
/// # Errors
/// If there are none, or a program that maps them is missing; the hint says how to get them.
pub fn ranges() -> Result<Ranges> {
    let name = User::from_uid(getuid()).ok().flatten().map(|user| user.name);
    let map = |program, file, own| {
        let ranges =
            fs::read_to_string(file).map(|text| ranges_of(&text, name.as_deref(), getuid())).unwrap_or_default();
        if ranges.is_empty() {
            return Err(no_range(file, name.as_deref()));
        }
        Ok(Map { program: find(program)?, own, ranges })
    };
    Ok(Ranges {
        users: map("newuidmap", "/etc/subuid", getuid().as_raw())?,
        groups: map("newgidmap", "/etc/subgid", getgid().as_raw())?,
    })
}

fn no_range(file: &str, name: Option<&str>) -> Error {
    let user = name.map_or_else(|| getuid().to_string(), str::to_owned);
    Error::plain(Kind::Permission, format!("`{file}` has no line for `{user}`")).hint(format!(
        "`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` adds ids, \
         if no other user has these"
    ))
}

/// The ranges of a user in the text of `/etc/subuid` or `/etc/subgid`.
fn ranges_of(text: &str, name: Option<&str>, uid: Uid) -> Vec<(u32, u32)> {
    let uid = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (count > 0 && (owner == uid || Some(owner) == name)).then_some((first, count))
    };
    let mut ranges: Vec<(u32, u32)> = text.lines().filter_map(range).collect();
    ranges.dedup();
    ranges
}

/// The absolute path of a program on PATH or in `/usr/bin`.
fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let mut candidates = directories.chain([Path::new("/usr/bin").to_owned()]).map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| {
        Error::plain(Kind::Permission, format!("there is no `{program}`"))
            .hint("install it: it is in the package `uidmap` (Debian, Ubuntu) or `shadow-utils` (Fedora)")
    })
}

impl Ranges {
    /// Maps the ids of `child`'s new user namespace. If it fails, one of the two maps may be written.
    pub(super) fn map(&self, child: Pid) -> Result<()> {
        let started = [&self.users, &self.groups].map(|map| (&map.program, map.start(child)));
        for (program, started) in started {
            let op = || format!("map subordinate ids by `{}`", program.display());
            let output = started.and_then(std::process::Child::wait_with_output).map_err(|e| Error::io(op(), &e))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(Error::plain(Kind::Permission, op())
                    .detail(said.trim().to_owned())
                    .hint("it must be setuid root, and the machine must allow it: `--ids pretend` goes without it"));
            }
        }
        Ok(())
    }
}

impl Map {
    fn start(&self, child: Pid) -> std::io::Result<std::process::Child> {
        let mut inside = 1;
        #[expect(clippy::disallowed_methods, reason = "the kernel lets only this program map other ids")]
        let mut command = Command::new(&self.program);
        command.arg(child.to_string()).args(["0", &self.own.to_string(), "1"]);
        for (first, count) in &self.ranges {
            command.args([inside, *first, *count].map(|number| number.to_string()));
            inside = inside.saturating_add(*count);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_a_name_or_a_uid() {
        let text = "root:1:5\nann:100000:65536\n# x\n1001:200000:10\nann:bad:1\nann:300000:0\n";
        let of = |name| ranges_of(text, name, Uid::from_raw(1001));
        assert_eq!(of(Some("ann")), [(100_000, 65536), (200_000, 10)]);
        assert_eq!(of(None), [(200_000, 10)]);
        assert_eq!(ranges_of(text, Some("bob"), Uid::from_raw(7)), []);
    }
}
