//! The first process of a sandbox (`unshare`): makes what a thread cannot make, then reaps until it is told to end.
//!
//! It is this very program, started again under another name, so that all of it is ordinary single-threaded code.
//! It says one line a step on its standard output (`map`, `ready`, or an error number) and ends when its standard
//! input does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::boot::idmap;
use super::handle::NsKind;
use super::{hop, mounts, sys};
use crate::error::{Error, Kind, Result};

/// The name under which the program is started again.
const NAME: &str = "nslab-init";

/// A running first process. It ends when this is dropped, and with it everything in its pid namespace.
pub(crate) struct Init {
    child: Child,
    life: ChildStdin,
}

impl Init {
    /// Starts a first process and waits until it has made `kinds`.
    pub(crate) fn start(kinds: &[NsKind]) -> Result<Self> {
        let list: Vec<&str> = kinds.iter().map(|kind| kind.file()).collect();
        let mut child = hop::on_a_thread(|| {
            if kinds.contains(&NsKind::Pid) {
                hop::unshare(CloneFlags::CLONE_NEWPID)?; // takes effect for children: the next one is PID 1
            }
            command(&list.join(",")).spawn().map_err(|e| Error::io("start the sandbox's first process", &e))
        })?;
        let (Some(life), Some(says)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::plain(Kind::Bug, "the sandbox's first process has no pipes"));
        };
        let mut init = Self { child, life };
        for line in BufReader::new(says).lines() {
            match line.map_err(|e| Error::io("listen to the sandbox's first process", &e))?.as_str() {
                "map" => init.map()?,
                "ready" => return Ok(init),
                other => return Err(hop::unshare_error(other.parse().map_or(Errno::UnknownErrno, Errno::from_raw))),
            }
        }
        Err(Error::plain(Kind::Kernel, "the sandbox's first process ended before it was ready"))
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn map(&mut self) -> Result<()> {
        idmap::write(Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)))?;
        self.life.write_all(b"\n").map_err(|e| Error::io("talk to the sandbox's first process", &e))
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "part of the executor: starts this very program")]
fn command(kinds: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg(kinds).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    command
}

/// Acts as a sandbox's first process if this program was started as one; returns its exit status then.
///
/// `main` calls it before anything else.
#[must_use]
pub fn main_of_init() -> Option<u8> {
    let mut args = std::env::args();
    if args.next().as_deref() != Some(NAME) {
        return None;
    }
    let _ = nix::sys::prctl::set_name(c"nslab-init"); // or it would be called `exe` in every list of processes
    let kinds: Result<Vec<NsKind>> = args.next().unwrap_or_default().split(',').map(NsKind::parse).collect();
    let done = kinds.and_then(|kinds| make(&kinds));
    match done {
        Ok(()) => {
            say("ready");
            live();
            Some(0)
        }
        Err(error) => {
            say(&(error.errno.unwrap_or(Errno::UnknownErrno) as i32).to_string());
            Some(1)
        }
    }
}

fn say(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

fn make(kinds: &[NsKind]) -> Result<()> {
    let unshare = |flags| sys::unshare(flags).map_err(hop::unshare_error);
    let has = |kind| kinds.contains(&kind);
    if has(NsKind::Mount) {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mounts::make_private()?;
    }
    if has(NsKind::Mount) && has(NsKind::Pid) {
        // Before the user namespace: there a /proc below locked mounts may not be mounted anew
        // (fs/namespace.c, `mount_too_revealing`).
        let guarded = mounts::is_read_only("/proc/sys");
        mounts::proc()?;
        if guarded {
            mounts::protect_proc()?;
        }
    }
    let sys = has(NsKind::Mount) && has(NsKind::Net);
    let sys_is_guarded = if sys { mounts::unguard_sys() } else { false };
    if has(NsKind::User) {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        say("map");
        let mut byte = [0u8];
        let _ = io::stdin().read(&mut byte);
        if has(NsKind::Mount) {
            unshare(CloneFlags::CLONE_NEWNS)?; // once more, so that the new user namespace owns it
        }
    }
    let made = [NsKind::Mount, NsKind::Pid, NsKind::User];
    let rest =
        kinds.iter().filter(|kind| !made.contains(kind)).fold(CloneFlags::empty(), |all, kind| all | kind.flag());
    unshare(rest)?;
    if sys {
        mounts::sys_like(sys_is_guarded)?;
    }
    Ok(())
}

/// Reaps until standard input ends.
fn live() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    let _ = signals.thread_block();
    let Ok(events) = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC) else { return };
    let stdin = io::stdin();
    loop {
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN), PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        if fds[1].any() == Some(true) {
            return;
        }
        while let Ok(Some(_)) = events.read_signal() {}
        while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
    }
}
