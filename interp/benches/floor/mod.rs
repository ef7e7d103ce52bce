//! The floor of the benchmark: the same labs as the scripts build, as raw netlink messages and raw ICMP.
//!
//! There is no interpreter here, no netlink crate and no runtime, only what the kernel has to be told. What every workload
//! shares:
//!
//! - a namespace is made by a thread of its own, which unshares, opens everything that has to be opened inside (the
//!   namespace itself, one netlink socket, one raw ICMP socket) and ends; nobody enters the namespace again;
//! - a cable is one message: both ends are placed, named and numbered where they are going to stay;
//! - an echo is asked for only after the link *is* up: see [`netlink::Netlink::wait_running`];
//! - every request is acknowledged and every acknowledgement is looked at;
//! - a namespace is deleted by closing everything that holds it; its links go with it.
//!
//! A workload starts from the network namespace of the calling thread. Run it in a lab (which has also grown the table of
//! descriptors while there was one thread: later that waits for an RCU grace period each time). Leave 0.6 s or more between two runs, because the kernel is still removing what the first one
//! closed.

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

/// What one run of a workload took, and what came back.
///
/// `received` is part of the result: a mesh that loses echoes may be fast, but it is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From nothing to a lab that can be used.
    pub(crate) build: Duration,
    /// All echoes, each one awaited before the next.
    pub(crate) probe: Duration,
    /// Until the last call that deletes something has returned.
    pub(crate) delete: Duration,
    /// Echoes asked for.
    pub(crate) sent: u32,
    /// Echoes that came back in time.
    pub(crate) received: u32,
}

/// Measures one stretch after the other.
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
