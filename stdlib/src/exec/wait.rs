//! Waiting: a future registers the descriptors and the moment that it waits for, and one ppoll(2) of the thread that
//! polls the future waits for all of them. A wait that fails is an error of the future, never a panic.

use std::cell::RefCell;
use std::future::poll_fn;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::sys;
use crate::error::{Error, Result};

/// What is awaited on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to read, or the end.
    Input,
    /// Room to write, or the end of the reader.
    Output,
}

impl For {
    fn events(self) -> libc::c_short {
        match self {
            Self::Input => libc::POLLIN,
            Self::Output => libc::POLLOUT,
        }
    }
}

/// What a future waits for, and what the last wait found.
#[derive(Default)]
pub(super) struct Round {
    descriptors: Vec<libc::pollfd>,
    until: Option<Instant>,
    failed: Option<Errno>,
}

thread_local! {
    /// The round of the future that this thread polls.
    static ROUND: RefCell<Round> = RefCell::default();
}

impl Round {
    /// Polls `work` once. The round has what it waits for afterwards.
    pub(super) fn poll<T>(&mut self, work: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        ROUND.with_borrow_mut(|current| std::mem::swap(current, self));
        let done = work.poll(&mut Context::from_waker(Waker::noop()));
        ROUND.with_borrow_mut(|current| std::mem::swap(current, self));
        done
    }

    /// Waits for what the future waits for, for `wake`, and for the moment `end`. Returns whether `wake` is readable.
    pub(super) fn wait(&mut self, wake: BorrowedFd<'_>, end: Option<Instant>) -> bool {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        self.descriptors.push(entry(wake, For::Input));
        let waited = sys::poll(&mut self.descriptors, self.until.into_iter().chain(end).min().map(left));
        let woken = self.descriptors.pop().is_some_and(|wake| wake.revents != 0);
        match waited {
            Ok(()) => woken,
            Err(errno) => {
                // The kernel reports nothing about the descriptors.
                self.descriptors.iter_mut().for_each(|descriptor| descriptor.revents = 0);
                self.failed = Some(errno).filter(|errno| *errno != Errno::EINTR);
                false
            }
        }
    }

    /// Whether the last wait found one of `descriptors` ready.
    fn has(&self, descriptors: &[(BorrowedFd<'_>, For)]) -> bool {
        let is_ready = |(fd, what): &(BorrowedFd<'_>, For)| {
            let of = |found: &&libc::pollfd| found.fd == fd.as_raw_fd() && found.events == what.events();
            self.descriptors.iter().filter(of).any(|found| found.revents != 0)
        };
        descriptors.iter().any(is_ready)
    }
}

fn entry(fd: BorrowedFd<'_>, what: For) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: what.events(), revents: 0 }
}

/// Waits until one of the descriptors is ready or the moment `until`, if there is one, has passed. Returns whether a
/// descriptor is ready.
///
/// A future waits for one call of this function at a time: a second one takes the place of the first.
pub(crate) async fn ready(descriptors: &[(BorrowedFd<'_>, For)], until: Option<Instant>, op: &str) -> Result<bool> {
    let mut is_registered = false;
    poll_fn(|_| {
        ROUND.with_borrow_mut(|round| {
            if is_registered {
                if let Some(errno) = round.failed.take() {
                    return Poll::Ready(Err(Error::sys(op, errno)));
                }
                if round.has(descriptors) {
                    return Poll::Ready(Ok(true));
                }
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Poll::Ready(Ok(false));
                }
            }
            round.descriptors.clear();
            round.descriptors.extend(descriptors.iter().map(|(fd, what)| entry(*fd, *what)));
            round.until = until;
            is_registered = true;
            Poll::Pending
        })
    })
    .await
}

/// Waits until `fd` has something to read.
pub(crate) async fn readable(fd: BorrowedFd<'_>, op: &str) -> Result<()> {
    ready(&[(fd, For::Input)], None, op).await.map(drop)
}

/// Waits for `duration`.
pub(crate) async fn sleep(duration: Duration) -> Result<()> {
    ready(&[], Instant::now().checked_add(duration), "wait").await.map(drop)
}

/// Whether `fd` has something to read at this moment.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut descriptors = [entry(fd, For::Input)];
    sys::poll(&mut descriptors, Some(Duration::ZERO)).is_ok() && descriptors[0].revents != 0
}
