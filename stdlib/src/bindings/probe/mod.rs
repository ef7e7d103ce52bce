//! Ping: one namespace asks an address, or every namespace asks every other.

use std::sync::Arc;
use std::time::Duration;

use rhai::INT;

use super::core::handles::Nodes;
use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::lab::{Lab, NetNs};
use crate::net::link::Which;
use crate::net::probe::{Node, Ping, PingAll, PingOptions, PingReply, ping_all};
use crate::notation::{Target, millis};

pub(super) const FAMILY: Family = Family {
    name: "ping",
    types: &[register_type::<Ping>, register_type::<PingReply>, register_list::<PingReply>, register_type::<PingAll>],
    bindings: BINDINGS,
};

value! { PingReply, "PingReply", "One reply, or one ICMP error, with the time it took.";
    /// Sequence number of the request, from 1.
    seq: INT = |reply| INT::from(reply.seq);
    /// The address that answered.
    from: String = |reply| reply.from.to_string();
    /// Bytes of the reply.
    bytes: INT = |reply| INT::try_from(reply.bytes).unwrap_or(0);
    /// Time to live of the reply; `()` if unknown.
    ttl: Option<INT> = |reply| reply.ttl.map(INT::from);
    /// Round-trip time, milliseconds, by the kernel's receive timestamp.
    time: f64 = |reply| millis(reply.rtt);
    /// The ICMP error; `()` for a reply.
    error: Option<String> = |reply| reply.error.clone();
}

impl Listed for PingReply {
    const LIST: &'static str = "PingReplies";
    const LIST_DOC: &'static str = "Replies in the order of their arrival.";
}

value! { Ping, "Ping", "The result of a ping. Prints as `ping(8)` does.",
    |report| format!("ping {}: {} of {} received", report.target, report.received, report.sent);
    /// Whether every request was answered.
    ok: bool = |report| report.ok();
    /// The address that was pinged.
    addr: String = |report| report.target.to_string();
    /// Requests that were sent.
    sent: INT = |report| INT::from(report.sent);
    /// Requests that were answered.
    received: INT = |report| INT::from(report.received);
    /// Share of requests without a reply, 0.0 to 1.0.
    loss: f64 = |report| report.loss();
    /// Mean round-trip time, milliseconds; `()` without a reply.
    rtt: Option<f64> = |report| report.rtt_summary().map(|[_, mean, _, _]| mean);
    /// Smallest round-trip time, milliseconds; `()` without a reply.
    rtt_min: Option<f64> = |report| report.rtt_summary().map(|[min, ..]| min);
    /// Largest round-trip time, milliseconds; `()` without a reply.
    rtt_max: Option<f64> = |report| report.rtt_summary().map(|[_, _, max, _]| max);
    /// Why there was no reply: "Network is unreachable", "Destination Host Unreachable", "no reply within 4s"; `()` if there was one.
    error: Option<String> = |report| report.error.clone();
    /// The error number behind `error`; `()` if there is none.
    errno: Option<INT> = |report| report.errno.map(|errno| INT::from(errno as i32));
    /// Replies and ICMP errors.
    replies: List<PingReply> = |report| report.replies.clone().into();
}

impl FromOptions for PingOptions {
    const KEYS: &'static [Key] = &[
        Key::new("count", "requests to send, 1 to 65535; default 1"),
        Key::new("interval", "time between two requests; default \"200ms\""),
        Key::new("size", "bytes of data in each, 0 to 65507; default 56"),
        Key::new("timeout", "how long to wait for the last reply; default \"4s\", time for ARP to give up"),
        Key::new("ttl", "routers a request may cross, plus one, 1 to 255; default 64"),
    ];
    fn from(options: &mut Options) -> Result<Self> {
        let usual = Self::default();
        let small = |n: INT| u16::try_from(n).unwrap_or(u16::MAX);
        Ok(Self {
            count: options.number("count", 1..=65_535)?.map_or(usual.count, small),
            interval: options.duration("interval")?.unwrap_or(usual.interval),
            size: options.number("size", 0..=65_507)?.map_or(usual.size, small),
            timeout: options.duration("timeout")?.unwrap_or(usual.timeout),
            ttl: options.number("ttl", 1..=255)?.and_then(|n| u8::try_from(n).ok()),
        })
    }
    fn fill(&self, values: &mut Values<'_>) {
        values.set("count", self.count);
        values.set_some("interval", (self.count > 1).then_some(self.interval.as_secs_f64()));
        values.set_some("size", Some(self.size).filter(|size| *size != Self::default().size));
        values.set("timeout", self.timeout.as_secs_f64());
        values.set_some("ttl", self.ttl);
    }
}

