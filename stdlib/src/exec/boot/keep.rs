//! Keeping a lab: it outlives its front, until `nslab stop`.
//!
//! The front has the last word. It writes a byte into the pipe `alive`, and no process reads it: at the end of file keeper
//! and helper see by it that the lab is kept. So one system call divides the time. SIGKILL of the front before it ends the
//! lab, after it not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::pipe::pipe;
use crate::error::{Error, Kind, Result};
use crate::exec::wait::is_readable;
use crate::exec::{covers, ids, labs, sys};
use crate::name::LabName;

/// The interpreter's end of the socket to the front that has made the lab.
static FRONT: OnceLock<OwnedFd> = OnceLock::new();

/// The name under which this session has kept its lab.
static KEPT: OnceLock<LabName> = OnceLock::new();

/// Makes all requests over `socket`. The keeper calls it for the interpreter of a lab.
pub(super) fn ask_over(socket: OwnedFd) {
    let _ = FRONT.set(socket); // the interpreter is started once
}

/// The name under which this session has kept its lab, if it has.
#[must_use]
pub fn kept() -> Option<&'static LabName> {
    KEPT.get()
}

/// Keeps the lab until `nslab stop`: when this returns, it outlives the front. The interpreter must end with [`stay`].
///
/// # Errors
/// `Usage` if this session has not made a lab, or has kept it already; `Exists` if another lab of the user has the name.
pub fn keep(name: &LabName) -> Result<()> {
    let op = || format!("keep the lab as `{name}`");
    if let Some(kept) = KEPT.get() {
        return Err(Error::usage(format!("the lab is kept as `{kept}` already")));
    }
    let Some(front) = FRONT.get() else {
        return Err(Error::usage("only the session that has made a private lab can keep it"));
    };
    sys::outlive(Signal::SIGHUP); // that of its terminal
    describe(name).map_err(|e| Error::io(op(), &e))?;
    let asked = covers::pass(front, format!("keep {name}").as_bytes(), None).and_then(|()| covers::receive(front));
    let refused = match asked.map_err(|e| Error::sys(op(), e))?.0.split_once(' ') {
        Some(("kept", _)) => {
            let _ = KEPT.set(name.clone()); // only the thread of the script gets here
            return Ok(());
        }
        Some(("taken", pid)) => taken(name, pid),
        Some((_, why)) => Error::plain(Kind::Kernel, op()).detail(why.to_owned()),
        None => Error::plain(Kind::Kernel, op()).detail("the front has ended"),
    };
    let _ = fs::remove_file(labs::DESCRIPTION);
    Err(refused)
}

/// The error that the lab with the PID `pid` has the name.
#[must_use]
pub fn taken(name: &LabName, pid: impl std::fmt::Display) -> Error {
    Error::plain(Kind::Exists, format!("a lab `{name}` is kept already: PID {pid}"))
        .hint(format!("choose another name, or end that lab: `nslab stop {name}`"))
}

/// Writes what [`labs`] shows of a kept lab: its name and its ids.
fn describe(name: &LabName) -> io::Result<()> {
    let _ = fs::remove_file(labs::DESCRIPTION); // a program of the lab may have made it
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(labs::DESCRIPTION)?;
    writeln!(file, "{name} {}", ids::current().byte())
}

/// Ends the session, but not the process, of a kept lab: the front ends with `status`. The process stays as a daemon until
/// the lab ends. It holds what has no name: namespaces, and the pipes of programs.
pub fn stay(status: u8) -> ! {
    let _ = io::stdout().flush();
    detach();
    if let Some(front) = FRONT.get() {
        let _ = covers::pass(front, format!("end {status}").as_bytes(), None); // the front may be gone
    }
    loop {
        thread::park();
    }
}

/// Lets go of the terminal and of the standard streams.
pub(super) fn detach() {
    if setsid().is_err()
        && let Ok(terminal) = File::open("/dev/tty")
    {
        sys::leave_terminal(terminal.as_fd());
    }
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
    }
}

/// Whether a lab with this pipe is kept. Asked at the end of file, the answer is final.
pub(super) fn is_kept(alive: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(alive.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds[0].revents().is_some_and(|found| found.contains(PollFlags::POLLIN))
}

/// What only the front keeps open.
pub(super) struct FrontEnds {
    /// Its end of the pipe `alive`.
    alive: OwnedFd,
    /// Its end of the socket to the interpreter, while that is open.
    interpreter: Option<OwnedFd>,
    is_kept: bool,
}

impl FrontEnds {
    /// Makes the pipe and the socket. Returns the front's ends, then those of keeper and interpreter.
    pub(super) fn make() -> Result<(Self, OwnedFd, OwnedFd)> {
        let (alive, alive_end) = pipe()?;
        let (front, interpreter) = covers::channel()?;
        Ok((Self { alive: alive_end, interpreter: Some(front), is_kept: false }, alive, interpreter))
    }

    /// Whether the lab is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// A descriptor that is readable when [`FrontEnds::answer`] has something to do.
    pub(super) fn requests(&self) -> Option<BorrowedFd<'_>> {
        self.interpreter.as_ref().map(AsFd::as_fd)
    }

    /// Answers the interpreter. Returns its status if the session of a kept lab has ended.
    pub(super) fn answer(&mut self, keeper: Pid) -> Option<u8> {
        while let Some(socket) = self.interpreter.take_if(|socket| is_readable(socket.as_fd())) {
            let Ok((request, _)) = covers::receive(&socket) else { return None };
            match request.split_once(' ') {
                Some(("keep", name)) => {
                    let answer = self.keep(name, keeper).unwrap_or_else(|error| format!("failed {error}"));
                    let _ = covers::pass(&socket, answer.as_bytes(), None); // without an interpreter the lab ends
                }
                Some(("end", status)) if self.is_kept => return status.parse().ok(),
                _ => return None, // the end of file
            }
            self.interpreter = Some(socket);
        }
        None
    }

    /// Keeps the lab, unless another has the name. A lab has written its name before, so of two that ask at the same time
    /// at most one is kept.
    fn keep(&mut self, name: &str, keeper: Pid) -> Result<String> {
        let name = LabName::new(name)?;
        if let Some(other) = labs::named(&name)?.into_iter().find(|pid| *pid != keeper) {
            return Ok(format!("taken {other}"));
        }
        nix::unistd::write(&self.alive, &[1]).map_err(|e| Error::sys("write to the lab's first process", e))?;
        self.is_kept = true;
        Ok("kept ".into())
    }
}
