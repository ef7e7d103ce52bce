//! What the kernel removes when a link goes down, kept as the kernel's own messages. Like `ip addr save` and
//! `ip route save`.

use std::fmt::Write as _;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::Result;

impl Net {
    /// The IPv6 addresses of a link and the routes over it that the kernel does not restore by itself.
    pub(crate) fn what_goes_with(&self, index: u32) -> Result<Vec<String>> {
        let mut addresses = AddressMessage::default();
        addresses.header.family = AddressFamily::Inet6;
        let addresses = RouteNetlinkMessage::GetAddress(addresses);
        let mut kept = Vec::new();
        for message in self.request(addresses, Query::Dump, || "list addresses".into())? {
            if let RouteNetlinkMessage::NewAddress(address) = &message
                && address.header.index == index
            {
                kept.push(encode(&message));
            }
        }
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            let message = RouteNetlinkMessage::GetRoute(message);
            for message in self.request(message, Query::Dump, || "list routes".into())? {
                if let RouteNetlinkMessage::NewRoute(route) = &message
                    && route.header.protocol != RouteProtocol::Kernel
                    && route.attributes.contains(&RouteAttribute::Oif(index))
                {
                    let far = route.attributes.iter().any(|a| matches!(a, RouteAttribute::Gateway(_)));
                    routes.push((far, encode(&message)));
                }
            }
        }
        routes.sort_by_key(|(far, _)| *far); // a next hop must be reachable before a route leads over it
        kept.extend(routes.into_iter().map(|(_, route)| route));
        Ok(kept)
    }

    /// Adds what [`Net::what_goes_with`] returned, unless it exists.
    pub(crate) fn restore(&self, permit: &impl Permit, kept: &[String]) -> Result<()> {
        for message in kept.iter().filter_map(|text| decode(text)) {
            match self.change(permit, message, Write::Create, || "restore an address or a route".into()) {
                Err(error) if !matches!(error.errno, Some(Errno::EEXIST | Errno::ENODEV)) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn encode(message: &RouteNetlinkMessage) -> String {
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let mut text = format!("{}:", message.message_type());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn decode(text: &str) -> Option<RouteNetlinkMessage> {
    let (kind, digits) = text.split_once(':')?;
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = digits.as_bytes().chunks(2).map(digit).collect::<Option<Vec<u8>>>()?;
    let mut header = NetlinkHeader::default();
    header.message_type = kind.parse().ok()?;
    RouteNetlinkMessage::deserialize(&header, &bytes).ok()
}
