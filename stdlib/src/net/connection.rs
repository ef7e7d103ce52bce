//! A netlink socket, and the two ways to use it: asking, and changing with a permit.
//!
//! This is not `netlink-proto`'s loop, because no answer of the kernel may get lost: an interrupted dump
//! (`NLM_F_DUMP_INTR`) is repeated, a reply that cannot be decoded is an error and not a shorter list, an overrun ends
//! the request, and the kernel's text stays with the error number. The kernel answers inside `sendmsg(2)`, so the
//! reply is usually there at the first read and no event loop is woken.

use std::cell::Cell;
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_ECHO, NLM_F_EXCL,
    NLM_F_REPLACE, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

use super::permit::Permit;
use crate::error::{Error, Kind, Result};
use crate::exec::wait::{readable, sleep};

/// How often an interrupted dump is repeated.
const DUMP_TRIES: u32 = 20;

/// A request that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Get one object.
    Get,
    /// List all objects.
    Dump,
}

/// A request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Change something that exists, or delete it.
    Do,
    /// Create; it is an error if it exists.
    Create,
    /// As `Create`; the reply is what was created, where the kernel reports it.
    CreateAndGet,
    /// Create, after those of the same kind that exist (`ip route append`).
    Append,
    /// Create, or put in the place of the one that exists (`ip route replace`).
    Replace,
}

/// Either of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Query(Query),
    Write(Write),
}

impl Ask {
    fn flags(self) -> u16 {
        NLM_F_REQUEST
            | match self {
                Self::Query(Query::Get) => 0, // the object itself is the acknowledgement
                Self::Query(Query::Dump) => NLM_F_DUMP,
                Self::Write(Write::Do) => NLM_F_ACK,
                Self::Write(Write::Create) => NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                Self::Write(Write::CreateAndGet) => NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO,
                Self::Write(Write::Append) => NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND,
                Self::Write(Write::Replace) => NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
            }
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The kernel's number.
    pub errno: Errno,
    /// The kernel's text, if it has one (`NETLINK_EXT_ACK`).
    pub text: Option<String>,
}

impl Refusal {
    /// The error of `op`.
    pub(crate) fn into_error(self, op: impl Into<String>) -> Error {
        let error = Error::sys(op, self.errno);
        match self.text {
            Some(text) => error.detail(text),
            None => error,
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)), text: None }
    }
}

/// An open netlink socket in some namespace.
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
}

