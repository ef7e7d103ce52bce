//! Probes of a network: ICMP echo requests, one address at a time or all nodes at once.

mod icmp;
mod matrix;
mod ping;

pub(crate) use icmp::{Echo, Sockets};
pub use matrix::{Pair, PingAll};
pub(crate) use matrix::{TABLE_FULL, ask};
pub use ping::{Ping, PingOptions, PingReply};
