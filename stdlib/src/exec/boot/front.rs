//! The front process: owns the terminal, makes the lab, waits for its end, returns its status.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::forbidden::{FORBIDDEN, forbidden};
use super::helper::{self, Side};
use super::idmap;
use super::keeper::{self, Keeper};
use super::pipe::{pipe, wait_for_end};
use super::terminal::{self, Saved};
use crate::error::{Error, Kind, Result};
use crate::exec::ids::Ids;
use crate::exec::sys;

/// How long a script may run on after Ctrl-C, and a program after SIGTERM or SIGHUP, before the lab is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What to start.
pub struct Launch<'a> {
    /// Whether to make a private lab; else the interpreter runs in the namespaces of the machine.
    pub private: bool,
    /// The ids of the lab. Without a choice: all for root, else a range if there is one, else pretended ones.
    pub ids: Option<Ids>,
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
    let (working, working_end) = pipe()?;
    let signals = block_signals(launch.foreground)?;
    let mut alive_end = Some(alive_end);
    let side = if launch.private { lab(launch.ids, &alive, &mut alive_end) } else { keeper_of_machine(&mut alive_end) };
    let mut children = match side? {
        Side::Front { helper, keeper } => Children { keeper, helper },
        Side::NoKeeper(status) => return Ok(status),
        Side::Keeper(lab) => {
            let interactive = matches!(launch.foreground, Foreground::Repl);
            let keeper = Keeper { alive, working, terminal, lab, interactive, cleanup: launch.cleanup };
            sys::exit_now(i32::from(keeper::run(keeper, working_end, interpreter)));
        }
    };
    drop((alive, working_end));

    let mut status = wait_for(&mut children, &signals, launch.foreground);
    children.end(status.is_err());
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

/// Blocks the signals that [`wait_for`] reads.
fn block_signals(foreground: Foreground<'_>) -> Result<SigSet> {
    let mut signals = SigSet::empty();
    // `nohup`, and a shell for its background programs, ignore signals on purpose.
    signals.extend(foreground.signals().iter().copied().filter(|signal| !sys::is_ignored(*signal)));
    sys::default_action(Signal::SIGCHLD); // while it is ignored, the kernel discards the statuses of children
    signals.add(Signal::SIGCHLD);
    signals.thread_block().map_err(|e| Error::sys("block signals", e))?;
    Ok(signals)
}

/// Starts helper and keeper of a lab with the chosen ids, else with the best that the user can have.
fn lab(choice: Option<Ids>, alive: &OwnedFd, alive_end: &mut Option<OwnedFd>) -> Result<Side> {
    let Some(choice) = choice else {
        let mut refused = None;
        for ids in idmap::candidates() {
            match helper::start(ids, alive, alive_end) {
                Err(error) if error.kind == Kind::Permission => refused = Some(error),
                done => return done,
            }
        }
        return Err(refused.unwrap_or_else(|| Error::plain(Kind::Bug, "there are no ids to choose from")));
    };
    helper::start(choice, alive, alive_end)
}

/// Starts a keeper in the namespaces of the machine.
fn keeper_of_machine(alive_end: &mut Option<OwnedFd>) -> Result<Side> {
    let keeper = sys::clone_process(CloneFlags::empty()).map_err(forbidden)?;
    Ok(match keeper {
        Some(keeper) => Side::Front { helper: None, keeper },
        None => {
            drop(alive_end.take());
            Side::Keeper(None)
        }
    })
}

/// Waits for the keeper's end, and does meanwhile what the signals say.
fn wait_for(children: &mut Children, signals: &SigSet, foreground: Foreground<'_>) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the lab", e);
    let events = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    // When the lab is killed if it has not ended by itself, and the signal that is the reason.
    let mut deadline: Option<(Instant, Signal)> = None;
    let mut killed_by: Option<Signal> = None;
    loop {
        if let Some(status) = children.ended()? {
            return Ok(killed_by.map_or(status, |signal| 128 + signal as u8));
        }
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some((end, signal)) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    killed_by = Some(signal);
                    deadline = None;
                    children.kill();
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
            if let Some(grace) = foreground.take(*signal, is_from_the_terminal, children.keeper) {
                let now = Instant::now();
                let end = if deadline.is_some() { now } else { now + grace }; // the second signal kills at once
                deadline = Some((end, *signal));
            }
        }
    }
}

/// The children of the front.
struct Children {
    keeper: Pid,
    /// Only a lab has one, and only a lab of root keeps it.
    helper: Option<Pid>,
}

impl Children {
    /// Reaps all that have ended. Returns the status of the keeper if it was among them.
    fn ended(&mut self) -> Result<Option<u8>> {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, u8::try_from(status).unwrap_or(u8::MAX)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + u8::try_from(signal as i32).unwrap_or(0)),
                Ok(WaitStatus::StillAlive) => return Ok(None),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => return Err(Error::sys("wait for the lab", error)),
            };
            if pid == self.keeper {
                return Ok(Some(status));
            }
            self.helper = self.helper.filter(|helper| *helper != pid); // its PID may be reused from now on
        }
    }

    /// Kills them. A stopped helper that has not reaped its child would keep the keeper from its end.
    fn kill(&self) {
        for pid in self.helper.into_iter().chain([self.keeper]) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// Ends the helper, and the keeper if it may still run. Reaps all children: one of the helper's may be in the lab's
    /// pid namespace, which ends after it.
    fn end(self, and_keeper: bool) {
        for pid in self.helper.into_iter().chain(and_keeper.then_some(self.keeper)) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        while matches!(waitpid(None, None), Ok(_) | Err(Errno::EINTR)) {}
    }
}
