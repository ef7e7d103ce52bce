//! Neighbours: deleting those that could not be resolved while there was no carrier.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::Result;

impl Net {
    /// Deletes the neighbours of a link that are not resolved yet. Like `ip neigh flush dev NAME nud incomplete`.
    ///
    /// A request sent before the link had carrier gets no answer, and ARP repeats it only a second later
    /// (`retrans_time_ms`): the next packet would wait for that.
    ///
    /// Without an index, those of all links. Returns how many there were.
    pub(crate) fn forget_unresolved(&self, permit: &impl Permit, index: Option<u32>) -> Result<usize> {
        let mut message = NeighbourMessage::default();
        message.attributes.extend(index.map(NeighbourAttribute::IfIndex));
        let mut count = 0;
        let op = || "list neighbours".into();
        let replies = self.request(RouteNetlinkMessage::GetNeighbour(message), Query::Dump, op)?;
        for reply in replies {
            if let RouteNetlinkMessage::NewNeighbour(neighbour) = reply
                && index.is_none_or(|index| neighbour.header.ifindex == index)
                && matches!(neighbour.header.state, NeighbourState::Incomplete | NeighbourState::Failed)
            {
                // A refusal is fine: the neighbour is resolved, or gone, by now.
                let message = RouteNetlinkMessage::DelNeighbour(neighbour);
                count += 1;
                drop(self.try_change::<RouteNetlinkMessage>(permit, message, Write::Do)?);
            }
        }
        Ok(count)
    }
}
