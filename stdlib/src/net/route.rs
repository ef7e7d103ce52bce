//! Routes: the main table, shown as `route -n` shows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
    RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::Result;

/// One route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The destination; `0.0.0.0/0` or `::/0` is the default route.
    pub dst: IpNet,
    /// Where packets go next; none for a route that drops them. A multipath route has several.
    pub next_hops: Vec<NextHop>,
    /// The id of the nexthop object that it uses (ip-nexthop(8)).
    pub nhid: Option<u32>,
    /// Preference; smaller wins.
    pub metric: u32,
    /// The source address it prefers.
    pub src: Option<IpAddr>,
    /// What added it: `kernel`, `static`, `boot` …
    pub protocol: String,
    /// `unicast`, `blackhole`, `unreachable`, `prohibit` …
    pub kind: String,
}

/// One next hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The router; none if the destination is on the link itself. An IPv4 route may have an IPv6 router.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub index: Option<u32>,
    /// Its share of the traffic, relative to the other next hops.
    pub weight: u32,
}

impl RouteInfo {
    /// The first next hop's router.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.next_hops.first().and_then(|hop| hop.gateway)
    }

    /// The first next hop's link.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        self.next_hops.first().and_then(|hop| hop.index)
    }
}

/// A route to add or to delete.
pub(crate) struct NewRoute {
    pub dst: IpNet,
    pub gateway: Option<IpAddr>,
    pub index: Option<u32>,
    pub metric: Option<u32>,
}

impl Net {
    /// The main table of one family, in the kernel's order. Like `ip route` and `ip -6 route`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn routes(&self, v6: bool) -> Result<Vec<RouteInfo>> {
        let mut message = RouteMessage::default();
        message.header.address_family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let replies = self.request(RouteNetlinkMessage::GetRoute(message), Query::Dump, || "list routes".into())?;
        let all = replies.iter().filter_map(|reply| match reply {
            RouteNetlinkMessage::NewRoute(message) => decode(message),
            _ => None,
        });
        Ok(all.collect())
    }

    /// Adds a route. Like `ip route add DST via GATEWAY dev NAME metric N`.
    pub(crate) fn add_route(&self, permit: &impl Permit, route: &NewRoute) -> Result<()> {
        let mut builder = builder(route);
        builder = builder.protocol(RouteProtocol::Boot).kind(RouteType::Unicast);
        let scope =
            if route.gateway.is_some() || route.dst.addr().is_ipv6() { RouteScope::Universe } else { RouteScope::Link };
        let message = builder.scope(scope).build();
        let op = || format!("add route to `{}`", shown(route));
        self.change(permit, RouteNetlinkMessage::NewRoute(message), Write::Create, op).map_err(|error| {
            match error.errno {
                Some(Errno::ENETUNREACH) => {
                    error.hint("the gateway must be on a network that an address of an up link covers")
                }
                Some(Errno::EEXIST) => error.hint("there is such a route already: see `routes(ns)`"),
                Some(Errno::ENETDOWN) => error.hint("set the link up first"),
                _ => error,
            }
        })
    }

    /// Deletes a route. Like `ip route del …`.
    pub(crate) fn delete_route(&self, permit: &impl Permit, route: &NewRoute) -> Result<()> {
        let message =
            builder(route).scope(RouteScope::NoWhere).protocol(RouteProtocol::Unspec).kind(RouteType::Unspec).build();
        let op = || format!("delete route to `{}`", shown(route));
        self.change(permit, RouteNetlinkMessage::DelRoute(message), Write::Do, op).map_err(|error| match error.errno {
            Some(Errno::ESRCH) => error.hint("no route matches: see `routes(ns)`"),
            _ => error,
        })
    }
}

fn shown(route: &NewRoute) -> String {
    match (route.dst.prefix_len(), route.gateway) {
        (0, Some(gateway)) => format!("default via {gateway}"),
        (0, None) => "default".into(),
        (_, Some(gateway)) => format!("{} via {gateway}", route.dst),
        (_, None) => route.dst.to_string(),
    }
}

