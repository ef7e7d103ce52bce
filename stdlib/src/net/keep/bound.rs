//! What the kernel forgets for good when a link loses a protocol: no message gives it back.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{AfSpecInet6, AfSpecUnspec, LinkAttribute};

use crate::error::{Error, Result};
use crate::net::Net;
use crate::net::connection::Query;
use crate::net::link::Which;

impl Net {
    /// The token of a link's autoconfigured addresses, if one is set. Like `ip token get dev NAME`.
    pub(crate) fn ipv6_token(&self, index: u32) -> Result<Option<Ipv6Addr>> {
        let request = RouteNetlinkMessage::GetLink(Which::Index(index).message().build());
        let replies = self.request(request, Query::Get, || "read a link".into())?;
        let attributes = replies.iter().flat_map(|reply| match reply {
            RouteNetlinkMessage::NewLink(link) => link.attributes.as_slice(),
            _ => &[],
        });
        let families = attributes.flat_map(|attribute| match attribute {
            LinkAttribute::AfSpecUnspec(families) => families.as_slice(),
            _ => &[],
        });
        let parts = families.flat_map(|family| match family {
            AfSpecUnspec::Inet6(parts) => parts.as_slice(),
            _ => &[],
        });
        let token = parts.filter_map(|part| if let AfSpecInet6::Token(token) = part { Some(*token) } else { None });
        Ok(token.into_iter().find(|token| !token.is_unspecified()))
    }

    /// The multicast groups that programs have joined on a link (`/proc/net/igmp`, `/proc/net/igmp6`).
    pub(crate) fn joined_groups(&self, link: &str, v6: bool) -> Result<Vec<IpAddr>> {
        let file = format!("/proc/thread-self/net/{}", if v6 { "igmp6" } else { "igmp" });
        let text = self.open(|| match fs::read_to_string(&file) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()), // no such protocol
            Err(error) => Err(Error::io(format!("read `{file}`"), &error)),
        })?;
        Ok(if v6 { groups_v6(&text, link) } else { groups_v4(&text, link) })
    }
}

/// `3 eth0 ff020000000000000000000000000001 1 0000000C 0`: index, link, group, users, flags, timer.
fn groups_v6(text: &str, link: &str) -> Vec<IpAddr> {
    let groups = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let group = words.get(2).filter(|_| words.get(1) == Some(&link))?;
        u128::from_str_radix(group, 16).ok().map(Ipv6Addr::from)
    });
    groups.filter(|group| !is_of_kernel(*group)).map(IpAddr::V6).collect()
}

/// A line `3 eth0 : 1 V3` for each link, and below it `010000E0 1 0:00000000 0` for each of its groups.
fn groups_v4(text: &str, link: &str) -> Vec<IpAddr> {
    let mut groups = Vec::new();
    let mut is_link = false;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(char::is_whitespace) {
            is_link = words.get(1).is_some_and(|name| name.trim_end_matches(':') == link);
        } else if let Some(group) = words.first().and_then(|group| u32::from_str_radix(group, 16).ok())
            && is_link
        {
            groups.push(Ipv4Addr::from(u32::from_be(group)));
        }
    }
    groups.retain(|group| *group != Ipv4Addr::new(224, 0, 0, 1)); // every link is in it
    groups.into_iter().map(IpAddr::V4).collect()
}

/// Whether the kernel joins the group by itself: all nodes, all routers, MLD routers, the groups of its own addresses.
fn is_of_kernel(group: Ipv6Addr) -> bool {
    let own = ["ff01::1", "ff02::1", "ff01::2", "ff02::2", "ff05::2", "ff02::16", "ff02::6a"];
    let solicited = group.segments()[..7] == [0xff02, 0, 0, 0, 0, 1, group.segments()[6]] && group.octets()[12] == 0xff;
    solicited || own.iter().any(|text| text.parse() == Ok(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_programs_are_told_from_the_kernels_own() {
        let text = "3    d0              ff020000000000000000000000000099     1 00000004 0\n\
                    3    d0              ff0200000000000000000001ff3473c3     1 00000004 0\n\
                    3    d0              ff020000000000000000000000000001     1 0000000C 0\n\
                    4    d1              ff020000000000000000000000000098     1 0000000C 0\n";
        assert_eq!(groups_v6(text, "d0"), ["ff02::99".parse::<IpAddr>().unwrap()]);
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    4\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\
                    \t\t\t\t010000E0     1 0:00000000\t\t0\n";
        assert_eq!(groups_v4(text, "eth0"), ["224.0.0.251".parse::<IpAddr>().unwrap()]);
        assert!(groups_v4(text, "lo").is_empty());
    }
}
