//! Neighbours: forgetting those that could not be resolved while there was no carrier.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::Net;
use super::connection::Ask;
use crate::error::Result;

impl Net {
    /// Forgets the neighbours of a link that are still asked for. Like `ip neigh flush dev NAME nud incomplete`.
    ///
    /// What was asked before the cable carried got no answer, and ARP asks again only a second later
    /// (`retrans_time_ms`): the next packet would wait for that.
    pub(crate) fn forget_unresolved(&self, index: u32) -> Result<()> {
        let mut message = NeighbourMessage::default();
        message.attributes.push(NeighbourAttribute::IfIndex(index));
        let op = || "list neighbours".into();
        let replies = self.request(RouteNetlinkMessage::GetNeighbour(message), Ask::Dump, op)?;
        for reply in replies {
            if let RouteNetlinkMessage::NewNeighbour(neighbour) = reply
                && neighbour.header.ifindex == index
                && matches!(neighbour.header.state, NeighbourState::Incomplete | NeighbourState::Failed)
            {
                // It may be resolved, or gone, by now: then all is well.
                let _ = self.try_request(RouteNetlinkMessage::DelNeighbour(neighbour), Ask::Do)?;
            }
        }
        Ok(())
    }
}