value! { PingAll, "PingAll", "Which nodes reached which. Prints as Mininet's `pingall` does.",
    |all| format!("pingall: {} of {} received", all.received(), all.sent());
    /// Whether every node reached every other.
    ok: bool = |all| all.ok();
    /// Requests that were sent.
    sent: INT = |all| INT::try_from(all.sent()).unwrap_or(0);
    /// Requests that were answered.
    received: INT = |all| INT::try_from(all.received()).unwrap_or(0);
    /// Pairs without a reply, as `a -> b: why`.
    lost: rhai::Array = |all| all.lost().map(rhai::Dynamic::from).collect();
}

/// The first address of a namespace that others could reach.
fn address_of(ns: &NetNs) -> Result<std::net::IpAddr> {
    let addrs = ns.net()?.addrs(None)?;
    let mut usable = addrs.iter().filter(|addr| addr.scope == "global").map(|addr| addr.net.addr());
    usable.next().ok_or_else(|| {
        Error::usage(format!("{} has no address to ping", ns.label())).hint("give it one: `up(link, \"10.0.0.1/24\")`")
    })
}

/// How long to wait for late replies.
pub(crate) struct PingAllOptions(Duration);

impl FromOptions for PingAllOptions {
    const KEYS: &'static [Key] = &[Key::new("timeout", "how long to wait for the last reply; default \"4s\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("timeout")?.unwrap_or(Duration::from_secs(4))))
    }
}

bindings! {
    /// Sends ICMP echo requests to `addr` and reports what came back.
    ///
    /// Like `ping -c COUNT [-i INTERVAL] [-s SIZE] -W TIMEOUT [-t TTL] ADDR`. No answer is a result (`ok` is false,
    /// `error` says why), not an error.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let r = ping(ns1, "127.0.0.1");
    /// check r.error == "Network is unreachable";     // lo is DOWN
    /// up(ns1, "lo");
    /// check ping(ns1, "127.0.0.1", #{count: 3, interval: "10ms"}).received == 3;
    /// ```
    fn ping(lab: Arc<Lab>, ns: Here, addr: Target, opts: Opts<PingOptions>) -> Ping {
        let scope = match &addr.zone {
            Some(zone) => ns.net().net()?.link(Which::Name(zone))?.index,
            None => 0,
        };
        lab.ping(ns.net(), addr.addr, scope, &opts.0)
    }

    /// Pings every namespace from every other, once, and reports which nodes reached which.
    ///
    /// Each is pinged at its first global address. All requests leave before the first late reply is waited for.
    ///
    /// No equivalent command: it takes one `ping -c 1` for each pair.
    ///
    /// ```rhai
    /// let a = netns("a");
    /// let b = netns("b");
    /// let cable = veth(a, "eth0", b, "eth0");
    /// up(cable.a, "10.0.0.1/24");
    /// up(cable.b, "10.0.0.2/24");
    /// check pingall([a, b]).ok;
    /// ```
    fn pingall(nodes: Nodes, opts: Opts<PingAllOptions>) -> PingAll {
        let nets = nodes.0.iter().map(NetNs::net).collect::<Result<Vec<_>>>()?;
        let addrs = nodes.0.iter().map(address_of).collect::<Result<Vec<_>>>()?;
        let all = nodes.0.iter().zip(&nets).zip(addrs);
        let all: Vec<_> = all.map(|((ns, net), addr)| Node { name: ns.short(), net, addr }).collect();
        ping_all(&all, opts.0.0)
    }
}
