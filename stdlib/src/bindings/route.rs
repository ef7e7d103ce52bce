//! Routes: the main table, and changes to it.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rhai::INT;

use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::{Changes, Key, Names};
use crate::error::{Error, Result};
use crate::lab::NetNs;
use crate::lab::host::Guard;
use crate::name::{IfName, printable};
use crate::net::link::Which;
use crate::net::route::{NewRoute, NextHop, RouteInfo};
use crate::notation::{self, Target};

pub(super) const FAMILY: Family = Family {
    name: "routes",
    types: &[register_type::<Route>, register_list::<Route>, register_type::<Hop>, register_list::<Hop>],
    bindings: BINDINGS,
};

/// A route, with the names of the links of its next hops.
#[derive(Clone)]
pub(crate) struct Route {
    info: RouteInfo,
    devs: Vec<Option<String>>,
}

value! { Route, "Route", "One line of the routing table.";
    /// The destination with its prefix length; `0.0.0.0/0` or `::/0` for the default route.
    dst: String = |route| route.info.dst.to_string();
    /// The router of the first next hop; `()` if the network is on the link itself.
    gateway: Option<String> = |route| route.info.gateway().map(|gateway| gateway.to_string());
    /// The link of the first next hop; `()` for a route that drops packets.
    dev: Option<String> = |route| route.devs.first().cloned().flatten();
    /// All next hops of a multipath route.
    next_hops: List<Hop> = |route| {
        let hops = route.info.next_hops.iter().zip(&route.devs);
        hops.map(|(hop, dev)| Hop { hop: *hop, dev: dev.clone() }).collect::<Vec<_>>().into()
    };
    /// The id of the nexthop object that it uses (`ip nexthop`); `()` if none.
    nhid: Option<INT> = |route| route.info.nhid.map(INT::from);
    /// Preference; smaller wins.
    metric: INT = |route| INT::from(route.info.metric);
    /// The source address it prefers; `()` if none.
    src: Option<String> = |route| route.info.src.map(|src| src.to_string());
    /// What added it: `kernel`, `boot`, `static` …
    protocol: String = |route| route.info.protocol.clone();
    /// `unicast`, or what happens to its packets: `blackhole`, `unreachable`, `prohibit`, `throw`.
    kind: String = |route| route.info.kind.clone();
}

/// A next hop, with the name of its link.
#[derive(Clone)]
pub(crate) struct Hop {
    hop: NextHop,
    dev: Option<String>,
}

value! { Hop, "NextHop", "One next hop of a route.";
    /// The router; `()` if the destination is on the link itself.
    gateway: Option<String> = |hop| hop.hop.gateway.map(|gateway| gateway.to_string());
    /// The name of the link.
    dev: Option<String> = |hop| hop.dev.clone();
    /// Its share of the traffic, relative to the other next hops.
    weight: INT = |hop| INT::from(hop.hop.weight);
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nexthop")?;
        match self.hop.gateway {
            Some(gateway @ IpAddr::V4(_)) => write!(f, " via {gateway}")?,
            Some(gateway) => write!(f, " via inet6 {gateway}")?,
            None => {}
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        write!(f, " weight {}", self.hop.weight)
    }
}

impl Listed for Hop {
    const LIST: &'static str = "NextHops";
    const LIST_DOC: &'static str = "The next hops of a route.";
    const COLUMNS: &'static [&'static str] = &["gateway", "dev", "weight"];
}

impl Route {
    /// Whether the kernel answers its packets with an error.
    fn rejects(&self) -> bool {
        matches!(self.info.kind.as_str(), "unreachable" | "prohibit")
    }

    /// The flags of `route -n`: up, gateway, host, reject.
    fn flags(&self) -> String {
        let mut flags = String::from(if self.rejects() { "!" } else { "U" });
        if self.info.gateway().is_some() {
            flags.push('G');
        }
        if self.info.dst.prefix_len() == self.info.dst.max_prefix_len() {
            flags.push('H');
        }
        flags
    }

