//! Echo requests on a raw socket, one at a time.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, socket},
};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
/// Header and data of an echo, as long as those of ping(8).
const LENGTH: usize = 8 + 56;
/// An echo that takes longer counts as lost.
const DEADLINE: Duration = Duration::from_secs(1);

/// A raw ICMP socket. It belongs to the namespace in which it was opened, wherever it is used.
pub(super) struct Pinger {
    socket: OwnedFd,
    sequence: u16,
}

impl Pinger {
    /// Opens a socket in the namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends an echo request to `to` and waits for the reply. Returns whether it came in time.
    pub(super) fn ping(&mut self, to: Ipv4Addr) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let [i0, i1] = identifier();
        let [s0, s1] = self.sequence.to_be_bytes();
        let mut packet = [0; LENGTH];
        packet[..8].copy_from_slice(&[ECHO_REQUEST, 0, 0, 0, i0, i1, s0, s1]);
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());

        let target = SockaddrIn::from(SocketAddrV4::new(to, 0));
        sendto(self.socket.as_raw_fd(), &packet, &target, MsgFlags::empty())?;
        let deadline = Instant::now() + DEADLINE;
        let mut answer = [0; 512];
        loop {
            // Between two namespaces the reply has usually arrived when `sendto` returns.
            match recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) if is_reply(&answer[..length], to, [i0, i1, s0, s1]) => return Ok(true),
                Ok(_) | Err(Errno::EINTR) => {} // a raw socket receives every ICMP message of the namespace
                Err(Errno::EAGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(false);
                    }
                    // Rounded up, so that the last round does not spin.
                    let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
                    match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The echo identifier. Every socket is alone in its namespace, so all share one.
fn identifier() -> [u8; 2] {
    let [.., a, b] = process::id().to_be_bytes();
    [a, b]
}

/// Whether `packet`, which starts with its IP header, is the reply to the request.
fn is_reply(packet: &[u8], from: Ipv4Addr, ids: [u8; 4]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(12..16) == Some(&from.octets())
        && packet.get(header) == Some(&ECHO_REPLY)
        && packet.get(header + 4..header + 8) == Some(&ids)
}

/// RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 =
        packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
