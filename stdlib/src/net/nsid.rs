//! The ids by which one network namespace knows another (`link-netnsid`).

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use nix::errno::Errno;

use super::connection::{Query, Write};
use super::permit::Permit;
use super::{Net, no_answer};
use crate::error::Result;

impl Net {
    /// The id of `other` in this namespace, if it has one. Like `ip netns list-id`.
    pub(crate) fn id_of(&self, other: &Net) -> Result<Option<i32>> {
        let message = fd_of(other);
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

    /// Gives `other` the id `id` in this namespace, unless it has one, and returns its id. Like `ip netns set NAME ID`.
    pub(crate) fn assign_id(&self, permit: &impl Permit, other: &Net, id: i32) -> Result<i32> {
        let mut message = fd_of(other);
        message.attributes.push(NsidAttribute::Id(id));
        let op = || format!("assign an id to {}", other.label());
        match self.change(permit, RouteNetlinkMessage::NewNsId(message), Write::Create, op) {
            Ok(()) => Ok(id),
            Err(error) if error.errno == Some(Errno::EEXIST) => self.id_of(other)?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Whether a living namespace has the id `id` here.
    pub(crate) fn has_id(&self, id: i32) -> Result<bool> {
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Id(id));
        match self.try_request::<RouteNetlinkMessage>(RouteNetlinkMessage::GetNsId(message), Query::Get)? {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
            Err(refusal) => Err(refusal.into_error(format!("look up the id {id}")).within(self.label())),
        }
    }
}

fn fd_of(other: &Net) -> NsidMessage {
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(u32::try_from(other.handle().as_fd().as_raw_fd()).unwrap_or(0)));
    message
}
