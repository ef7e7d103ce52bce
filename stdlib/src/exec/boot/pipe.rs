//! Pipes that carry no data: a process sees end of file when the processes at the other end are gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use crate::error::{Error, Result};

/// How long a process may take to end after it was killed.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A pipe whose ends are closed when a program is started.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::sys("make a pipe", e))
}

/// Waits until no process has the other end of `working`: neither the interpreter nor a program that it was about to
/// start.
pub(super) fn wait_for_end(working: &OwnedFd) {
    let end = Instant::now() + KILL_LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(working.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) if !left.is_zero() => {}
            _ => return,
        }
    }
}
