//! The ids by which one network namespace knows another (`link-netnsid`).

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::connection::Query;
use super::{Net, no_answer};
use crate::error::Result;

impl Net {
    /// The id of `other` in this namespace, if it has one. Like `ip netns list-id`.
    pub(crate) fn id_of(&self, other: &Net) -> Result<Option<i32>> {
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Fd(u32::try_from(other.handle().as_fd().as_raw_fd()).unwrap_or(0)));
        let op = || format!("ask for the id of {}", other.label());
        let replies = self.request(RouteNetlinkMessage::GetNsId(message), Query::Get, op)?;
        let answer = replies.iter().find_map(|reply| match reply {
            RouteNetlinkMessage::NewNsId(message) => message.attributes.iter().find_map(|a| match a {
                NsidAttribute::Id(id) => Some(*id),
                _ => None,
            }),
            _ => None,
        });
        answer.map(|id| (id >= 0).then_some(id)).ok_or_else(|| no_answer(op()))
    }

    /// As [`Net::id_of`], where an error is as good as no id.
    #[must_use]
    pub fn knows(&self, other: &Self) -> Option<i32> {
        self.id_of(other).ok().flatten()
    }
}