fn builder(route: &NewRoute) -> RouteMessageBuilder<IpAddr> {
    let mut builder = RouteMessageBuilder::<IpAddr>::new();
    let message = builder.get_mut();
    message.header.address_family = if route.dst.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = route.dst.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    if route.dst.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(address(route.dst.network())));
    }
    if let Some(gateway) = route.gateway {
        message.attributes.push(RouteAttribute::Gateway(address(gateway)));
    }
    if let Some(index) = route.index {
        message.attributes.push(RouteAttribute::Oif(index));
    }
    if let Some(metric) = route.metric {
        message.attributes.push(RouteAttribute::Priority(metric));
    }
    builder
}

fn address(addr: IpAddr) -> RouteAddress {
    match addr {
        IpAddr::V4(addr) => RouteAddress::Inet(addr),
        IpAddr::V6(addr) => RouteAddress::Inet6(addr),
    }
}

fn decode(message: &RouteMessage) -> Option<RouteInfo> {
    let header = &message.header;
    let unspecified: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut table = u32::from(header.table);
    let mut route = RouteInfo {
        dst: IpNet::new(unspecified, 0).ok()?,
        next_hops: Vec::new(),
        nhid: None,
        metric: 0,
        src: None,
        protocol: format!("{:?}", header.protocol).to_lowercase(),
        kind: format!("{:?}", header.kind).to_lowercase(),
    };
    let mut dst = unspecified;
    route.next_hops.extend(next_hop(&message.attributes, None));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(id) => table = *id,
            RouteAttribute::Destination(address) => dst = ip(address)?,
            RouteAttribute::PrefSource(address) => route.src = ip(address),
            RouteAttribute::NhId(id) => route.nhid = Some(*id),
            RouteAttribute::MultiPath(hops) => {
                let hop = |hop: &RouteNextHop| {
                    let hop_of = next_hop(&hop.attributes, Some(hop.interface_index))?;
                    Some(NextHop { weight: u32::from(hop.hops) + 1, ..hop_of })
                };
                route.next_hops = hops.iter().filter_map(hop).collect();
            }
            RouteAttribute::Priority(metric) => route.metric = *metric,
            _ => {}
        }
    }
    route.dst = IpNet::new(dst, header.destination_prefix_length).ok()?;
    (table == u32::from(RouteHeader::RT_TABLE_MAIN)).then_some(route)
}

/// The next hop that some attributes describe, if they name a router or a link.
fn next_hop(attributes: &[RouteAttribute], mut index: Option<u32>) -> Option<NextHop> {
    let mut gateway = None;
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet(addr)) => gateway = Some((*addr).into()),
            RouteAttribute::Via(RouteVia::Inet6(addr)) => gateway = Some((*addr).into()),
            RouteAttribute::Oif(oif) => index = Some(*oif),
            _ => {}
        }
    }
    (gateway.is_some() || index.is_some()).then_some(NextHop { gateway, index, weight: 1 })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(addr) => Some((*addr).into()),
        RouteAddress::Inet6(addr) => Some((*addr).into()),
        _ => None,
    }
}

impl Net {
    /// Whether the kernel delivers packets to `addr` in this namespace. Like `ip route get ADDR`.
    pub(crate) fn is_local(&self, addr: IpAddr) -> Result<bool> {
        let mut message = RouteMessage::default();
        (message.header.address_family, message.header.destination_prefix_length) =
            if addr.is_ipv4() { (AddressFamily::Inet, 32) } else { (AddressFamily::Inet6, 128) };
        message.attributes.push(RouteAttribute::Destination(address(addr)));
        // An error means that no route leads there.
        let answer = self.try_request::<RouteNetlinkMessage>(RouteNetlinkMessage::GetRoute(message), Query::Get)?;
        let is_local = |reply: &RouteNetlinkMessage| matches!(reply, RouteNetlinkMessage::NewRoute(route) if route.header.kind == RouteType::Local);
        Ok(answer.is_ok_and(|replies| replies.iter().any(is_local)))
    }
}
