//! Ping that does not suffer from what was asked before.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::{Lab, NetNs};
use crate::error::Result;
use crate::net::probe::{Ping, PingOptions};

/// The kernel resolves a neighbour by three requests, a second apart, before it gives up
/// (`mcast_solicit` and `retrans_time_ms` in `net/core/neighbour.c`).
const RESOLUTION: Duration = Duration::from_millis(2_900);

impl Lab {
    /// Pings `target` from `ns`.
    ///
    /// A neighbour that an earlier packet asked for in vain can end a new ping at once, before it had its own three
    /// requests. Then the entry is deleted and the ping repeated. On the machine itself it is not: its entries are not
    /// nslab's to delete.
    ///
    /// # Errors
    /// As [`crate::net::Net::ping`].
    pub fn ping(self: &Arc<Self>, ns: &NetNs, target: IpAddr, scope: u32, options: &PingOptions) -> Result<Ping> {
        let net = ns.net()?;
        let report = net.ping(target, scope, options)?;
        let is_early = report.errno == Some(Errno::EHOSTUNREACH) && report.elapsed < RESOLUTION;
        if is_early
            && let Ok(permit) = self.guard().in_own(ns)
            && net.forget_unresolved(&permit, None)? > 0
        {
            return net.ping(target, scope, options);
        }
        Ok(report)
    }
}
