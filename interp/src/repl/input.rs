//! Standard input that is no terminal: it is read until its end, or until Ctrl-C.

use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use stdlib::exec::Executor;

/// How many milliseconds an interrupt may stay unseen.
const LOOK: u8 = 50;

/// Standard input, without a buffer. After an interrupt of the executor it fails.
pub(super) struct Input<'a>(&'a Executor);

impl<'a> Input<'a> {
    pub(super) fn new(exec: &'a Executor) -> Self {
        Self(exec)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        while !self.0.is_interrupted() {
            match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], LOOK) {
                Ok(0) | Err(Errno::EINTR) => {}
                // An error of `poll` is one of the read, too.
                _ => return Ok(nix::unistd::read(&stdin, into)?),
            }
        }
        Err(io::Error::other("interrupted"))
    }
}
