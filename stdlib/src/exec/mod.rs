//! The namespace-aware executor: descriptors and processes in any namespace. It knows no netlink message.
//!
//! * A socket stays in the namespace in which it was opened. A short-lived thread ([`hop`]) enters the namespace, opens
//!   the socket, and ends: no thread switches back, and no pooled thread can be in the wrong namespace.
//! * The thread of a script drives all open sockets from outside ([`wait`]). Every wait has a deadline, and Ctrl-C ends
//!   it.
//! * A program enters its namespaces in the child, between clone(2) and execve(2) ([`spawn`], `vfork`).
//! * [`boot`] makes the lab itself.

use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Kind, Result};

pub mod boot;
mod covers;
pub mod directory;
pub mod handle;
pub(crate) mod hop;
pub mod ids;
pub(crate) mod init;
pub mod memory;
pub(crate) mod mounts;
mod netns;
mod pretend;
pub mod private;
pub(crate) mod spawn;
pub(crate) mod started;
pub(crate) mod sys;
mod vfork;
pub(crate) mod view;
pub(crate) mod wait;

pub(crate) use covers::are_from_helper;
pub use hop::thread_error;
pub use init::main_of_init;
pub(crate) use wait::readable;

/// Waits for sockets and processes; every wait has a deadline and can be interrupted.
pub struct Executor {
    interrupted: AtomicBool,
    /// Readable after an interrupt: it wakes each thread that waits.
    wake: EventFd,
}

impl Executor {
    /// Makes one.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let wake = wake.map_err(|e| Error::sys("make a descriptor for interrupts", e))?;
        Ok(Self { interrupted: AtomicBool::new(false), wake })
    }

    /// Ends the current wait and every later one, until [`Executor::resume`].
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        let _ = self.wake.write(1); // it fails only when the counter is full: then it is readable
    }

    /// Clears an interrupt. The REPL calls it before each line.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
        let _ = self.wake.read(); // it fails when there was no interrupt
    }

    /// Whether Ctrl-C was pressed.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Returns an error after an interrupt: for long work that does not wait.
    ///
    /// # Errors
    /// `Interrupted`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_interrupted() { Err(interrupted()) } else { Ok(()) }
    }

    /// Runs `work` until it is done, the deadline passes, or Ctrl-C.
    ///
    /// # Errors
    /// What `work` returns, `Timeout` or `Interrupted`.
    pub(crate) fn block_on<T>(&self, deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        let end = Instant::now().checked_add(deadline);
        let mut work = pin!(work);
        let mut round = wait::Round::default();
        loop {
            // The kernel has usually answered already: then nothing is waited for.
            if let Poll::Ready(done) = round.poll(work.as_mut()) {
                return done;
            }
            self.check()?;
            if end.is_some_and(|end| end <= Instant::now()) {
                return Err(Error::plain(Kind::Timeout, format!("no answer within {deadline:?}")));
            }
            if round.wait(self.wake.as_fd(), end) && !self.is_interrupted() {
                let _ = self.wake.read(); // left over from an interrupt that `resume` cleared meanwhile
            }
        }
    }

    /// Waits for `duration`, or until Ctrl-C.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn sleep(&self, duration: Duration) -> Result<()> {
        let forever = duration.saturating_add(Duration::from_secs(1));
        self.block_on(forever, wait::sleep(duration))
    }

    /// Calls `ask` until it returns a value: at once, then after pauses that double from `first` to `longest`. Returns
    /// `None` when `limit` passes first.
    ///
    /// For conditions that have no event to wait for. The last call starts after the limit, so a condition that holds
    /// by then is seen.
    ///
    /// # Errors
    /// What `ask` returns, or `Interrupted`.
    pub fn poll_until<T>(
        &self,
        limit: Duration,
        first: Duration,
        longest: Duration,
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let end = Instant::now() + limit;
        let mut pauses = pauses(first, longest);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match (ask()?, pauses.next()) {
                (None, Some(pause)) if !left.is_zero() => self.sleep(pause.min(left))?,
                (value, _) => return Ok(value),
            }
        }
    }
}

/// Pauses that double from `first` to `longest`, for ever.
fn pauses(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> {
    iter::successors(Some(first.min(longest)), move |pause| Some((*pause * 2).min(longest)))
}

fn interrupted() -> Error {
    Error::plain(Kind::Interrupted, "interrupted")
}

/// Sends a signal to the process behind a pidfd.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: nix::sys::signal::Signal) -> nix::Result<()> {
    sys::pidfd_send_signal(process, signal)
}

/// Runs `program`, which owns the terminal meanwhile, then restores the terminal.
pub(crate) fn lending_the_terminal<T>(program: impl FnOnce() -> T) -> T {
    let saved = boot::terminal::Saved::now();
    let done = program();
    saved.restore();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(1);
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_pause_doubles_up_to_the_longest() {
        let pauses = |first, longest| {
            let pauses = pauses(Duration::from_millis(first), Duration::from_millis(longest));
            pauses.take(5).map(|pause| pause.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1, 5), [1, 2, 4, 5, 5]);
        assert_eq!(pauses(9, 5), [5, 5, 5, 5, 5]);
    }

    #[test]
    fn polling_asks_until_there_is_a_value() {
        let exec = Executor::new().expect("a runtime");
        let mut asked = 0;
        let value = exec.poll_until(LONG, SHORT, SHORT, || {
            asked += 1;
            Ok((asked == 3).then_some("value"))
        });
        assert_eq!((value, asked), (Ok(Some("value")), 3));
    }

    #[test]
    fn polling_without_time_asks_once() {
        let exec = Executor::new().expect("a runtime");
        let mut asked = 0;
        let value: Result<Option<()>> = exec.poll_until(Duration::ZERO, LONG, LONG, || {
            asked += 1;
            Ok(None)
        });
        assert_eq!((value, asked), (Ok(None), 1));
    }

    #[test]
    fn the_last_call_starts_after_the_limit() {
        let exec = Executor::new().expect("a runtime");
        let limit = Duration::from_millis(1);
        let start = Instant::now();
        let mut last = start;
        // The pause is longer than the limit: it is cut.
        let value: Result<Option<()>> = exec.poll_until(limit, LONG, LONG, || {
            last = Instant::now();
            Ok(None)
        });
        assert_eq!(value, Ok(None));
        assert!(last >= start + limit);
    }

    #[test]
    fn polling_ends_with_an_error_or_an_interrupt() {
        let exec = Executor::new().expect("a runtime");
        let failed: Result<Option<()>> = exec.poll_until(LONG, SHORT, SHORT, || Err(Error::usage("no")));
        assert_eq!(failed, Err(Error::usage("no")));
        let stopped: Result<Option<()>> = exec.poll_until(LONG, LONG, LONG, || {
            exec.interrupt();
            Ok(None)
        });
        assert_eq!(stopped, Err(interrupted()));
    }
}
