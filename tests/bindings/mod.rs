//! One module a family: what the kernel did, read back by another path.

mod addr;
mod bridge;
mod errors;
mod file;
mod firewall;
mod ifb;
mod link;
mod macvlan;
mod namespace;
mod netns;
mod ping;
mod pingall;
mod process;
mod programs;
mod ready;
mod results;
mod route;
mod script;
mod sysctl;
mod tmpfiles;
mod veth;
mod view;
mod walkthrough;