    /// A line of `route -n`: with the first next hop, since /proc/net/route has no other.
    fn line(&self, net: Ipv4Net, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flags, metric) = (self.flags(), self.info.metric);
        let (dst, mask) = (net.network().to_string(), net.netmask().to_string());
        if self.rejects() {
            return write!(f, "{dst:<15} {:<15} {mask:<15} {flags:<5} {metric:<6} -        0 -", "-");
        }
        let gateway = match self.info.gateway() {
            Some(IpAddr::V4(gateway)) => gateway.to_string(),
            _ => "0.0.0.0".into(),
        };
        let dev = self.devs.first().and_then(Option::as_deref).unwrap_or("*");
        write!(f, "{dst:<15} {gateway:<15} {mask:<15} {flags:<5} {metric:<6} 0        0 {dev}")
    }

    /// The lines of `route -6 -n`: one for each next hop.
    fn lines_v6(&self, net: Ipv6Net, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drops = self.rejects() || self.info.kind == "blackhole";
        let flags = if drops { "!n".to_owned() } else { self.flags() };
        let metric = self.info.metric;
        for (n, (hop, dev)) in self.info.next_hops.iter().zip(&self.devs).enumerate() {
            let newline = if n > 0 { "\n" } else { "" };
            let gateway = hop.gateway.map_or_else(|| "::".into(), |gateway| gateway.to_string());
            let dev = dev.as_deref().unwrap_or("*");
            write!(f, "{newline}{:<30} {gateway:<26} {flags:<4} {metric:<6} 0   0     {dev}", net.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.dst {
            IpNet::V4(net) => self.line(net, f),
            IpNet::V6(net) => self.lines_v6(net, f),
        }
    }
}

impl Listed for Route {
    const LIST: &'static str = "Routes";
    const LIST_DOC: &'static str = "A routing table. Prints as `route -n` does.";
    fn is_called(&self, name: &str) -> bool {
        let is_default = self.info.dst.prefix_len() == 0;
        self.info.dst.to_string() == name || name == "default" && is_default
    }
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = items.first().is_some_and(|route| route.info.dst.addr().is_ipv6());
        f.write_str(if v6 {
            "Kernel IPv6 routing table\nDestination                    Next Hop                   Flag Met    Ref Use If"
        } else {
            "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface"
        })?;
        items.iter().try_for_each(|route| write!(f, "\n{route}"))
    }
}

/// Which table to list.
pub(crate) struct TableOptions {
    v6: bool,
}

impl FromOptions for TableOptions {
    const KEYS: &'static [Key] = &[Key::new("family", "\"inet\" (the default) or \"inet6\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { v6: options.word("family", &[("inet", false), ("inet6", true)])?.unwrap_or(false) })
    }
    fn fill(&self, values: &mut Values<'_>) {
        values.set_some("family", self.v6.then_some("inet6"));
    }
}

/// A destination: a network, an address, or `default`.
pub(crate) enum Destination {
    Default,
    Net(IpNet),
}

impl Arg for Destination {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = String::take(call, name)?;
        if text == "default" {
            return Ok(Self::Default);
        }
        let net = if text.contains('/') { notation::network(&text)? } else { IpNet::from(Target::parse(&text)?.addr) };
        if net.addr() != net.network() {
            return Err(Error::usage(format!("`{net}` has bits set after the prefix")).hint(format!(
                "the network is \"{}\", the one host \"{}\"",
                net.trunc(),
                net.addr()
            )));
        }
        Ok(Self::Net(net))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        match self {
            Self::Default => values.set(name, "default"),
            Self::Net(net) => values.set(name, net),
        }
    }
}

/// The next hop, the link and the metric of a route.
pub(crate) struct Via {
    gateway: Option<Target>,
    dev: Option<IfName>,
    metric: Option<u32>,
}

impl FromOptions for Via {
    const KEYS: &'static [Key] = &[
        Key::naming("via", "address of the next hop", Names::Addresses),
        Key::naming("dev", "name of the link", Names::Links),
        Key::new("metric", "preference, smaller wins; default 0 (IPv6: 1024)"),
    ];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self {
            gateway: options.text("via")?.map(|text| Target::parse(&text)).transpose()?,
            dev: options.text("dev")?.map(|text| IfName::new(&text)).transpose()?,
            metric: options.number("metric", 0..=INT::from(u32::MAX))?.and_then(|n| u32::try_from(n).ok()),
        })
    }
    fn fill(&self, values: &mut Values<'_>) {
        values.set_some("via", self.gateway.as_ref().map(|gateway| gateway.addr));
        let zone = self.gateway.as_ref().and_then(|gateway| gateway.zone.as_ref());
        values.set_some("dev", self.dev.as_ref().or(zone).map(IfName::as_str));
        values.set_some("metric", self.metric);
    }
}

