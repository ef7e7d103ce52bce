//! The front process: owns the terminal, makes the lab, waits for its end, returns its status.

use std::os::fd::{AsFd, OwnedFd};
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
use super::terminal::Saved;
use crate::error::{Error, Kind, Result};
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
    let (working, working_end) = pipe()?;
    let signals = block_signals()?;
    let mut alive_end = Some(alive_end);
    let side = if launch.private { lab(launch.ids, &alive, &mut alive_end) } else { keeper_of_machine(&mut alive_end) };
    let mut children = match side? {
        Side::Front { helper, keeper } => Children { keeper, helper },
        Side::NoKeeper(status) => return Ok(status),
        Side::Keeper(lab) => {
            let keeper =
                Keeper { alive, working, terminal, lab, interactive: launch.interactive, cleanup: launch.cleanup };
            sys::exit_now(i32::from(keeper::run(keeper, working_end, interpreter)));
        }
    };
    drop((alive, working_end));

    let mut status = wait_for(&mut children, &signals, launch.interactive);
    children.end(status.is_err());
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

/// Blocks the signals that [`wait_for`] reads.
fn block_signals() -> Result<SigSet> {
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

/// Waits for the keeper's end; passes Ctrl-C on, and kills the lab on the other signals.
fn wait_for(children: &mut Children, signals: &SigSet, interactive: bool) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the lab", e);
    let events = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    let mut deadline: Option<Instant> = None;
    let mut killed_by: Option<u8> = None;
    loop {
        if let Some(status) = children.ended()? {
            return Ok(killed_by.unwrap_or(status));
        }
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    killed_by = Some(130);
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
            match Signal::try_from(i32::try_from(event.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGINT) => {
                    // The terminal signals the whole foreground process group; kill(2) only this process.
                    if event.ssi_code <= 0 {
                        let _ = kill(children.keeper, Signal::SIGINT);
                    }
                    if !interactive {
                        let now = Instant::now();
                        deadline = Some(deadline.map_or(now + GRACE, |_| now)); // the second Ctrl-C kills at once
                    }
                }
                Ok(signal) if signal != Signal::SIGCHLD => {
                    killed_by = Some(128 + u8::try_from(signal as i32).unwrap_or(0));
                    children.kill();
                }
                _ => {} // SIGCHLD: the next turn of the loop reaps
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
