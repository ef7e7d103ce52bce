//! Requests for a `/proc` or a `/sys` to the helper of a lab of root, which mounts them with their read-only parts.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair};

use super::{hop, sys};
use crate::error::{Error, Kind, Result};

/// What the helper mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// A `/proc` that shows a pid namespace.
    Proc,
    /// A `/sys` that shows a network namespace.
    Sys,
}

impl Cover {
    const EACH: [Self; 2] = [Self::Proc, Self::Sys];

    /// Where it is mounted.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Proc => "/proc",
            Self::Sys => "/sys",
        }
    }

    /// The cover that is mounted at `path`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|cover| cover.path() == path)
    }
}

/// The interpreter's end of the socket, in a lab of root.
static HELPER: OnceLock<Mutex<OwnedFd>> = OnceLock::new();

/// Whether new mounts of `/proc` and `/sys` come from a helper.
pub(crate) fn are_from_helper() -> bool {
    HELPER.get().is_some()
}

/// Makes all further requests over `socket`. The keeper calls it for the interpreter.
pub(super) fn ask_over(socket: OwnedFd) {
    let _ = HELPER.set(Mutex::new(socket)); // the interpreter is started once
}

/// The two ends of a socket that keeps the bounds of messages: the helper's and the interpreter's.
pub(super) fn channel() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|e| Error::sys("make a pair of sockets", e))
}

/// Asks for `cover` of `namespace`. The mount is attached nowhere ([`super::mounts::attach`]).
pub(crate) fn ask(cover: Cover, namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    let Some(helper) = HELPER.get() else { return Err(Error::plain(Kind::Bug, "this lab has no helper")) };
    let socket = helper.lock().unwrap_or_else(PoisonError::into_inner);
    pass(&*socket, cover.path().as_bytes(), Some(namespace)).or_else(|errno| match errno {
        Errno::EPIPE => Ok(()), // it has ended, as the next read shows
        _ => Err(Error::sys("write to the lab's helper", errno)),
    })?;
    answer_from(&socket, cover)
}

/// Reads the answer to a request for `cover`.
pub(super) fn answer_from(socket: &OwnedFd, cover: Cover) -> Result<OwnedFd> {
    match receive(socket) {
        Ok((_, Some(tree))) => Ok(tree),
        Ok((text, None)) if !text.is_empty() => Err(reported(&text)),
        Ok(_) | Err(Errno::ECONNRESET) => Err(Error::plain(Kind::Kernel, "the lab's helper has ended")
            .hint(format!("no process of a lab of root can mount another `{}`: start nslab again", cover.path()))),
        Err(errno) => Err(Error::sys("read from the lab's helper", errno)),
    }
}

/// Reads a request; `None` at the end of file, and for what is no request.
pub(super) fn next_request(socket: &OwnedFd) -> Result<Option<(Cover, OwnedFd)>, Errno> {
    let (path, namespace) = receive(socket)?;
    Ok(Cover::at(&path).zip(namespace))
}

/// Answers a request.
pub(super) fn answer(socket: &OwnedFd, made: Result<OwnedFd>) -> Result<(), Errno> {
    match made {
        Ok(tree) => pass(socket, b"mounted", Some(tree.as_fd())),
        Err(error) => pass(socket, report_of(&error).as_bytes(), None),
    }
}

/// One line that says which operation failed, for [`reported`].
pub(super) fn report_of(error: &Error) -> String {
    let errno = error.errno.unwrap_or(Errno::UnknownErrno) as i32;
    format!("{errno} {}", error.what())
}

/// The error that another process reported: its number and the operation.
pub(super) fn reported(line: &str) -> Error {
    let (number, op) = line.split_once(' ').unwrap_or((line, "make a namespace"));
    let errno = number.parse().map_or(Errno::UnknownErrno, Errno::from_raw);
    hop::with_limits(Error::sys(op, errno))
}

/// Sends one message, with a descriptor.
pub(super) fn pass(socket: impl AsFd, text: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let raw = descriptor.map(|fd| [fd.as_raw_fd()]);
    let rights = raw.as_ref().map(|raw| ControlMessage::ScmRights(raw));
    let flags = MsgFlags::MSG_NOSIGNAL;
    let message = [IoSlice::new(text)];
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &message, rights.as_slice(), flags, None) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// Receives one message, and the descriptor in it. The text is empty at the end of file.
pub(super) fn receive(socket: impl AsFd) -> Result<(String, Option<OwnedFd>), Errno> {
    let mut text = [0; 512];
    let mut control = cmsg_space!(i32);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let (length, descriptor) = loop {
        let mut parts = [IoSliceMut::new(&mut text)];
        match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => break (message.bytes, sys::descriptor_of(&message)?),
        }
    };
    Ok((String::from_utf8_lossy(&text[..length]).into_owned(), descriptor))
}
