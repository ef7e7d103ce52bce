//! A network namespace, made by a thread that ends.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

use super::{icmp::Pinger, netlink::Netlink};

/// The thread opens three descriptors and ends.
const STACK: usize = 64 * 1024;

/// A namespace and everything that is ever needed of it. Closing all of it (dropping this) deletes the namespace.
pub(super) struct Node {
    namespace: OwnedFd,
    pub(super) netlink: Netlink,
    pub(super) pinger: Pinger,
}

impl Node {
    /// Makes a namespace in which these settings hold: `("ipv4/ip_forward", "1")`. Like `ip netns add`, without a name.
    pub(super) fn new(settings: &'static [(&'static str, &'static str)]) -> io::Result<Self> {
        let make = move || {
            #[expect(clippy::disallowed_methods, reason = "this thread is our own, and it ends here")]
            unshare(CloneFlags::CLONE_NEWNET)?;
            for (key, value) in settings {
                fs::write(format!("/proc/sys/net/{key}"), value)?; // follows the calling thread
            }
            let namespace = File::open("/proc/thread-self/ns/net")?.into();
            Ok(Self { namespace, netlink: Netlink::open()?, pinger: Pinger::open()? })
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn(make)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("panic while making a namespace")))
    }

    /// Binds the namespace to a file. Like the name that `ip netns add` gives.
    #[expect(clippy::disallowed_methods, reason = "in the lab that the benchmark made")]
    pub(super) fn bind(&self, file: &Path) -> io::Result<()> {
        File::create_new(file)?;
        let namespace = format!("/proc/self/fd/{}", self.namespace.as_raw_fd());
        Ok(mount(Some(namespace.as_str()), file, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
    }
}

/// Takes the name away again.
#[expect(clippy::disallowed_methods, reason = "in the lab that the benchmark made")]
pub(super) fn unbind(file: &Path) -> io::Result<()> {
    umount2(file, MntFlags::MNT_DETACH)?;
    fs::remove_file(file)
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}
