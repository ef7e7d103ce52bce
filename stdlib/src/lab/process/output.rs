//! What a process writes: pipes that do not block, and the kept part of a stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// How many bytes of a stream are kept for a program that runs to its end.
pub(super) const KEPT: usize = 16 << 20;

/// How many bytes of a stream are kept for a program in the background: a lab may have hundreds of them.
pub(super) const KEPT_IN_BACKGROUND: usize = 1 << 20;

/// How many bytes are read at once from a stream: a process may write faster than this one reads.
const AT_ONCE: usize = 1 << 20;

/// Makes the descriptor non-blocking.
pub(super) fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(fd)
}

/// The beginning and the end of a stream. Of a stream longer than the limit the middle is cut, and counted.
pub(super) struct Capture {
    /// How many bytes the beginning and the end may each have.
    half: usize,
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    cut: u64,
}

impl Capture {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { half: limit / 2, beginning: Vec::new(), end: VecDeque::new(), cut: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.beginning.len()));
        self.beginning.extend_from_slice(first);
        // Make room first: the buffer never grows beyond its half.
        let (skipped, rest) = rest.split_at(rest.len().saturating_sub(self.half));
        let displaced = (self.end.len() + rest.len()).saturating_sub(self.half);
        self.end.drain(..displaced);
        self.end.extend(rest);
        self.cut += (skipped.len() + displaced) as u64;
    }

    /// How many bytes have arrived.
    pub(super) fn arrived(&self) -> u64 {
        (self.beginning.len() + self.end.len()) as u64 + self.cut
    }

    /// The kept bytes as text. A line between the beginning and the end says how many bytes are cut.
    pub(super) fn text(&self) -> String {
        let mut end: Vec<u8> = self.end.iter().copied().collect();
        if self.cut == 0 {
            let mut whole = self.beginning.clone();
            whole.append(&mut end);
            return lossy(whole);
        }
        // A character that the cut divides is cut as a whole.
        let (beginning, divided) = self.beginning.split_at(whole_characters(&self.beginning));
        let continued = end.iter().take(3).take_while(|byte| is_continuation(**byte)).count();
        end.drain(..continued);
        let cut = self.cut + (divided.len() + continued) as u64;
        let mut text = lossy(beginning.to_vec());
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.extend(["[… ", &cut.to_string(), " bytes cut …]\n", &lossy(end)]);
        text
    }

    /// The last line that is not blank.
    pub(super) fn last_line(&self) -> String {
        let text = self.text();
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }
}

/// The bytes as text, without a copy where they are text.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Whether a byte is one of a UTF-8 character other than its first.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The length of `bytes` without a UTF-8 character at their end that is not complete.
fn whole_characters(bytes: &[u8]) -> usize {
    let continued = bytes.iter().rev().take(3).take_while(|byte| is_continuation(**byte)).count();
    let Some(start) = bytes.len().checked_sub(continued + 1) else { return bytes.len() };
    let length = match bytes[start] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if continued + 1 < length { start } else { bytes.len() }
}

/// Reads what has arrived on a stream and passes it to `take`. Closes the stream at its end.
///
/// Reads at most [`AT_ONCE`] bytes.
pub(super) fn read_available(stream: &mut Option<File>, mut take: impl FnMut(&[u8])) {
    let Some(file) = stream else { return };
    let mut chunk = [0u8; 8192];
    for _ in 0..AT_ONCE / chunk.len() {
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

    fn captured(limit: usize, pieces: &[&str]) -> Capture {
        let mut capture = Capture::new(limit);
        for piece in pieces {
            capture.push(piece.as_bytes());
        }
        capture
    }

    #[test]
    fn a_stream_within_the_limit_is_kept_whole() {
        assert_eq!(captured(8, &["abc", "de", "fgh"]).text(), "abcdefgh");
        assert_eq!(captured(8, &["abcdefgh"]).text(), "abcdefgh");
        assert_eq!(captured(8, &[]).text(), "");
        assert_eq!(captured(8, &["aaaé", "b"]).text(), "aaaéb");
    }

    #[test]
    fn the_middle_of_a_longer_stream_is_cut_and_counted() {
        assert_eq!(captured(8, &["abcdefghi"]).text(), "abcd\n[… 1 bytes cut …]\nfghi");
        let pieces: Vec<String> = (0..100).map(|n| format!("{n}\n")).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let capture = captured(8, &pieces);
        assert_eq!(capture.text(), "0\n1\n[… 282 bytes cut …]\n\n99\n");
        assert!(capture.beginning.capacity() <= 8 && capture.end.capacity() <= 8);
        assert_eq!(captured(4, &["ab", &"x".repeat(1000), "yz"]).text(), "ab\n[… 1000 bytes cut …]\nyz");
    }

    #[test]
    fn a_character_that_the_cut_divides_is_cut_whole() {
        assert_eq!(captured(8, &["abcé", "xxx", "éabc"]).text(), "abc\n[… 7 bytes cut …]\nabc");
        assert_eq!(whole_characters("a…".as_bytes()), 4);
        assert_eq!(whole_characters(&"a…".as_bytes()[..3]), 1);
        assert_eq!(whole_characters(b"\x80\x80\x80"), 3);
    }

    #[test]
    fn the_last_line_of_a_cut_stream() {
        let text = format!("{}\nwhy it failed \n\n", "x".repeat(100));
        assert_eq!(captured(40, &[&text]).last_line(), "why it failed");
        assert_eq!(captured(40, &[]).last_line(), "");
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
