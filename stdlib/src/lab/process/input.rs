//! What a process reads: the text of its standard input, written as the pipe has room.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::output::nonblocking;

/// The standard input of a program, as far as it is not written yet.
pub(super) struct Input {
    /// Closed when all is written, or when the program reads no more.
    pipe: Option<File>,
    text: String,
    written: usize,
}

impl Input {
    /// `text` for `pipe`, if there is one.
    pub(super) fn new(pipe: Option<OwnedFd>, text: Option<&String>) -> io::Result<Self> {
        let pipe = pipe.map(nonblocking).transpose()?.map(File::from);
        Ok(Self { pipe, text: text.cloned().unwrap_or_default(), written: 0 })
    }

    /// The pipe, until all is written.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(File::as_fd)
    }

    /// Writes as much as the pipe has room for.
    pub(super) fn write_available(&mut self) {
        let text = self.text.as_bytes();
        while let Some(pipe) = &mut self.pipe {
            match pipe.write(&text[self.written..]) {
                Ok(length @ 1..) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All is written, or the program has ended without reading all of it, which is no error.
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }
}
