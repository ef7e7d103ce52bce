//! A network namespace, made by a short-lived thread.

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

/// The stack of that thread, which only opens three descriptors.
const STACK: usize = 64 * 1024;

/// What nslab sets in each namespace that it creates. The kernel then does at once what it does a second later otherwise:
/// the link-local address of a new link is usable, and its first packets go to each port of a bridge.
const NO_DAD: [(&str, &str); 1] = [("ipv6/conf/default/accept_dad", "0")];

/// A namespace and its sockets. Dropping it closes all of them, which deletes the namespace.
pub(super) struct Node {
    namespace: OwnedFd,
    pub(super) netlink: Netlink,
    pub(super) pinger: Pinger,
}

impl Node {
    /// Makes a namespace with these sysctls, such as `("ipv4/ip_forward", "1")`, and without duplicate address detection.
    /// Like `ip netns add`, without a name.
    pub(super) fn new(sysctls: &'static [(&'static str, &'static str)]) -> io::Result<Self> {
        let make = move || {
            #[expect(clippy::disallowed_methods, reason = "this thread is our own, and it ends here")]
            unshare(CloneFlags::CLONE_NEWNET)?;
            for (key, value) in NO_DAD.iter().chain(sysctls) {
                fs::write(format!("/proc/sys/net/{key}"), value)?; // /proc/sys/net is that of the calling thread
            }
            let namespace = File::open("/proc/thread-self/ns/net")?.into();
            Ok(Self { namespace, netlink: Netlink::open()?, pinger: Pinger::open()? })
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn(make)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("panic while making a namespace")))
    }

    /// Bind-mounts the namespace on a file, as `ip netns add` names it.
    #[expect(clippy::disallowed_methods, reason = "in the lab that the benchmark made")]
    pub(super) fn bind(&self, file: &Path) -> io::Result<()> {
        File::create_new(file)?;
        let namespace = format!("/proc/self/fd/{}", self.namespace.as_raw_fd());
        Ok(mount(Some(namespace.as_str()), file, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
    }
}

/// Removes the name.
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
