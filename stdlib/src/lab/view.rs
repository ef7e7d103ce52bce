//! What programs in a network namespace see, and the files that only they see: `/etc/netns/NAME`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Lab, NetNs};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::NsHandle;
use crate::exec::private;
use crate::exec::view::{View, follower};
use crate::name::NsName;
use crate::net::Net;

/// The directory of files that programs in the namespaces see in place of those in `/etc` (`ip-netns(8)`).
const FILES: &str = "/etc/netns";

/// Where files for the namespaces are written if the lab does not have `/etc` for itself. `ip netns exec` does not see
/// them there.
const FILES_IN_RUN: &str = "/run/nslab/netns";

/// Files of a namespace: what its programs see in place of those in `/etc`, by name.
pub(crate) type Files = Vec<(&'static str, String)>;

/// The directories of the files of a namespace. The last one is the lab's own.
fn directories_of(name: &NsName) -> Vec<PathBuf> {
    let in_run = (!private::has_etc()).then_some(FILES_IN_RUN);
    [FILES].into_iter().chain(in_run).map(|directory| Path::new(directory).join(name.as_str())).collect()
}

impl NetNs {
    /// The mount namespace of the programs in `net`, which is open in this handle. As `ip netns exec` does it, what is in
    /// `/etc/netns/NAME` at this moment covers the files in `/etc`.
    pub(super) fn view(&self, lab: &Lab, net: &Net) -> Result<NsHandle> {
        let view = match net.view.get() {
            Some(view) => view,
            None => {
                let follower = if lab.is_private() { Some(lab.follower()?) } else { None };
                let made = View::of(net.handle(), follower)?;
                net.view.get_or_init(|| made)
            }
        };
        if let Some(name) = self.name() {
            view.bind_over_etc(&directories_of(name)).map_err(|error| error.within(self.label()))?;
        }
        Ok(view.mounts().clone())
    }
}

impl Lab {
    /// Writes files that programs in the namespace `name` see, until it is deleted.
    pub(super) fn write_files(&self, name: &NsName, files: &Files) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        if !self.is_private() {
            return Err(Error::plain(Kind::Permission, "the machine's `/etc` is not written to")
                .hint(format!("the files in `{FILES}/{name}` are what programs in `{name}` see, also with `--host`")));
        }
        let directory = directories_of(name).pop().unwrap_or_default();
        fs::create_dir_all(&directory).map_err(|e| Error::io(format!("make `{}`", directory.display()), &e))?;
        for (file, text) in files {
            let path = directory.join(file);
            fs::write(&path, text).map_err(|e| Error::io(format!("write `{}`", path.display()), &e))?;
            self.files.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), path));
        }
        Ok(())
    }

    /// Removes what [`Lab::write_files`] has written for the namespace.
    pub(super) fn remove_files(&self, name: &NsName) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, path) in files.extract_if(.., |(of, _)| of == name) {
            let _ = fs::remove_file(path); // the script may have done it
        }
    }

    /// The mount namespace that follows the lab's root.
    fn follower(&self) -> Result<&NsHandle> {
        match self.follower.get() {
            Some(follower) => Ok(follower),
            None => {
                let made = follower()?;
                Ok(self.follower.get_or_init(|| made))
            }
        }
    }
}
