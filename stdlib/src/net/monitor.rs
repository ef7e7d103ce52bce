//! The sockets on which the kernel reports changed links, and changed addresses, of a namespace.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use super::Net;
use super::connection::Monitor;
use crate::error::Result;

impl Net {
    /// A socket that is readable after a link of the namespace has changed. Opened once.
    pub(crate) fn monitor(&self) -> Result<BorrowedFd<'_>> {
        let monitor = match self.monitor.get() {
            Some(monitor) => monitor,
            None => {
                let opened = self.open(Monitor::of_links)?;
                self.monitor.get_or_init(|| opened)
            }
        };
        Ok(monitor.as_fd())
    }

    /// Discards the pending messages. The caller reads the links again instead.
    pub(crate) fn drain_monitor(&self) {
        if let Some(monitor) = self.monitor.get() {
            monitor.drain();
        }
    }
}

impl Net {
    /// A socket that is readable after an address in the namespace has changed. Opened once.
    pub(crate) fn address_monitor(&self) -> Result<BorrowedFd<'_>> {
        let monitor = match self.address_monitor.get() {
            Some(monitor) => monitor,
            None => {
                let opened = self.open(Monitor::of_addresses)?;
                self.address_monitor.get_or_init(|| opened)
            }
        };
        Ok(monitor.as_fd())
    }

    /// Discards the pending messages. The caller reads the addresses again instead.
    pub(crate) fn drain_addresses(&self) {
        if let Some(monitor) = self.address_monitor.get() {
            monitor.drain();
        }
    }
}

/// Where [`Net`] keeps a socket.
pub(crate) type Slot = OnceLock<Monitor>;
