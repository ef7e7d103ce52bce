//! What a process writes: pipes that do not block, and the end of a stream.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// How many bytes of a background process's stream are kept.
const KEPT: usize = 1 << 20;

/// Makes the descriptor non-blocking.
pub(super) fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(fd)
}

/// The end of a stream: at least the last [`KEPT`] bytes, and at most twice as many.
#[derive(Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * KEPT {
            self.0.drain(..self.0.len() - KEPT);
        }
    }

    /// The kept bytes as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The last line that is not blank.
    pub(super) fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }
}

/// Reads what has arrived on a stream and passes it to `take`. Closes the stream at its end.
///
/// Reads at most [`KEPT`] bytes at once: a process may write faster than this one reads.
pub(super) fn read_available(stream: &mut Option<File>, mut take: impl FnMut(&[u8])) {
    let Some(file) = stream else { return };
    let mut chunk = [0u8; 8192];
    for _ in 0..KEPT / chunk.len() {
        match file.read(&mut chunk) {
            Ok(length @ 1..) => take(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                *stream = None;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = Tail::default();
        for byte in *b"abc" {
            tail.push(&vec![byte; KEPT]);
        }
        assert_eq!(tail.0.len(), KEPT);
        assert!(tail.0.iter().all(|byte| *byte == b'c'));
        tail.push(b"\nwhy it failed \n\n");
        assert_eq!(tail.last_line(), "why it failed");
        assert_eq!(Tail::default().last_line(), "");
    }

    #[test]
    fn a_stream_is_read_as_far_as_it_has_arrived_and_closed_at_its_end() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut stream = Some(File::from(nonblocking(reader.into()).expect("a descriptor")));
        let mut seen = Vec::new();
        writer.write_all(b"one").expect("room in the pipe");
        read_available(&mut stream, |bytes| seen.extend_from_slice(bytes));
        assert_eq!((seen.as_slice(), stream.is_some()), (&b"one"[..], true));
        drop(writer);
        read_available(&mut stream, |bytes| seen.extend_from_slice(bytes));
        assert_eq!((seen.as_slice(), stream.is_some()), (&b"one"[..], false));
    }
}
