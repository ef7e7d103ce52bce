//! A namespace's notices of changed links, for those who want to be told.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use super::Net;
use super::connection::Monitor;
use crate::error::Result;

impl Net {
    /// A socket that can be read when a link of the namespace has changed; opened once.
    pub(crate) fn monitor(&self) -> Result<BorrowedFd<'_>> {
        let monitor = match self.monitor.get() {
            Some(monitor) => monitor,
            None => {
                let opened = self.open(Monitor::open)?;
                self.monitor.get_or_init(|| opened)
            }
        };
        Ok(monitor.as_fd())
    }

    /// Throws the notices away: what they were about is asked anew.
    pub(crate) fn drain_monitor(&self) {
        if let Some(monitor) = self.monitor.get() {
            monitor.drain();
        }
    }
}

/// The slot of the socket.
pub(crate) type Slot = OnceLock<Monitor>;
