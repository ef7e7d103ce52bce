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

impl Net {
    /// The names of the tables of `iptables-legacy`, as `family name`. What they hold is not read.
    fn legacy_tables(&self) -> Result<Vec<String>> {
        self.open(|| {
            let names = |(family, file): &(&str, &str)| {
                let names = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
                names.lines().map(|name| format!("{family} {name}")).collect::<Vec<_>>()
            };
            Ok(LEGACY.iter().flat_map(names).collect())
        })
    }

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
                done => {
                    let mut firewall = done?;
                    firewall.legacy = self.legacy_tables()?;
                    return Ok(firewall);
                }
            }
        }
    }
}
