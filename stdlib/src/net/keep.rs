//! What the kernel removes together with the use of a link: addresses, routes, nexthop objects, neighbours. It is kept
//! as the kernel's own messages, as `ip addr save` and `ip route save` keep it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::errno::Errno;

use super::Net;
use super::connection::Query;
use super::link::LinkInfo;
use crate::error::Result;
use message::{ADDRESS, INET, INET6, Message, NEIGHBOUR, NEXTHOP};

mod bound;
mod message;
mod normal;
mod object;
mod restore;

/// One object, as the kernel takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept(Message);

impl Kept {
    /// The line of a journal.
    pub(crate) fn encode(&self) -> String {
        self.0.encode()
    }

    /// What [`Kept::encode`] wrote; none for anything else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        Message::decode(text).map(Self)
    }

    /// Whether it is this address of a link.
    pub(crate) fn is_address(&self, index: u32, address: IpAddr, prefix: u8) -> bool {
        self.0.is_address(index, address, prefix)
    }

    /// Whether it is an IPv4 address.
    pub(crate) fn is_ipv4_address(&self) -> bool {
        self.0.object() == ADDRESS && self.0.family() == INET
    }

    /// Leaves out the routes that the kernel made for addresses which are not in the list.
    pub(crate) fn drop_routes_of_other_addresses(kept: &mut Vec<Self>) {
        let addresses: Vec<Message> =
            kept.iter().map(|kept| &kept.0).filter(|m| m.object() == ADDRESS).cloned().collect();
        kept.retain(|Self(m)| !m.is_kernel_route() || addresses.iter().any(|address| m.leads_to(address)));
    }

    /// Whether it is a route of the main table to this destination, with this metric.
    pub(crate) fn is_route(&self, destination: IpAddr, prefix: u8, metric: u32) -> bool {
        self.0.is_route(destination, prefix, metric)
    }
}

/// The links whose state follows that of another one.
pub(crate) struct Followers {
    /// Links on top of it (VLAN, macvlan …): the kernel sets them up, down, and their MTU, together with it.
    pub(crate) stacked: BTreeSet<u32>,
    /// These, and those that lose their carrier: peers and masters.
    carrier: BTreeSet<u32>,
}

impl Followers {
    /// The followers among `links` of the link `index`, as far as they are in one namespace.
    pub(crate) fn of(index: u32, links: &[LinkInfo]) -> Self {
        let near = |link: &LinkInfo| link.netnsid.is_none();
        let on = |below: Option<u32>, set: &BTreeSet<u32>| below.is_some_and(|below| set.contains(&below));
        let mut all = BTreeSet::from([index]);
        while let Some(link) =
            links.iter().find(|link| near(link) && !all.contains(&link.index) && on(link.lower_index, &all))
        {
            all.insert(link.index);
        }
        let mut carrier = all.clone();
        loop {
            let reached = links.iter().filter(|link| {
                let is_master =
                    links.iter().any(|port| port.master == Some(link.index) && carrier.contains(&port.index));
                is_master || near(link) && (on(link.lower_index, &carrier) || on(link.peer_index, &carrier))
            });
            let more: Vec<u32> = reached.map(|link| link.index).filter(|index| !carrier.contains(index)).collect();
            if more.is_empty() {
                break;
            }
            carrier.extend(more);
        }
        all.remove(&index);
        Self { stacked: all, carrier }
    }
}

impl Net {
    /// The addresses, routes, nexthop objects and neighbours that the kernel removes when the link `index` is set down,
    /// or loses IPv6, and does not make again by itself. Each after those that it needs.
    ///
    /// Nexthop objects and proxies go with the carrier of their link (`nh_netdev_event` in net/ipv4/nexthop.c,
    /// `neigh_carrier_down` in net/core/neighbour.c), so those of peers and masters are here too.
    pub(crate) fn what_goes_with(&self, index: u32, followers: &Followers) -> Result<Vec<Kept>> {
        let all = self.dump_all()?;
        let on = |message: &Message, links: &BTreeSet<u32>| message.links().iter().any(|link| links.contains(link));
        let mut down = followers.stacked.clone();
        down.insert(index);
        let mut gone: BTreeSet<u32> = all
            .iter()
            .filter(|message| message.object() == NEXTHOP && on(message, &followers.carrier))
            .filter_map(Message::nexthop_id)
            .collect();
        let needs = |message: &Message, ids: &BTreeSet<u32>| message.nexthops().iter().any(|id| ids.contains(id));
        let groups: Vec<u32> =
            all.iter().filter(|message| needs(message, &gone)).filter_map(Message::nexthop_id).collect();
        gone.extend(groups);
        let goes = |message: &Message| match message.nexthop_id() {
            Some(id) => gone.contains(&id),
            None if message.object() == NEIGHBOUR => on(message, &followers.carrier),
            None => on(message, &down) || needs(message, &gone),
        };
        Ok(all.into_iter().filter(goes).filter_map(Message::normal).map(Kept).collect())
    }

    /// All that [`Net::what_goes_with`] may return, as the kernel reports it.
    fn dump_all(&self) -> Result<Vec<Message>> {
        let mut all = Vec::new();
        for request in object::dumps() {
            let object = request.object();
            let mut connection = self.connection()?;
            let answer =
                self.exec.block_on(super::DEADLINE, async { Ok(connection.request(request, Query::Dump).await) })?;
            match answer {
                Ok(messages) => {
                    let mut messages: Vec<Message> = messages;
                    if object == ADDRESS {
                        // The newest IPv6 address of a scope is the first in the list; IPv4 is the other way round.
                        messages.sort_by_key(|message| message.family() == INET6);
                        let v4 = messages.iter().take_while(|message| message.family() != INET6).count();
                        messages[v4..].reverse();
                    }
                    all.extend(messages);
                }
                // A kernel without nexthop objects has none.
                Err(refusal) if object == NEXTHOP && refusal.errno == Errno::EOPNOTSUPP => {}
                Err(refusal) => {
                    return Err(refusal.into_error("list addresses, routes and neighbours").within(&self.label));
                }
            }
        }
        all.sort_by_key(Message::rank);
        Ok(all)
    }
}
