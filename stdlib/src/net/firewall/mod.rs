//! The packet filter (`nf_tables`) of a network namespace: the model, how it is read, how it prints.

mod model;
mod read;
mod show;
mod socket;
mod wire;

pub use model::{Chain, Counter, Firewall, Hook, Rule, Set, Table};
pub use read::read;
pub use wire::Message;
