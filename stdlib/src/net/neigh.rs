//! Neighbours: the entries of a namespace, deleting some of them, and the table that all namespaces share.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage};

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::Result;

/// The neighbour table of a family: one for all namespaces of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NeighbourTable {
    /// The entries of all namespaces.
    pub entries: u32,
    /// The most entries there can be (`gc_thresh3`).
    pub limit: u32,
    /// How many entries the kernel could not create because the table was full.
    pub refused: u64,
}

impl NeighbourTable {
    /// For how many new entries there is room, without the old ones that the kernel may collect.
    pub(crate) fn free(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.entries)).unwrap_or(usize::MAX)
    }

    /// Whether there is no room: entries of the last 5 seconds are not collected (net/core/neighbour.c,
    /// `neigh_forced_gc`).
    pub(crate) fn is_full(&self) -> bool {
        self.free() == 0
    }
}

impl Net {
    /// The neighbour table of IPv4 or IPv6. Like `ip ntable show name arp_cache`, or `ndisc_cache`.
    ///
    /// None if the kernel does not show it.
    pub(crate) fn neighbour_table(&self, v6: bool) -> Result<Option<NeighbourTable>> {
        let mut message = NeighbourTableMessage::default();
        message.header.family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let message = RouteNetlinkMessage::GetNeighbourTable(message);
        let Ok(replies) = self.try_request::<RouteNetlinkMessage>(message, Query::Dump)? else { return Ok(None) };
        // The first message has the table; the others have the parameters of the links.
        Ok(replies.iter().find_map(|reply| match reply {
            RouteNetlinkMessage::NewNeighbourTable(message) => decode(message),
            _ => None,
        }))
    }

    /// The neighbours of all links, or of one.
    pub(crate) fn neighbours(&self, index: Option<u32>) -> Result<Vec<NeighbourMessage>> {
        let mut message = NeighbourMessage::default();
        message.attributes.extend(index.map(NeighbourAttribute::IfIndex));
        let op = || "list neighbours".into();
        let replies = self.request(RouteNetlinkMessage::GetNeighbour(message), Query::Dump, op)?;
        let all = replies.into_iter().filter_map(|reply| match reply {
            RouteNetlinkMessage::NewNeighbour(neighbour) => Some(neighbour),
            _ => None,
        });
        Ok(all.filter(|neighbour| index.is_none_or(|index| neighbour.header.ifindex == index)).collect())
    }

    /// Deletes the neighbours of a link that are not resolved yet. Like `ip neigh flush dev NAME nud incomplete`.
    ///
    /// A request sent before the link had carrier gets no answer, and ARP repeats it only a second later
    /// (`retrans_time_ms`): the next packet would wait for that.
    ///
    /// Without an index, those of all links. Returns how many there were.
    pub(crate) fn forget_unresolved(&self, permit: &impl Permit, index: Option<u32>) -> Result<usize> {
        let unresolved = |neighbour: &NeighbourMessage| {
            matches!(neighbour.header.state, NeighbourState::Incomplete | NeighbourState::Failed)
        };
        self.forget(permit, self.neighbours(index)?.into_iter().filter(unresolved))
    }

    /// Deletes the neighbours that are not in `kept` and that nobody has set by hand.
    pub(crate) fn forget_new(&self, permit: &impl Permit, kept: &[NeighbourMessage]) -> Result<()> {
        let is_new = |neighbour: &NeighbourMessage| {
            let is_learned = !matches!(neighbour.header.state, NeighbourState::Noarp | NeighbourState::Permanent);
            is_learned && !kept.iter().any(|other| is_same(other, neighbour))
        };
        self.forget(permit, self.neighbours(None)?.into_iter().filter(is_new)).map(drop)
    }

    fn forget(&self, permit: &impl Permit, all: impl Iterator<Item = NeighbourMessage>) -> Result<usize> {
        let mut count = 0;
        for neighbour in all {
            // A refusal is fine: the neighbour is gone, or resolved, by now.
            let message = RouteNetlinkMessage::DelNeighbour(neighbour);
            count += 1;
            drop(self.try_change::<RouteNetlinkMessage>(permit, message, Write::Do)?);
        }
        Ok(count)
    }
}

fn is_same(one: &NeighbourMessage, other: &NeighbourMessage) -> bool {
    let address = |of: &NeighbourMessage| {
        of.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(address) => Some(address.clone()),
            _ => None,
        })
    };
    one.header.ifindex == other.header.ifindex && address(one) == address(other)
}

fn decode(message: &NeighbourTableMessage) -> Option<NeighbourTable> {
    let mut table = NeighbourTable::default();
    for attribute in &message.attributes {
        match attribute {
            NeighbourTableAttribute::Config(config) => table.entries = config.entries,
            NeighbourTableAttribute::Threshold3(limit) => table.limit = *limit,
            NeighbourTableAttribute::Stats(stats) => table.refused = stats.table_fulls,
            _ => {}
        }
    }
    Some(table).filter(|table| table.limit > 0)
}
