//! What programs in a network namespace see of the file system, as `ip netns exec` shows it: a mount namespace with the
//! `/sys` of the network namespace, and with files of its own over those in `/etc`.
//!
//! `ip netns exec` makes a mount namespace at each call. This one is made once: what a program in it mounts stays there,
//! and what is mounted or unmounted in the lab's root appears in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::handle::{NsHandle, NsKind};
use super::{directory, hop, mounts, sys};
use crate::error::{Error, Result};

/// Makes a mount namespace that follows the lab's root. Those of network namespaces are copies of it.
pub(crate) fn follower() -> Result<NsHandle> {
    hop::on_a_thread(|| {
        hop::unshare(CloneFlags::CLONE_NEWNS)?;
        mounts::follow_root_of_lab()?;
        mounts_of_this_thread()
    })
}

fn mounts_of_this_thread() -> Result<NsHandle> {
    NsHandle::open(NsKind::Mount, Path::new("/proc/thread-self/ns/mnt"))
}

/// The mount namespace of the programs in one network namespace.
pub(crate) struct View {
    mounts: NsHandle,
    /// The files that are bound over those in `/etc`.
    files: Mutex<Files>,
}

/// By their names in `/etc`.
type Files = BTreeMap<String, Bound>;

/// A file that is bound over another. A file that is replaced, on either side, has to be bound again.
#[derive(PartialEq, Eq)]
struct Bound {
    path: PathBuf,
    file: (u64, u64),
    /// None if there is nothing in `/etc` that it could cover.
    over: Option<(u64, u64)>,
}

impl View {
    /// Makes the view of the network namespace `net`: a copy of `follower`; without one, as on the machine itself, a
    /// follower of the machine's root.
    pub(crate) fn of(net: &NsHandle, follower: Option<&NsHandle>) -> Result<Self> {
        let mounts = hop::hop(net.as_fd(), || {
            if let Some(follower) = follower {
                hop::enter_mounts(follower.as_fd())?;
            }
            hop::unshare(CloneFlags::CLONE_NEWNS)?;
            if follower.is_none() {
                mounts::follow()?;
            }
            mounts::sys()?;
            mounts_of_this_thread()
        })?;
        Ok(Self { mounts, files: Mutex::default() })
    }

    /// The mount namespace.
    pub(crate) fn mounts(&self) -> &NsHandle {
        &self.mounts
    }

    /// Binds what is in `directories` over the files of the same names in `/etc`, and takes off what is not there any
    /// more. It costs little if nothing has changed. Like `ip netns exec`, it skips what `/etc` does not have.
    pub(crate) fn bind_over_etc(&self, directories: &[PathBuf]) -> Result<()> {
        let wanted: Files = directories.iter().flat_map(|directory| files_in(directory)).collect();
        let mut bound = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if *bound == wanted {
            return Ok(());
        }
        let only_in = |these: &Files, others: &Files| {
            let differs = |(name, file): &(&String, &Bound)| file.over.is_some() && others.get(*name) != Some(*file);
            these.iter().filter(differs).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let (old, new) = (only_in(&bound, &wanted), only_in(&wanted, &bound));
        hop::on_a_thread(|| {
            hop::enter_mounts(self.mounts.as_fd())?;
            for name in old {
                match sys::unmount(&Path::new("/etc").join(&name)) {
                    // The kernel has taken it off when the file below it was replaced.
                    Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
                    Err(errno) => return Err(Error::sys(format!("unmount `/etc/{name}`"), errno)),
                }
            }
            for name in new {
                let over = format!("/etc/{name}");
                let Some(path) = wanted.get(&name).and_then(|file| file.path.to_str()) else { continue };
                let bind = sys::mount(path, &over, "none", MsFlags::MS_BIND);
                bind.map_err(|errno| Error::sys(format!("bind `{path}` over `{over}`"), errno))?;
            }
            Ok(())
        })?;
        *bound = wanted;
        Ok(())
    }
}

/// The files in `directory`, each with what it covers in `/etc`.
fn files_in(directory: &Path) -> Vec<(String, Bound)> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let names = directory::names(directory).unwrap_or_default(); // usually there is none
    let file = |name: String| {
        let path = directory.join(&name);
        let (file, over) = (identity(&path)?, identity(&Path::new("/etc").join(&name)));
        Some((name, Bound { path, file, over }))
    };
    names.into_iter().filter_map(|name| file(name.into_string().ok()?)).collect()
}
