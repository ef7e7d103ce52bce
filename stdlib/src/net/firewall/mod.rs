//! The packet filter (`nf_tables`) of a network namespace: the model, how it is read, how it prints.

mod legacy;
mod model;
mod read;
mod show;
mod socket;
mod wire;

pub use legacy::{LEGACY_UNTOUCHED, legacy_entries};
pub use model::{Chain, Firewall, Hook, Rule, Table};
pub use read::read;
pub use wire::Message;
