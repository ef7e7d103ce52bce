//! The front process: owns the terminal, makes the lab, waits for its end, returns its status.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::forbidden::{FORBIDDEN, explain, forbidden};
use super::idmap;
use super::keeper::{self, Keeper};
use super::pipe::{pipe, wait_for_end};
use super::terminal::Saved;
use crate::error::{Error, Result};
use crate::exec::ids::Ids;
use crate::exec::sys;

/// How long a script may run on after Ctrl-C before its lab is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What to start.
pub struct Launch<'a> {
    /// Whether to make a private lab; else the interpreter runs in the namespaces of the machine.
    pub private: bool,
    /// The ids of the lab. Without a choice: all for root, else a range if there is one, else pretended ones.
    pub ids: Option<Ids>,
    /// Whether Ctrl-C is ordinary input (the REPL). Else it ends the lab.
    pub interactive: bool,
    /// Undoes what was made outside a lab. Called after the interpreter has ended, however it ended, with its status;
    /// returns the status of the program.
    pub cleanup: &'a dyn Fn(u8) -> u8,
}

/// Runs `interpreter` in a process of its own inside a new lab and returns its exit status.
///
/// Call it before any thread exists.
///
/// # Errors
/// When the kernel or a sysctl forbids a lab; the hint names it.
pub fn launch(launch: &Launch<'_>, interpreter: impl FnOnce() -> u8) -> Result<u8> {
    let terminal = Saved::now();
    let (alive, alive_end) = pipe()?;
    let (go, go_end) = pipe()?;
    let (working, working_end) = pipe()?;

    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // `nohup`, and a shell for its background programs, ignore signals on purpose.
        if !sys::is_ignored(signal) {
            signals.add(signal);
        }
    }
    sys::default_action(Signal::SIGCHLD); // while it is ignored, the kernel discards the statuses of children
    signals.add(Signal::SIGCHLD);
    signals.thread_block().map_err(|e| Error::sys("block signals", e))?;

    let namespaces = if launch.private {
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
    } else {
        CloneFlags::empty()
    };
    let Some(keeper) = sys::clone_process(namespaces).map_err(forbidden)? else {
        drop((alive_end, go_end));
        let keeper = Keeper {
            alive,
            go,
            working,
            terminal,
            private: launch.private,
            interactive: launch.interactive,
            cleanup: launch.cleanup,
        };
        sys::exit_now(i32::from(keeper::run(&keeper, working_end, interpreter)));
    };
    drop((alive, go, working_end));

    let ids = if launch.private { idmap::write(keeper, launch.ids) } else { Ok(Ids::All) };
    let started = ids.map_err(explain).and_then(|ids| start(go_end, ids));
    let mut status = started.and_then(|()| wait_for(keeper, &signals, launch.interactive));
    if status.is_err() {
        let _ = kill(keeper, Signal::SIGKILL);
        let _ = waitpid(keeper, None);
    }
    if !launch.private {
        // The keeper does the same, unless it was killed; its death kills the interpreter too.
        wait_for_end(&working);
        let cleaned = (launch.cleanup)(status.as_ref().map_or(FORBIDDEN, |status| *status));
        status = status.map(|_| cleaned);
    }
    drop(alive_end);
    terminal.restore();
    status
}

/// Lets the keeper start, with the ids that the lab has.
fn start(go: OwnedFd, ids: Ids) -> Result<()> {
    match fs::File::from(go).write_all(&[ids.byte()]) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()), // it is gone: `wait_for` reports how
        done => done.map_err(|e| Error::io("write to the lab's first process", &e)),
    }
}

/// Waits for the keeper's end; passes Ctrl-C on, and kills the keeper on the other signals.
fn wait_for(keeper: Pid, signals: &SigSet, interactive: bool) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the lab", e);
    let events = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    let mut deadline: Option<Instant> = None;
    let mut killed_by: Option<u8> = None;
    loop {
        if let Some(status) = ended(keeper)? {
            return Ok(killed_by.unwrap_or(status));
        }
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    killed_by = Some(130);
                    deadline = None;
                    let _ = kill(keeper, Signal::SIGKILL);
                    continue;
                }
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(wait_error(error)),
        }
        while let Ok(Some(event)) = events.read_signal() {
            match Signal::try_from(i32::try_from(event.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGINT) => {
                    // The terminal signals the whole foreground process group; kill(2) only this process.
                    if event.ssi_code <= 0 {
                        let _ = kill(keeper, Signal::SIGINT);
                    }
                    if !interactive {
                        let now = Instant::now();
                        deadline = Some(deadline.map_or(now + GRACE, |_| now)); // the second Ctrl-C kills at once
                    }
                }
                Ok(signal) if signal != Signal::SIGCHLD => {
                    killed_by = Some(128 + u8::try_from(signal as i32).unwrap_or(0));
                    let _ = kill(keeper, Signal::SIGKILL);
                }
                _ => {} // SIGCHLD: the next turn of the loop reaps
            }
        }
    }
}

fn ended(keeper: Pid) -> Result<Option<u8>> {
    loop {
        return match waitpid(keeper, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => Ok(Some(u8::try_from(status).unwrap_or(u8::MAX))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(128 + u8::try_from(signal as i32).unwrap_or(0))),
            Err(Errno::EINTR) => continue,
            Ok(_) => Ok(None),
            Err(error) => Err(Error::sys("wait for the lab", error)),
        };
    }
}
