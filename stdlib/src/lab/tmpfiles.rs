//! The run directories of installed programs (`tmpfiles.d(5)`). A lab's `/run` is empty at its start.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, User};

use super::Lab;
use crate::error::{Error, Kind, Result};
use crate::exec::directory;

/// Where the files are. A file hides those of the same name in the directories after its own.
const DIRECTORIES: [&str; 3] = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"];

/// The types of lines that make a directory.
const MAKES_DIRECTORY: [&str; 5] = ["d", "D", "v", "q", "Q"];

/// A directory that a line describes.
#[derive(Debug, PartialEq, Eq)]
struct RunDirectory {
    path: PathBuf,
    mode: u32,
    user: String,
    group: String,
}

/// Makes the directories in `/run` that are missing. Returns their paths. An owner that the lab has no id for is left out.
///
/// # Errors
/// With `--host`: there they are the machine's. If the kernel refuses a directory.
pub fn make(lab: &Lab) -> Result<Vec<String>> {
    if !lab.is_private() {
        return Err(Error::plain(
            Kind::Permission,
            "`tmpfiles` works in a lab alone: with `--host` `/run` is the machine's",
        )
        .hint("`systemd-tmpfiles --create` makes the directories of the machine"));
    }
    let mut made = Vec::new();
    for wanted in missing() {
        wanted.make()?;
        made.push(wanted.path.to_string_lossy().into_owned());
    }
    Ok(made)
}

/// What makes the run directory that a failed program misses, if its error names one.
#[must_use]
pub fn hint(errors: &str) -> Option<String> {
    let named = |wanted: &RunDirectory| errors.contains(&*wanted.path.to_string_lossy());
    // The deepest one: `/run/x` is in `/run/x/y`.
    let wanted = missing().into_iter().rfind(named)?;
    Some(format!("`tmpfiles()` makes `{}`, and the other run directories of installed programs", wanted.path.display()))
}

/// The described directories that do not exist, sorted, so that each comes after those above it.
fn missing() -> Vec<RunDirectory> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES.map(Path::new) {
        for name in directory::names(directory).unwrap_or_default() {
            files.entry(name.clone()).or_insert_with(|| directory.join(name));
        }
    }
    let is_conf = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "conf");
    let texts = files.into_values().filter(is_conf).filter_map(|file| fs::read_to_string(file).ok());
    let mut all: Vec<RunDirectory> =
        texts.flat_map(|text| text.lines().filter_map(described).collect::<Vec<_>>()).collect();
    all.retain(|directory| !directory.path.exists());
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|second, first| second.path == first.path);
    all
}

/// The directory below `/run` that a line describes.
fn described(line: &str) -> Option<RunDirectory> {
    let mut words = line.split_whitespace().map(|word| word.trim_matches('"'));
    let ty = words.next()?.trim_end_matches(['!', '+', '-', '=', '~', '^', '$']);
    let path = words.next()?.replace("%t", "/run").replace("/var/run/", "/run/");
    let is_ours = MAKES_DIRECTORY.contains(&ty) && path.starts_with("/run/") && !path.contains(['%', '*']);
    let mut field = || words.next().filter(|word| *word != "-").map(|word| word.trim_start_matches([':', '~']));
    let mode = field().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o755);
    let (user, group) = (field().unwrap_or("root").to_owned(), field().unwrap_or("root").to_owned());
    let plain = Path::new(&path).components().all(|part| part.as_os_str() != "..");
    (is_ours && plain).then(|| RunDirectory { path: path.trim_end_matches('/').into(), mode, user, group })
}

impl RunDirectory {
    fn make(&self) -> Result<()> {
        let failed = |e| Error::io(format!("make `{}`", self.path.display()), &e);
        match DirBuilder::new().recursive(true).mode(0o755).create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let uid = User::from_name(&self.user).ok().flatten().map(|user| user.uid.as_raw());
        let gid = Group::from_name(&self.group).ok().flatten().map(|group| group.gid.as_raw());
        match chown(&self.path, uid.or(self.user.parse().ok()), gid.or(self.group.parse().ok())) {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {} // the lab has no such id
            done => done.map_err(failed)?,
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_make_directories_below_run() {
        let of =
            |line| described(line).map(|found| (found.path.to_string_lossy().into_owned(), found.mode, found.user));
        let is = |path: &str, mode, user: &str| Some((path.to_owned(), mode, user.to_owned()));
        assert_eq!(of("d /run/frr 0755 frr frr"), is("/run/frr", 0o755, "frr"));
        assert_eq!(of("d!\t/var/run/ppp/ - - -"), is("/run/ppp", 0o755, "root"));
        assert_eq!(of("D %t/x 2775 :a b -"), is("/run/x", 0o2775, "a"));
        for line in
            ["", "# d /run/x", "f /run/file", "d /tmp 1777", "d /run/%m", "L /run/shm - - - - /dev/shm", "d /run/../x"]
        {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
