//! The few facts about a link that almost every call requires, read without decoding the whole answer, which would
//! take longer than the kernel's part of the request.

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NlasIterator};
use netlink_packet_route::link::State;

/// The length of `struct ifinfomsg`.
const HEADER: usize = 16;
const IFF_UP: u32 = libc::IFF_UP.cast_unsigned();
/// `linux/if.h`: the link has carrier.
const IFF_LOWER_UP: u32 = 1 << 16;

/// Those facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// The interface index.
    pub index: u32,
    /// `IFLA_LINK`: the index of the peer, or of the link below, in its namespace.
    pub peer_index: Option<u32>,
    flags: u32,
    state: State,
    /// Its queueing discipline is still the one that drops everything.
    is_noop: bool,
}

impl Glance {
    /// Whether it is up and has carrier.
    pub(crate) fn has_carrier(&self) -> bool {
        self.flags & IFF_UP != 0 && self.flags & IFF_LOWER_UP != 0
    }

    /// Whether the kernel has completed the last change (`linkwatch_do_dev` in `net/core/link_watch.c`): with carrier
    /// it sends packets, without carrier its state shows that.
    pub(crate) fn is_settled(&self) -> bool {
        if self.has_carrier() {
            !self.is_noop && matches!(self.state, State::Up | State::Unknown | State::Dormant)
        } else {
            self.flags & IFF_UP == 0 || self.state != State::Unknown
        }
    }

    /// Its operational state.
    pub(crate) fn state(&self) -> State {
        self.state
    }
}

impl NetlinkDeserializable for Glance {
    type Error = DecodeError;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let (header, attributes) =
            payload.split_at_checked(HEADER).ok_or_else(|| DecodeError::from("a link without its header"))?;
        let word = |bytes: &[u8]| bytes.first_chunk().copied().map_or(0, u32::from_ne_bytes);
        let mut glance = Self {
            index: word(&header[4..]),
            flags: word(&header[8..]),
            peer_index: None,
            state: State::Unknown,
            is_noop: false,
        };
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute?;
            match attribute.kind() {
                libc::IFLA_LINK => glance.peer_index = Some(word(attribute.value())),
                libc::IFLA_QDISC => glance.is_noop = attribute.value().starts_with(b"noop\0"),
                libc::IFLA_OPERSTATE => {
                    glance.state = attribute.value().first().map_or(State::Unknown, |state| State::from(*state));
                }
                _ => {}
            }
        }
        Ok(glance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_takes_index_flags_state_and_peer() {
        let mut link = vec![0u8; HEADER];
        link[4..8].copy_from_slice(&7u32.to_ne_bytes());
        link[8..12].copy_from_slice(&(IFF_UP | IFF_LOWER_UP).to_ne_bytes());
        link.extend([8, 0, 5, 0, 9, 0, 0, 0]); // IFLA_LINK
        link.extend([5, 0, 16, 0, 2, 0, 0, 0]); // IFLA_OPERSTATE, one byte and padding
        let header = NetlinkHeader::default();
        let glance = Glance::deserialize(&header, &link).expect("a whole link");
        assert_eq!((glance.index, glance.peer_index, glance.state), (7, Some(9), State::Down));
        assert!(glance.has_carrier() && !glance.is_settled());
        link.extend([9, 0, 6, 0, b'n', b'o', b'o', b'p', 0, 0, 0, 0]); // IFLA_QDISC
        let up = |qdisc: u8| {
            let mut link = link.clone();
            (link[28], link[36]) = (6, qdisc); // IFLA_OPERSTATE is UP
            Glance::deserialize(&header, &link).expect("a whole link").is_settled()
        };
        assert!(!up(b'n') && up(b'N'));
        for length in 0..link.len() {
            let _ = Glance::deserialize(&header, &link[..length]);
        }
    }
}
