//! The promises "private" and "the kernel cleans up", and `--host`: measured with oracles that each have a control.
//!
//! A trial that changes anything outside a lab runs in a *pretend host*: namespaces that `#[trial(pretend_host)]` makes.

mod covers;
mod cycles;
mod deaths;
mod host_gc;
mod host_links;
mod host_mode;
mod host_sessions;
mod injected;
mod kills;
mod lab;
mod oracle;
mod quiet;
mod refused;
mod samples;
mod session;
mod snapshot;
