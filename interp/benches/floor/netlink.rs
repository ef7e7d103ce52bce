//! One netlink socket: messages out, acknowledgements in.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::{message::Message, requests};

const HEADER: usize = 16;

/// How long a link may take until it runs, or is gone. On a recent kernel it runs at the first answer.
const LIMIT: Duration = Duration::from_secs(2);

/// A netlink socket. It belongs to the namespace in which it was opened, wherever it is used.
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    answer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        Ok(Self { socket, sequence: 0, answer: vec![0; 8192] })
    }

    /// Sends `message` and reads its acknowledgement. A refusal is an error with the kernel's errno.
    pub(super) fn acknowledged(&mut self, message: Message) -> io::Result<()> {
        let kind = self.exchange(message)?.0;
        if i32::from(kind) == libc::NLMSG_ERROR { Ok(()) } else { Err(malformed()) }
    }

    /// Returns once link `index` runs: from then on no packet is dropped.
    ///
    /// The veth end that is set up first has no carrier yet. It gets carrier with the other end, but drops packets until
    /// the kernel's link watch has run: for ARP that costs a second. `RTM_GETLINK` by index runs the link watch at once; on
    /// older kernels a later `RTM_GETLINK` sees that it has run.
    pub(super) fn wait_running(&mut self, index: u32) -> io::Result<()> {
        let running = libc::IFF_RUNNING.cast_unsigned();
        poll_until(index, "does not run", || Ok(self.link_flags(index)? & running != 0))
    }

    /// Returns once there is no link `index`.
    pub(super) fn wait_gone(&mut self, index: u32) -> io::Result<()> {
        poll_until(index, "is still there", || match self.link_flags(index) {
            Ok(_) => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(true),
            Err(error) => Err(error),
        })
    }

    fn link_flags(&mut self, index: u32) -> io::Result<u32> {
        let (kind, link) = self.exchange(requests::get_link(index))?;
        match link.get(8..12) {
            Some(&[a, b, c, d]) if kind == libc::RTM_NEWLINK => Ok(u32::from_ne_bytes([a, b, c, d])),
            _ => Err(malformed()),
        }
    }

    /// Sends one request and returns type and body of its one answer.
    ///
    /// The kernel has handled the request when `send` returns, so `recv` does not wait.
    fn exchange(&mut self, message: Message) -> io::Result<(u16, &[u8])> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;

        let length = recv(self.socket.as_raw_fd(), &mut self.answer, MsgFlags::empty())?;
        let (header, body) = self.answer[..length].split_at_checked(HEADER).ok_or_else(malformed)?;
        let &[_, _, _, _, k0, k1, _, _, s0, s1, s2, s3, ..] = header else {
            return Err(malformed());
        };
        if u32::from_ne_bytes([s0, s1, s2, s3]) != self.sequence {
            return Err(malformed());
        }
        let kind = u16::from_ne_bytes([k0, k1]);
        if i32::from(kind) == libc::NLMSG_ERROR {
            let &[a, b, c, d, ..] = body else {
                return Err(malformed());
            };
            let code = i32::from_ne_bytes([a, b, c, d]);
            if code != 0 {
                return Err(io::Error::from_raw_os_error(-code));
            }
        }
        Ok((kind, body))
    }
}

/// Calls `done` until it is true: at once, then every millisecond.
fn poll_until(index: u32, problem: &str, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let mut started = None;
    while !done()? {
        if started.get_or_insert_with(Instant::now).elapsed() > LIMIT {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("link {index} {problem}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer that does not fit the request")
}
