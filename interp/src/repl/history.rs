//! The history file: in the invoking user's state directory, readable for that user alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, setfsgid, setfsuid};

/// The history file of the invoking user.
pub(super) struct HistoryFile {
    path: PathBuf,
    /// The invoking user under sudo.
    owner: Option<(Uid, Gid)>,
}

impl HistoryFile {
    /// `$XDG_STATE_HOME/nslab/history`, or below `~/.local/state`; under sudo in the home of the invoking user.
    pub(super) fn find() -> Option<Self> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        if let (true, Some(uid), Some(gid)) = (geteuid().is_root(), number("SUDO_UID"), number("SUDO_GID")) {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
            let path = user.dir.join(".local/state/nslab/history");
            return Some(Self { path, owner: Some((Uid::from_raw(uid), Gid::from_raw(gid))) });
        }
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let directory =
            absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
        Some(Self { path: directory.join("nslab/history"), owner: None })
    }

    /// Runs `work` with the path. Under sudo the kernel checks and creates files as the invoking user meanwhile: no file
    /// of root's appears in a user's home, and no symbolic link there misleads root.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let before = self.owner.map(|(uid, gid)| (setfsgid(gid), setfsuid(uid)));
        let done = work(&self.path);
        if let Some((gid, uid)) = before {
            setfsuid(uid);
            setfsgid(gid);
        }
        done
    }

    /// Creates the file, for its owner alone.
    pub(super) fn prepare(path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        fs::File::options().create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn the_file_is_readable_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/nslab/history");
        HistoryFile { path: path.clone(), owner: None }.with(HistoryFile::prepare).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn under_sudo_it_belongs_to_the_invoking_user() {
        // Only root can act for another user. Without root this test acts for itself.
        let uid = if geteuid().is_root() { 65534 } else { geteuid().as_raw() };
        let gid = if geteuid().is_root() { 65534 } else { nix::unistd::getegid().as_raw() };
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let path = home.path().join("nslab/history");
        let owner = Some((Uid::from_raw(uid), Gid::from_raw(gid)));
        HistoryFile { path: path.clone(), owner }.with(HistoryFile::prepare).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), uid);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().uid(), uid);
        // A symbolic link to a file of root's is not followed.
        let target = home.path().join("precious");
        fs::write(&target, "x").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        HistoryFile { path, owner }.with(HistoryFile::prepare).unwrap_err();
        assert_eq!(fs::read_to_string(&target).unwrap(), "x");
    }
}
