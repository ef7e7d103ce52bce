//! The directory of the journals: a private directory of root, checked each time that it is opened, and its lock.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::DIRECTORY;
use super::step::{Entry, Step};
use crate::error::{Error, Kind, Result};
use crate::exec::directory;

/// How long another session may take to undo its changes while this one waits for the lock.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest journal that is read.
const LARGEST: u64 = 1 << 30;

/// The open directory.
pub(super) struct Directory(File);

/// The directory, with its lock: no other session changes anything, or undoes it, meanwhile.
pub(super) struct Locked(Directory);

/// A journal that was read.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) entries: Vec<Entry>,
}

fn failed(op: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::io(op, &error)
}

impl Directory {
    /// Opens the directory; none if there is none.
    pub(super) fn open() -> Result<Option<Self>> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match openat(AT_FDCWD, DIRECTORY, flags, Mode::empty()) {
            Ok(directory) => File::from(directory),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => return Err(untrusted("it is not a directory")),
            Err(errno) => return Err(Error::sys(format!("open `{DIRECTORY}`"), errno)),
        };
        let status = directory.metadata().map_err(failed(format!("read `{DIRECTORY}`")))?;
        if status.uid() != 0 || status.mode() & 0o077 != 0 {
            return Err(untrusted(&format!("its owner is {}, its mode {:o}", status.uid(), status.mode() & 0o7777)));
        }
        Ok(Some(Self(directory)))
    }

    /// Takes the lock of the directory. `pause` is called while another session has it.
    pub(super) fn lock(mut pause: impl FnMut(Duration) -> Result<()>) -> Result<Option<Locked>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let Some(directory) = Self::open()? else { return Ok(None) };
            match directory.0.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    pause(Duration::from_millis(2))?;
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::plain(Kind::Timeout, format!("`{DIRECTORY}` is locked for {PATIENCE:?}")).hint(
                        "a process of nslab holds the lock while it undoes its changes: see `fuser /run/nslab`",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(failed(format!("lock `{DIRECTORY}`"))(error)),
            }
            // A session that ended may have removed the directory before the lock was there.
            let (here, there) = (directory.0.metadata(), fs::symlink_metadata(DIRECTORY));
            if matches!((here, there), (Ok(here), Ok(there)) if (here.dev(), here.ino()) == (there.dev(), there.ino()))
            {
                return Ok(Some(Locked(directory)));
            }
        }
    }

    /// Creates the directory, unless it exists, and takes its lock.
    pub(super) fn create_and_lock() -> Result<Locked> {
        loop {
            match DirBuilder::new().mode(0o700).create(DIRECTORY) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(format!("create `{DIRECTORY}`"))(error));
                }
                _ => {}
            }
            if let Some(locked) = Self::lock(sleep)? {
                return Ok(locked);
            }
        }
    }

    /// The names in it that end in one of these.
    pub(super) fn names(&self, endings: &[&str]) -> Result<Vec<String>> {
        let list = directory::names(Path::new(&format!("/proc/self/fd/{}", self.0.as_raw_fd())));
        let list = list.map_err(failed(format!("list `{DIRECTORY}`")))?;
        let mut names: Vec<String> = list
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Opens a journal. It must be a regular, private file of root with one name; nothing else is waited for.
    pub(super) fn open_journal(&self, name: &str) -> Result<File> {
        let op = || format!("open the journal `{}`", path(name).display());
        let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file =
            openat(&self.0, name, flags, Mode::empty()).map(File::from).map_err(|errno| Error::sys(op(), errno))?;
        let status = file.metadata().map_err(failed(op()))?;
        if !status.is_file() || status.uid() != 0 || status.mode() & 0o077 != 0 || status.nlink() != 1 {
            return Err(Error::plain(Kind::Permission, format!("{}: it is not a private file of root", op())));
        }
        Ok(file)
    }

    /// Renames a journal, so that it is not undone again. Returns its new path.
    pub(super) fn set_aside(&self, name: &str, ending: &str) -> Result<PathBuf> {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let new = format!("{stem}.{ending}");
        let op = format!("rename `{}`", path(name).display());
        renameat(&self.0, name, &self.0, new.as_str()).map_err(|errno| Error::sys(op, errno))?;
        Ok(path(&new))
    }
}

impl std::ops::Deref for Locked {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.0
    }
}

impl Locked {
    /// A new file without a name.
    pub(super) fn unnamed(&self) -> io::Result<File> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CLOEXEC;
        Ok(openat(&self.0.0, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
    }

    /// Gives a file a name. With its lock held before, there is no moment at which the journal has no owner.
    pub(super) fn name(&self, file: &File, name: &OsStr) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        Ok(linkat(AT_FDCWD, from.as_str(), &self.0.0, name, AtFlags::AT_SYMLINK_FOLLOW)?)
    }

    /// Removes a journal, and the directory if it is empty then.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let op = format!("remove the journal `{}`", path(name).display());
        unlinkat(&self.0.0, name, UnlinkatFlags::NoRemoveDir).map_err(|errno| Error::sys(op, errno))?;
        let _ = fs::remove_dir(DIRECTORY);
        Ok(())
    }
}

/// Reads a journal. The last line may be cut: then its step was not taken.
pub(super) fn read(mut file: File) -> Result<Found> {
    let unreadable = |why: String| Error::plain(Kind::Kernel, why);
    let mut bytes = Vec::new();
    let size = Read::by_ref(&mut file).take(LARGEST + 1).read_to_end(&mut bytes);
    let size = size.map_err(|error| Error::io("read the journal", &error))?;
    if size as u64 > LARGEST {
        return Err(unreadable("it is longer than a journal can be".into()));
    }
    let text = String::from_utf8(bytes).map_err(|error| unreadable(format!("it is not text: {error}")))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut entries = Vec::new();
    for (n, line) in whole.lines().enumerate() {
        let entry = serde_json::from_str::<Entry>(line);
        entries.push(entry.map_err(|error| unreadable(format!("line {} is not a step: {error}", n + 1)))?);
    }
    if !matches!(entries.first(), Some(Entry { step: Step::Began { .. }, .. })) {
        return Err(unreadable("it does not begin as a journal does".into()));
    }
    Ok(Found { file, entries })
}

pub(super) fn path(name: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(name)
}

/// The pause of a process that has nothing to interrupt.
#[expect(clippy::unnecessary_wraps, reason = "the type of a pause that can be interrupted")]
pub(super) fn sleep(pause: Duration) -> Result<()> {
    thread::sleep(pause);
    Ok(())
}

fn untrusted(why: &str) -> Error {
    Error::plain(Kind::Permission, format!("`{DIRECTORY}` is not a private directory of root: {why}"))
        .hint("root would undo a journal that others can write: see what is in the directory, and remove it")
}
