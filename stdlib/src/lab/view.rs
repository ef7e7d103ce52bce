//! What programs in a network namespace see, and the files that only they see: `/etc/netns/NAME`.

use std::path::{Path, PathBuf};

use super::{Lab, NetNs};
use crate::error::Result;
use crate::exec::handle::NsHandle;
use crate::exec::view::{View, follower};
use crate::name::NsName;
use crate::net::Net;

/// The directory of files that programs in the namespaces see in place of those in `/etc` (`ip-netns(8)`).
const FILES: &str = "/etc/netns";

/// The directory of the files of a namespace.
fn files_of(name: &NsName) -> PathBuf {
    Path::new(FILES).join(name.as_str())
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
            view.bind_over_etc(&files_of(name)).map_err(|error| error.within(self.label()))?;
        }
        Ok(view.mounts().clone())
    }
}

impl Lab {
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
