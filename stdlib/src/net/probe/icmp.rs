//! ICMP and ICMPv6 echo on raw sockets: packets out, packets in, timestamps. No policy.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};
use crate::net::Net;

sockopt_impl!(
    /// The ICMP types that a raw socket drops, a bit each (`raw(7)`, `ICMP_FILTER`).
    IcmpFilter, SetOnly, libc::SOL_RAW, ICMP_FILTER, u32
);
/// `linux/icmp.h`.
const ICMP_FILTER: i32 = 1;
/// Echo reply, destination unreachable, time exceeded. Not echo request: a node in a mesh gets as many as it sends.
const PASSED_V4: u32 = 1 << 0 | 1 << 3 | 1 << 11;

/// The raw sockets of one namespace. Opened at the first use, then kept.
#[derive(Default)]
pub(crate) struct Sockets {
    v4: OnceLock<Mutex<Echo>>,
    v6: OnceLock<Mutex<Echo>>,
    next_id: AtomicU16,
}

impl Sockets {
    /// Keeps a socket that was opened when the namespace was made.
    pub(crate) fn keep_v4(&self, echo: Echo) {
        let _ = self.v4.set(Mutex::new(echo));
    }

    /// An identifier that no other ping of this process in this namespace uses now.
    pub(crate) fn next_id(&self) -> u16 {
        let start = std::process::id().to_ne_bytes();
        u16::from_ne_bytes([start[0], start[1]]).wrapping_add(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

impl Net {
    /// The namespace's raw socket for the family of `addr`.
    pub(crate) fn echo_socket(&self, addr: IpAddr) -> Result<MutexGuard<'_, Echo>> {
        let v6 = addr.is_ipv6();
        let slot = if v6 { &self.echo.v6 } else { &self.echo.v4 };
        let socket = match slot.get() {
            Some(socket) => socket,
            None => {
                let opened = self.open(|| Echo::open(v6))?;
                slot.get_or_init(|| Mutex::new(opened))
            }
        };
        Ok(socket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One raw ICMP or ICMPv6 socket.
pub(crate) struct Echo {
    socket: Socket,
    v6: bool,
    stamps: bool,
    buffer: Vec<u8>,
}

/// A message that answers an echo request.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub from: IpAddr,
    pub id: u16,
    pub seq: u16,
    /// Bytes of the ICMP message, as `ping(8)` counts them.
    pub bytes: usize,
    pub ttl: Option<u8>,
    /// When the kernel received it, since the epoch.
    pub stamp: Option<Duration>,
    /// The ICMP error that came instead of a reply.
    pub error: Option<&'static str>,
}

impl Echo {
    /// Opens a socket in the calling thread's namespace: call it inside a hop.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens raw sockets; callers are hops")]
    pub(crate) fn open(v6: bool) -> Result<Self> {
        let open = || {
            let (domain, protocol) =
                if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
            let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            socket.set_broadcast(true)?;
            if v6 {
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
            } else {
                setsockopt(&socket, IcmpFilter, &!PASSED_V4)?;
            }
            Ok(socket)
        };
        let socket = open().map_err(|e: std::io::Error| Error::io("open a raw ICMP socket", &e))?;
        Ok(Self { socket, v6, stamps: false, buffer: vec![0; 2048] })
    }

    /// Sets how many routers a request may cross.
    pub(crate) fn set_ttl(&self, ttl: u32) -> Result<()> {
        let done = if self.v6 { self.socket.set_unicast_hops_v6(ttl) } else { self.socket.set_ttl_v4(ttl) };
        done.map_err(|e| Error::io(format!("set the ttl to {ttl}"), &e))
    }

    /// Makes room for replies with `size` bytes of data.
    pub(crate) fn expect(&mut self, size: usize) {
        self.buffer.resize(self.buffer.len().max(size + 256), 0);
    }

    /// Discards what has arrived and turns on receive timestamps.
    ///
    /// Not when the socket is opened: for the first user of timestamps the kernel patches its own code
    /// (`net_enable_timestamp`), which costs the making of a namespace 0.2 ms.
    pub(crate) fn begin(&mut self) {
        if !self.stamps {
            // Without timestamps the clock of this process is used.
            self.stamps = setsockopt(&self.socket, sockopt::ReceiveTimestampns, &true).is_ok();
        }
        while self.receive().is_ok() {}
    }

    /// Sends one echo request with `size` bytes of data.
    pub(crate) fn send(&self, to: SocketAddr, id: u16, seq: u16, size: usize) -> Result<(), Errno> {
        let mut packet = vec![0u8; 8 + size];
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6..8].copy_from_slice(&seq.to_be_bytes());
        for (n, byte) in packet[8..].iter_mut().enumerate() {
            *byte = u8::try_from(n % 256).unwrap_or(0);
        }
        if !self.v6 {
            let sum = checksum(&packet); // over IPv6 the kernel does it (RFC 3542, section 3.1)
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        self.socket
            .send_to(&packet, &to.into())
            .map(drop)
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
    }

    /// The next message; `Ok(None)` for one that answers no echo request, `EAGAIN` if none has arrived.
    pub(crate) fn receive(&mut self) -> Result<Option<Arrival>, Errno> {
        let mut control = nix::cmsg_space!(TimeSpec, i32);
        let (length, from, stamp, hops) = {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            let message = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let (mut stamp, mut hops) = (None, None);
            for extra in message.cmsgs()? {
                match extra {
                    ControlMessageOwned::ScmTimestampns(time) => stamp = Some(Duration::from(time)),
                    ControlMessageOwned::Ipv6HopLimit(limit) => hops = u8::try_from(limit).ok(),
                    _ => {}
                }
            }
            let from = message.address.and_then(|address| {
                address
                    .as_sockaddr_in()
                    .map(|v4| IpAddr::V4(v4.ip()))
                    .or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
            });
            (message.bytes, from, stamp, hops)
        };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let parsed = if self.v6 { parse_v6(bytes).map(|p| (p, hops)) } else { parse_v4(bytes) };
        Ok(parsed.zip(from).map(|((parsed, ttl), from)| Arrival {
            from,
            id: parsed.id,
            seq: parsed.seq,
            bytes: parsed.bytes,
            ttl,
            stamp,
            error: parsed.error,
        }))
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One request that has been sent.
pub(super) struct Sent {
    at: Instant,
    clock: SystemTime,
    pub(super) answered: bool,
}

impl Sent {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), clock: SystemTime::now(), answered: false }
    }

    /// The round-trip time by the kernel's timestamp; by the monotonic clock if the system time was set meanwhile.
    pub(super) fn rtt(&self, stamp: Option<Duration>) -> Duration {
        let elapsed = self.at.elapsed();
        let start = self.clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        stamp.and_then(|stamp| stamp.checked_sub(start)).filter(|rtt| *rtt <= elapsed).unwrap_or(elapsed)
    }
}

struct Parsed {
    id: u16,
    seq: u16,
    bytes: usize,
    error: Option<&'static str>,
}

/// Parses an IPv4 datagram. A raw socket delivers it with the IP header.
fn parse_v4(datagram: &[u8]) -> Option<(Parsed, Option<u8>)> {
    let ttl = datagram.get(8).copied();
    let icmp = datagram.get(header_length(datagram)?..)?;
    let parsed = match *icmp.first()? {
        0 => ids(icmp, None)?,
        kind @ (3 | 11) => {
            // After the ICMP header comes the start of the datagram that caused the error.
            let ours = icmp.get(8..)?;
            let echo = ours.get(header_length(ours)?..)?;
            if *echo.first()? != 8 {
                return None;
            }
            ids(echo, Some(error_v4(kind, *icmp.get(1)?)))?
        }
        _ => return None,
    };
    Some((parsed, ttl))
}

/// Parses an ICMPv6 message. A raw socket delivers it without the IP header.
fn parse_v6(icmp: &[u8]) -> Option<Parsed> {
    match *icmp.first()? {
        129 => ids(icmp, None),
        kind @ (1..=3) => {
            let echo = icmp.get(8 + 40..)?;
            (*echo.first()? == 128).then(|| ids(echo, Some(error_v6(kind, icmp[1]))))?
        }
        _ => None,
    }
}

fn header_length(datagram: &[u8]) -> Option<usize> {
    Some(usize::from(datagram.first()? & 0x0f) * 4)
}

fn ids(icmp: &[u8], error: Option<&'static str>) -> Option<Parsed> {
    let word = |at: usize| Some(u16::from_be_bytes([*icmp.get(at)?, *icmp.get(at + 1)?]));
    Some(Parsed { id: word(4)?, seq: word(6)?, bytes: icmp.len(), error })
}

/// The text of `ping(8)` for an ICMP error (RFC 792; RFC 1812, section 5.2.7.1).
fn error_v4(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => "Frag needed and DF set",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 13) => "Packet filtered",
        (3, _) => "Destination Unreachable",
        (11, 0) => "Time to live exceeded",
        _ => "Frag reassembly time exceeded",
    }
}

/// The text of `ping(8)` for an ICMPv6 error (RFC 4443, sections 3.1 to 3.3).
fn error_v6(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (1, 0) => "Destination unreachable: No route",
        (1, 1) => "Destination unreachable: Administratively prohibited",
        (1, 3) => "Destination unreachable: Address unreachable",
        (1, 4) => "Destination unreachable: Port unreachable",
        (1, _) => "Destination unreachable",
        (2, _) => "Packet too big",
        (_, 0) => "Time exceeded: Hop limit",
        _ => "Time exceeded: Defragmentation failure",
    }
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn truncated_packets_answer_no_request() {
        let unreachable: Vec<u8> =
            [&[0x45; 20][..], &[3, 1, 0, 0, 0, 0, 0, 0], &[0x45; 20], &[8, 0, 0, 0, 1, 2, 3, 4]].concat();
        assert!(parse_v4(&unreachable).is_some());
        for length in 0..unreachable.len() {
            assert!(parse_v4(&unreachable[..length]).is_none(), "{length}");
            let _ = parse_v6(&unreachable[..length]);
        }
    }
}
