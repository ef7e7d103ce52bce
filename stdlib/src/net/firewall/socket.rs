//! Reads the packet filter of a namespace through a netlink socket of its own.

use std::fs;

use nix::errno::Errno;

use super::model::Firewall;
use super::read::read;
use super::wire::Message;
use crate::error::Result;
use crate::net::connection::{Connection, Query};
use crate::net::{DEADLINE, Net};

/// How often the rules are read if they change while they are read.
const TRIES: u32 = 10;

/// The tables that `iptables-legacy` has made, by family. The files are missing without its modules.
const LEGACY: [(&str, &str); 3] = [("ip", "ip_tables_names"), ("ip6", "ip6_tables_names"), ("arp", "arp_tables_names")];

/// The tables of `iptables-legacy` where the calling thread is, as `family name`. What they hold is not read.
fn legacy_tables() -> Vec<String> {
    let names = |(family, file): &(&str, &str)| {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        names.lines().map(|name| format!("{family} {name}")).collect::<Vec<_>>()
    };
    LEGACY.iter().flat_map(names).collect()
}

impl Net {
    /// Reads the tables, chains and rules of `nf_tables`.
    ///
    /// # Errors
    /// `Unsupported` if the kernel lacks `nf_tables`, or any other error of the kernel.
    pub fn firewall(&self) -> Result<Firewall> {
        let (mut connection, legacy) =
            self.open(|| Ok((Connection::open(netlink_sys::protocols::NETLINK_NETFILTER)?, legacy_tables())))?;
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
                done => return done.map(|firewall| Firewall { legacy, ..firewall }),
            }
        }
    }
}
