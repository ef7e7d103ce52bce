//! The namespace-aware executor: descriptors and processes in any namespace. It knows no netlink message.
//!
//! * A socket stays in the namespace it was opened in, so a short-lived thread ([`hop`]) enters, opens, and ends.
//!   Nobody ever switches back, and no pooled thread can be in the wrong place.
//! * What was opened is then driven from outside by one current-thread tokio runtime, with a deadline, and
//!   Ctrl-C ends the wait.
//! * Processes enter in the thread that starts them, or in the child ([`spawn`]).

use std::future::Future;
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::error::{Error, Kind, Result};

pub mod boot;
pub mod handle;
pub(crate) mod hop;
pub(crate) mod init;
pub(crate) mod mounts;
pub(crate) mod spawn;
pub(crate) mod sys;

pub use init::main_of_init;

/// Waits for sockets and processes; every wait has a deadline and can be interrupted.
pub struct Executor {
    runtime: Runtime,
    interrupted: AtomicBool,
    wake: watch::Sender<()>,
}

impl Executor {
    /// Makes the one runtime.
    ///
    /// # Errors
    /// When the kernel has no descriptors left.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| Error::io("make the runtime", &e))?;
        Ok(Self { runtime, interrupted: AtomicBool::new(false), wake: watch::Sender::new(()) })
    }

    /// Ends every wait that is under way and every one that follows, until [`Executor::resume`].
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.wake.send_replace(());
    }

    /// Forgets an interrupt: the REPL calls it before each line.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Whether Ctrl-C was pressed.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// A place to stop for those who work long without waiting.
    ///
    /// # Errors
    /// `Interrupted`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_interrupted() { Err(interrupted()) } else { Ok(()) }
    }

    /// Runs `work` until it is done, the deadline is over, or Ctrl-C.
    ///
    /// # Errors
    /// `work`'s own, `Timeout` or `Interrupted`.
    pub(crate) fn block_on<T>(&self, deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        let mut work = pin!(work);
        let _inside = self.runtime.enter();
        // The kernel has mostly answered when we ask: then there is no need for timers and the event loop.
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        let mut wake = self.wake.subscribe();
        self.check()?; // once more, now that an interrupt would wake us
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = work => done,
                _ = wake.changed() => Err(interrupted()),
                () = tokio::time::sleep(deadline) => {
                    Err(Error::plain(Kind::Timeout, format!("no answer within {deadline:?}")))
                }
            }
        })
    }

    /// Waits for `duration`, unless Ctrl-C comes first.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn sleep(&self, duration: Duration) -> Result<()> {
        let forever = duration + Duration::from_secs(1);
        self.block_on(forever, async {
            tokio::time::sleep(duration).await;
            Ok(())
        })
    }

    /// Calls `done` until it returns true, with pauses that double from `first` to `longest`. Returns whether it did
    /// within `limit`.
    ///
    /// For what the kernel has no event for.
    ///
    /// # Errors
    /// `done`'s own, or `Interrupted`.
    pub(crate) fn poll_until(
        &self,
        limit: Duration,
        first: Duration,
        longest: Duration,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<bool> {
        let end = Instant::now() + limit;
        let mut pause = first;
        while !done()? {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.sleep(pause)?;
            pause = (pause * 2).min(longest);
        }
        Ok(true)
    }
}

fn interrupted() -> Error {
    Error::plain(Kind::Interrupted, "interrupted")
}

/// Waits until `fd` can be read.
pub(crate) async fn readable(fd: BorrowedFd<'_>, op: &str) -> Result<()> {
    sys::readable(fd).await.map_err(|e| Error::io(op, &e))
}

/// Sends a signal to a held process.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: nix::sys::signal::Signal) -> nix::Result<()> {
    sys::pidfd_send_signal(process, signal)
}

/// Runs `program`, which has the terminal meanwhile, and takes the terminal back as it was.
pub(crate) fn lending_the_terminal<T>(program: impl FnOnce() -> T) -> T {
    let saved = boot::terminal::Saved::now();
    let done = program();
    saved.restore();
    done
}
