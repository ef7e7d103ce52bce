//! Routes: the main table, shown as `route -n` shows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
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
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub index: Option<u32>,
    /// Preference; smaller wins.
    pub metric: u32,
    /// The source address it prefers.
    pub src: Option<IpAddr>,
    /// What added it: `kernel`, `static`, `boot` …
    pub protocol: String,
    /// `unicast`, `blackhole`, `unreachable`, `prohibit` …
    pub kind: String,
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
    let ip = |address: &RouteAddress| match address {
        RouteAddress::Inet(addr) => Some(IpAddr::V4(*addr)),
        RouteAddress::Inet6(addr) => Some(IpAddr::V6(*addr)),
        _ => None,
    };
    let mut table = u32::from(header.table);
    let mut route = RouteInfo {
        dst: IpNet::new(unspecified, 0).ok()?,
        gateway: None,
        index: None,
        metric: 0,
        src: None,
        protocol: format!("{:?}", header.protocol).to_lowercase(),
        kind: format!("{:?}", header.kind).to_lowercase(),
    };
    let mut dst = unspecified;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(id) => table = *id,
            RouteAttribute::Destination(address) => dst = ip(address)?,
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::PrefSource(address) => route.src = ip(address),
            RouteAttribute::Oif(index) => route.index = Some(*index),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            _ => {}
        }
    }
    route.dst = IpNet::new(dst, header.destination_prefix_length).ok()?;
    (table == u32::from(RouteHeader::RT_TABLE_MAIN)).then_some(route)
}
