//! Lists of directories. An error of the kernel is reported: a list that is too short says that something does not exist.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// The names in a directory, without `.` and `..`, in the kernel's order.
///
/// Not `std::fs::read_dir`: its end panics if the directory cannot be closed.
///
/// # Errors
/// The kernel's, also in the middle of the list.
pub fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut opened = Dir::open(directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in opened.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(names)
}

/// The names that are numbers: the processes in `/proc`, the descriptors in `/proc/PID/fd`.
pub(crate) fn numbers<T: std::str::FromStr>(directory: &Path) -> io::Result<Vec<T>> {
    let number = |name: &OsString| std::str::from_utf8(name.as_bytes()).ok()?.parse().ok();
    Ok(names(directory)?.iter().filter_map(number).collect())
}

/// The result of reading a file of `/proc`; none if the process has ended meanwhile, or may not be inspected.
pub(crate) fn if_visible<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        // EINVAL is that of the mounts of a process that has ended (fs/proc_namespace.c, `mounts_open_common`).
        Err(error) if is_gone(&error) || is_refused(&error) || error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error means that a process has ended.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT))
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

/// A name as text, in which bytes that are not UTF-8 are replaced.
pub(crate) fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_each_name_once_and_no_dots() {
        let names = names(Path::new("/proc/self/ns")).expect("this process");
        let count = |name: &str| names.iter().filter(|found| *found == name).count();
        assert_eq!((count("net"), count("mnt"), count("."), count("..")), (1, 1, 0, 0));
        let pids: Vec<u32> = numbers(Path::new("/proc")).expect("/proc");
        assert!(pids.contains(&std::process::id()));
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_an_error() {
        assert_eq!(names(Path::new("/proc/0")).map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
        assert_eq!(
            names(Path::new("/proc/self/stat")).map_err(|error| error.kind()),
            Err(io::ErrorKind::NotADirectory)
        );
    }

    #[test]
    fn a_process_that_has_ended_is_none_but_any_other_error_stays() {
        let read = |errno| if_visible::<()>(Err(io::Error::from_raw_os_error(errno))).map_err(|e| e.raw_os_error());
        for errno in [libc::ENOENT, libc::ESRCH, libc::EACCES, libc::EPERM, libc::EINVAL] {
            assert_eq!(read(errno), Ok(None));
        }
        for errno in [libc::EIO, libc::ENOMEM, libc::EMFILE] {
            assert_eq!(read(errno), Err(Some(errno)));
        }
    }
}
