//! The floor of the benchmark: the same labs as the scripts build, as raw netlink messages and raw ICMP.
//!
//! There is no interpreter here, no netlink crate and no runtime, only the messages that the kernel requires. All
//! workloads have in common:
//!
//! - a namespace is made by a thread of its own, which unshares, opens the namespace, one netlink socket and one raw ICMP
//!   socket in it, and ends; no thread enters the namespace again;
//! - a cable is one message: both ends get their namespace, name and index at once;
//! - an echo is sent only after the link is up: see [`netlink::Netlink::wait_running`];
//! - every request is acknowledged and every acknowledgement is read;
//! - a namespace is deleted by closing everything that holds it; its links go with it.
//!
//! A workload starts from the network namespace of the calling thread. Run it in a lab, which has grown the table of
//! descriptors while there was one thread: later each growth waits for an RCU grace period. Leave 0.6 s or more between
//! two runs: the kernel still removes what the first one closed.

mod chain;
mod icmp;
mod matrix;
mod message;
mod netlink;
mod node;
mod programs;
mod requests;
mod star;
mod switch;
mod two_nodes;

use std::{
    io,
    time::{Duration, Instant},
};

pub(crate) use self::{chain::chain, matrix::matrix, programs::programs, star::star, two_nodes::two_nodes};

/// The times of one run of a workload, and its echoes: a run that loses echoes is wrong, however fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From nothing to a usable lab.
    pub(crate) build: Duration,
    /// All echoes, each awaited before the next.
    pub(crate) probe: Duration,
    /// Until the last call that deletes something has returned.
    pub(crate) delete: Duration,
    /// Echo requests sent.
    pub(crate) sent: u32,
    /// Echo replies received in time.
    pub(crate) received: u32,
}

/// Measures consecutive spans of time.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the last call (or the start).
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}

/// The error of a size that a workload cannot build.
fn size_error(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