thread_local! {
    /// Where answers are read into: one for all connections, so that it stays in the processor's cache.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Connection {
    /// Opens a socket of `protocol` where the calling thread is: call it inside a hop.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens netlink sockets; callers are hops")]
    pub(crate) fn open(protocol: isize) -> Result<Self> {
        let open = || {
            let mut socket = Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            // Filters in a dump request are obeyed, and unknown ones refused; older kernels do without.
            let _ = socket.set_netlink_get_strict_chk(true);
            Ok(socket)
        };
        let socket = open().map_err(|e: io::Error| Error::io("open a netlink socket", &e))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks and returns what the kernel answers, read as `R`.
    pub(crate) async fn request<M, R>(&mut self, message: M, query: Query) -> Result<Vec<R>, Refusal>
    where
        M: NetlinkSerializable + Debug,
        R: NetlinkDeserializable + Debug,
    {
        self.send_and_receive(message, Ask::Query(query)).await
    }

    /// Changes something and returns what the kernel answers, read as `R`.
    pub(crate) async fn change<M, R>(&mut self, _: &impl Permit, message: M, write: Write) -> Result<Vec<R>, Refusal>
    where
        M: NetlinkSerializable + Debug,
        R: NetlinkDeserializable + Debug,
    {
        self.send_and_receive(message, Ask::Write(write)).await
    }

    async fn send_and_receive<M, R>(&mut self, message: M, ask: Ask) -> Result<Vec<R>, Refusal>
    where
        M: NetlinkSerializable + Debug,
        R: NetlinkDeserializable + Debug,
    {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(message));
        message.header.flags = ask.flags();
        for _ in 0..DUMP_TRIES {
            self.send(&mut message)?;
            let mut buffer = BUFFER.take();
            buffer.reserve(64 << 10);
            let replies = self.replies(ask, &mut buffer).await;
            BUFFER.set(buffer);
            if let Some(replies) = replies? {
                return Ok(replies);
            }
            sleep(Duration::ZERO).await.map_err(waited)?; // others are changing what we list: let them
        }
        Err(Refusal { errno: Errno::EINTR, text: Some("the list changed while it was read, each time".into()) })
    }

    fn send<M: NetlinkSerializable + Debug>(&mut self, message: &mut NetlinkMessage<M>) -> Result<(), Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    /// The replies to the last request; `None` if it was a dump that has to be repeated.
    async fn replies<R>(&self, ask: Ask, buffer: &mut Vec<u8>) -> Result<Option<Vec<R>>, Refusal>
    where
        R: NetlinkDeserializable + Debug,
    {
        let (mut replies, mut interrupted) = (Vec::new(), false);
        loop {
            self.receive(buffer).await?;
            let mut rest = buffer.as_slice();
            while rest.len() >= 16 {
                let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                let Some(bytes) = rest.get(..length).filter(|_| length >= 16) else {
                    return Err(undecodable("a message of an impossible length"));
                };
                rest = rest.get((length + 3) & !3..).unwrap_or_default();
                let sequence = u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
                if sequence != self.sequence {
                    continue; // a late reply to a request whose deadline passed
                }
                let message = NetlinkMessage::<R>::deserialize(bytes).map_err(|e| undecodable(&e.to_string()))?;
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(reply) => {
                        replies.push(reply);
                        if ask == Ask::Query(Query::Get) {
                            return Ok(Some(replies));
                        }
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => return Err(Errno::from_raw(-done.code).into()),
                    NetlinkPayload::Done(_) => return Ok((!interrupted).then_some(replies)),
                    NetlinkPayload::Error(error) if error.code.is_none() && ask != Ask::Query(Query::Dump) => {
                        return Ok(Some(replies));
                    }
                    NetlinkPayload::Error(error) => return Err(refusal(&error)),
                    NetlinkPayload::Overrun(_) => return Err(Errno::ENOBUFS.into()),
                    _ => {}
                }
            }
        }
    }

    /// Reads one datagram into the buffer.
    async fn receive(&self, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        loop {
            buffer.clear();
            match self.socket.recv(buffer, libc::MSG_TRUNC) {
                Ok(length) if length > buffer.len() => {
                    return Err(undecodable("a datagram larger than 64 KiB"));
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    readable(self.as_fd(), "wait for the kernel").await.map_err(waited)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A netlink socket that receives notifications.
pub(crate) struct Monitor(Socket);

impl Monitor {
    /// Opens one for changed links where the calling thread is: call it inside a hop.
    pub(crate) fn of_links() -> Result<Self> {
        const RTNLGRP_LINK: u32 = 1;
        Self::open(&[RTNLGRP_LINK])
    }

    /// As [`Monitor::of_links`], for changed addresses.
    pub(crate) fn of_addresses() -> Result<Self> {
        const RTNLGRP_IPV4_IFADDR: u32 = 5;
        const RTNLGRP_IPV6_IFADDR: u32 = 9;
        Self::open(&[RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR])
    }

    #[expect(clippy::disallowed_methods, reason = "opens a netlink socket; callers are hops")]
    fn open(groups: &[u32]) -> Result<Self> {
        let open = || {
            let mut socket = Socket::new(netlink_sys::protocols::NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            groups.iter().try_for_each(|group| socket.add_membership(*group))?;
            Ok(socket)
        };
        open().map(Self).map_err(|e: io::Error| Error::io("open a netlink socket", &e))
    }

    /// Discards what has arrived, and one overrun: the caller reads the state again. What is left makes the socket
    /// readable again.
    pub(crate) fn drain(&self) {
        let mut buffer = Vec::with_capacity(64 << 10);
        let mut overrun = false;
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, 0) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && !overrun => overrun = true,
                Err(_) => return,
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The refusal of a wait that failed.
fn waited(error: Error) -> Refusal {
    Refusal { errno: error.errno.unwrap_or(Errno::EIO), text: error.detail.map(String::from) }
}

fn undecodable(why: &str) -> Refusal {
    Refusal { errno: Errno::EBADMSG, text: Some(format!("cannot read the kernel's answer: {why}")) }
}

/// Number and text of a refusal. The text is an attribute behind the echoed header (`NLMSGERR_ATTR_MSG`).
fn refusal(error: &ErrorMessage) -> Refusal {
    const ECHOED_HEADER: usize = 16;
    const ATTR_MSG: u16 = 1;
    let attributes = error.header.get(ECHOED_HEADER..).unwrap_or_default();
    let text = NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == ATTR_MSG)
        .map(|attribute| String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned());
    Refusal { errno: Errno::from_raw(-error.raw_code()), text }
}

/// The error of a namespace that was deleted while something still refers to it.
pub(crate) fn deleted(ns: &str) -> Error {
    Error::plain(Kind::Gone, format!("{ns} was deleted"))
        .hint("make it again with `netns(name)`, or hold it before deleting: `let h = hold(ns)`")
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}
