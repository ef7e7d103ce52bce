//! The front process: owns the terminal, makes the lab, waits for its end, returns its status.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
use super::terminal::{self, Saved};
use crate::error::{Error, Result};
use crate::exec::sys;

/// How long a script may run on after Ctrl-C, and a program after SIGTERM or SIGHUP, before the lab is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What to start.
pub struct Launch<'a> {
    /// Whether to make a private lab; else the interpreter runs in the namespaces of the machine.
    pub private: bool,
    /// What runs in the foreground of the lab.
    pub foreground: Foreground<'a>,
    /// Undoes what was made outside a lab. Called after the interpreter has ended, however it ended, with its status;
    /// returns the status of the program.
    pub cleanup: &'a dyn Fn(u8) -> u8,
}

/// What runs in the foreground of a lab. It decides what signals to nslab do.
#[derive(Clone, Copy)]
pub enum Foreground<'a> {
    /// A script. Ctrl-C ends the lab.
    Script,
    /// The REPL. It owns the terminal, and Ctrl-C is ordinary input.
    Repl,
    /// A program of the user. It gets the signals that nslab gets: the front writes their numbers to this pipe, a byte
    /// each, and the interpreter passes them on. The terminal's own reach it without that.
    Program(BorrowedFd<'a>),
}

impl Foreground<'_> {
    /// The signals that the front handles.
    fn signals(self) -> &'static [Signal] {
        use Signal::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
        match self {
            Self::Script | Self::Repl => &[SIGINT, SIGTERM, SIGHUP, SIGQUIT],
            Self::Program(_) => &[SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT],
        }
    }

    /// Passes a signal on. Returns how long the lab may run on after it, if the signal ends the lab.
    fn take(self, signal: Signal, is_from_the_terminal: bool, keeper: Pid) -> Option<Duration> {
        match (self, signal) {
            (Self::Program(pipe), _) => {
                let has_it = is_from_the_terminal && signal != Signal::SIGHUP;
                if !has_it {
                    let _ = nix::unistd::write(pipe, &[signal as u8]); // without an interpreter the lab is at its end
                }
                matches!(signal, Signal::SIGTERM | Signal::SIGHUP).then_some(GRACE)
            }
            (Self::Script | Self::Repl, Signal::SIGINT) => {
                if !is_from_the_terminal {
                    let _ = kill(keeper, Signal::SIGINT);
                }
                matches!(self, Self::Script).then_some(GRACE)
            }
            (Self::Script | Self::Repl, _) => Some(Duration::ZERO),
        }
    }
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
    // `nohup`, and a shell for its background programs, ignore signals on purpose.
    signals.extend(launch.foreground.signals().iter().copied().filter(|signal| !sys::is_ignored(*signal)));
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
            interactive: matches!(launch.foreground, Foreground::Repl),
            cleanup: launch.cleanup,
        };
        sys::exit_now(i32::from(keeper::run(&keeper, working_end, interpreter)));
    };
    drop((alive, go, working_end));

    let all_ids = if launch.private { idmap::write(keeper) } else { Ok(true) };
    let started = all_ids.map_err(explain).and_then(|all| start(go_end, all));
    let mut status = started.and_then(|()| wait_for(keeper, &signals, launch.foreground));
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
    match launch.foreground {
        // The modes are the program's, and perhaps those of a pager behind it.
        Foreground::Program(_) => terminal::take_from_the_dead(),
        Foreground::Script | Foreground::Repl => terminal.restore(),
    }
    status
}

/// Lets the keeper start. The byte says whether all ids are mapped.
fn start(go: OwnedFd, all_ids: bool) -> Result<()> {
    match fs::File::from(go).write_all(&[u8::from(all_ids)]) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()), // it is gone: `wait_for` reports how
        done => done.map_err(|e| Error::io("write to the lab's first process", &e)),
    }
}

/// Waits for the keeper's end, and does meanwhile what the signals say.
fn wait_for(keeper: Pid, signals: &SigSet, foreground: Foreground<'_>) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the lab", e);
    let events = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    // When the lab is killed if it has not ended by itself, and the signal that is the reason.
    let mut deadline: Option<(Instant, Signal)> = None;
    let mut killed_by: Option<Signal> = None;
    loop {
        if let Some(status) = ended(keeper)? {
            return Ok(killed_by.map_or(status, |signal| 128 + signal as u8));
        }
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some((end, signal)) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    killed_by = Some(signal);
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
            // Not found for SIGCHLD: the next turn of the loop reaps.
            let Some(signal) = foreground.signals().iter().find(|signal| **signal as u32 == event.ssi_signo) else {
                continue;
            };
            // The terminal signals the whole foreground process group; kill(2) only this process.
            let is_from_the_terminal = event.ssi_code > 0;
            if let Some(grace) = foreground.take(*signal, is_from_the_terminal, keeper) {
                let now = Instant::now();
                let end = if deadline.is_some() { now } else { now + grace }; // the second signal kills at once
                deadline = Some((end, *signal));
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
