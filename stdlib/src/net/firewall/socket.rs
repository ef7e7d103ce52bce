//! Reads the packet filter of a namespace through a netlink socket of its own.

use nix::errno::Errno;

use super::model::Firewall;
use super::read::read;
use super::wire::Message;
use crate::error::Result;
use crate::net::connection::{Connection, Query};
use crate::net::{DEADLINE, Net};

/// How often the rules are read if they change while they are read.
const TRIES: u32 = 10;

impl Net {
    /// Reads the tables, chains and rules of `nf_tables`.
    ///
    /// # Errors
    /// `Unsupported` if the kernel lacks `nf_tables`, or any other error of the kernel.
    pub fn firewall(&self) -> Result<Firewall> {
        let mut connection = self.open(|| Connection::open(netlink_sys::protocols::NETLINK_NETFILTER))?;
        let mut tries = 0;
        loop {
            let read = read(|message: Message| {
                self.wait(DEADLINE, async { Ok(connection.request(message, Query::Dump).await) })?
                    .map_err(|refusal| refusal.into_error("read the packet filter").within(self.label()))
            });
            tries += 1;
            match read {
                Err(error) if error.errno == Some(Errno::ENOENT) && tries < TRIES => {}
                Err(error) if error.errno == Some(Errno::EPROTONOSUPPORT) => {
                    return Err(error.hint("this kernel has no nf_tables (CONFIG_NF_TABLES)"));
                }
                done => return done,
            }
        }
    }
}