fn route_of(ns: &NetNs, dst: &Destination, via: &Via, needs_next_hop: bool) -> Result<NewRoute> {
    if needs_next_hop && via.gateway.is_none() && via.dev.is_none() {
        return Err(
            Error::usage("a route needs a next hop or a link").hint(r#"`#{via: "10.1.1.1"}`, or `#{dev: "eth0"}`"#)
        );
    }
    let gateway = via.gateway.as_ref().map(|target| target.addr);
    let dst = match dst {
        Destination::Net(net) => *net,
        Destination::Default => {
            let v6 = gateway.is_some_and(|gateway| gateway.is_ipv6());
            let any: std::net::IpAddr =
                if v6 { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
            IpNet::new(any, 0).map_err(|_| Error::usage("no default route"))?
        }
    };
    if gateway.is_some_and(|gateway| gateway.is_ipv4() != dst.addr().is_ipv4()) {
        return Err(Error::usage("destination and next hop are of different address families"));
    }
    let zone = via.gateway.as_ref().and_then(|gateway| gateway.zone.as_ref());
    if let (Some(zone), Some(dev)) = (zone, &via.dev)
        && zone != dev
    {
        return Err(Error::usage(format!("the next hop is on link `{zone}`, `dev` is `{dev}`")));
    }
    let index = match via.dev.as_ref().or(zone) {
        Some(dev) => Some(ns.net()?.link(Which::Name(dev))?.index),
        None => None,
    };
    Ok(NewRoute { dst, gateway, index, metric: via.metric })
}

bindings! {
    /// Lists the main routing table of a namespace.
    ///
    /// Like `route -n`, or `ip -f FAMILY route` for IPv6: `#{family: "inet6"}`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// up(cable.a);
    /// up(cable.b, "10.1.1.1/24");
    /// print(routes(ns1));
    /// check routes(ns1)[0].dst == "10.1.1.0/24";
    /// check routes().is_empty;                        // each namespace has its own
    /// ```
    fn routes(ns: Here, opts: Opts<TableOptions>) -> List<Route> {
        let net = ns.net().net()?;
        let links = net.links()?;
        let name = |hop: &NextHop| {
            let link = links.iter().find(|link| Some(link.index) == hop.index)?;
            Some(printable(&link.name))
        };
        let route = |info: RouteInfo| Route { devs: info.next_hops.iter().map(name).collect(), info };
        Ok(net.routes(opts.0.v6)?.into_iter().map(route).collect::<Vec<_>>().into())
    }

    /// Adds a route to `dst`, a network or `default`, by a next hop or a link.
    ///
    /// Like `ip route add DST [via VIA] [dev DEV] [metric METRIC]`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// up(cable.a, "10.1.1.2/24");
    /// up(cable.b, "10.1.1.1/24");
    /// add_route(ns1, "default", #{via: "10.1.1.2"});
    /// check routes(ns1)[0].gateway == "10.1.1.2";
    /// ```
    #[changes = Changes::Guarded(r#"add_route("198.51.100.0/24", #{dev: "eth0"})"#)]
    fn add_route(guard: Guard, ns: Here, dst: Destination, opts: Opts<Via>) -> () {
        let route = route_of(ns.net(), &dst, &opts.0, true)?;
        let permit = guard.adding_route(ns.net(), &route)?;
        ns.net().net()?.add_route(&permit, &route)
    }

    /// Deletes a route.
    ///
    /// Like `ip route del DST [via VIA] [dev DEV] [metric METRIC]`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// up(cable.a);
    /// up(cable.b, "10.1.1.1/24");
    /// del_route(ns1, "10.1.1.0/24");
    /// check routes(ns1).is_empty;
    /// ```
    #[changes = Changes::Guarded(r#"del_route("default", #{dev: "eth0"})"#)]
    fn del_route(guard: Guard, ns: Here, dst: Destination, opts: Opts<Via>) -> () {
        let route = route_of(ns.net(), &dst, &opts.0, false)?;
        let permit = guard.deleting_route(ns.net(), &route)?;
        ns.net().net()?.delete_route(&permit, &route)
    }
}
