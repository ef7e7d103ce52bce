//! `/run/netns` on the machine itself: created and mounted as iproute2 does it, under the same lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::MsFlags;

use super::journal::Journal;
use super::step::Step;
use crate::error::{Error, Result};
use crate::exec::directory;
use crate::exec::mounts::NETNS_DIR;
use crate::exec::sys;

/// How long another process may hold the lock. iproute2 holds it for some system calls.
const LIMIT: Duration = Duration::from_secs(5);

/// Takes the lock on `/run/netns` that iproute2 takes; none if the directory does not exist.
pub(super) fn lock() -> io::Result<Option<Flock<File>>> {
    loop {
        let directory = match File::open(NETNS_DIR) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let lock = exclusive(directory)?;
        let held = lock.metadata()?;
        // Another session may have removed it, or mounted on it, in between.
        if fs::metadata(NETNS_DIR).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(lock));
        }
    }
}

/// Locks a directory, within [`LIMIT`]: a program that has stopped may hold the lock.
fn exclusive(mut directory: File) -> io::Result<Flock<File>> {
    let end = Instant::now() + LIMIT;
    loop {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, Errno::EWOULDBLOCK)) if Instant::now() < end => directory = unlocked,
            Err((_, errno)) => return Err(errno.into()),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

impl Journal {
    /// Makes `/run/netns` a shared mount point, once, under the lock that iproute2 takes (ip/ipnetns.c, `netns_add`):
    /// two processes that are the first would mount it twice.
    pub(in crate::lab) fn prepare_netns_dir(&self) -> Result<Flock<File>> {
        let fail = |e: io::Error| Error::io(format!("prepare `{NETNS_DIR}`"), &e);
        let lock = loop {
            if let Some(lock) = lock().map_err(fail)? {
                break lock;
            }
            self.write(None, Step::MakesNetnsDir)?;
            fs::create_dir_all(NETNS_DIR).map_err(fail)?;
        };
        let share = || sys::mount("none", NETNS_DIR, "none", MsFlags::MS_SHARED | MsFlags::MS_REC);
        match share() {
            Err(Errno::EINVAL) => {
                self.write(None, Step::MountsNetnsDir)?;
                sys::mount(NETNS_DIR, NETNS_DIR, "none", MsFlags::MS_BIND | MsFlags::MS_REC).and_then(|()| share())
            }
            done => done,
        }
        .map_err(|e| fail(e.into()))?;
        Ok(lock)
    }
}

/// Takes `/run/netns` away again. Returns whether there are names in it.
pub(super) fn undo(step: &Step) -> Result<bool> {
    let fail = |e: io::Error| Error::io(format!("remove `{NETNS_DIR}`"), &e);
    let Some(_lock) = lock().map_err(fail)? else { return Ok(false) };
    if !directory::names(Path::new(NETNS_DIR)).map_err(fail)?.is_empty() {
        return Ok(true);
    }
    if *step == Step::MountsNetnsDir {
        return match sys::unmount(Path::new(NETNS_DIR)) {
            Ok(()) | Err(Errno::EINVAL) => Ok(false), // not mounted: killed before
            Err(errno) => Err(fail(errno.into())),
        };
    }
    match fs::remove_dir(NETNS_DIR).map_err(|e| e.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)) {
        // A mount of another program, or a new name.
        Ok(()) | Err(Errno::EBUSY | Errno::ENOTEMPTY | Errno::ENOENT) => Ok(false),
        Err(errno) => Err(fail(errno.into())),
    }
}
