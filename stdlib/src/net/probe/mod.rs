//! Probes of a network: ICMP echo requests, one address at a time or all nodes at once.

mod icmp;
mod matrix;
mod ping;

pub(crate) use icmp::{Echo, Sockets};
pub use matrix::{Node, Pair, PingAll, ping_all};
pub use ping::{Ping, PingOptions, PingReply};
