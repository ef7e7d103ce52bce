//! The wire format of nfnetlink: a message whose decoding cannot fail, and an iterator over attributes.

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable};

/// The length of `struct nfgenmsg`: family, version, resource id.
const HEADER: usize = 4;

/// An nfnetlink message whose attributes stay bytes.
///
/// The typed messages of `netlink-packet-netfilter` refuse a message for one name that is not UTF-8, and index into
/// nested data without a check of its length. Bytes lose no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subsystem in the high byte, the message in the low one.
    pub kind: u16,
    /// `NFPROTO_*`; 0 in a dump request means every family.
    pub family: u8,
    /// The attributes as the kernel sent them.
    pub attributes: Vec<u8>,
}

impl Message {
    /// A request to `nf_tables` with string attributes.
    pub(super) fn request(message: libc::c_int, family: u8, strings: &[(u16, &str)]) -> Self {
        let message = u16::try_from(message).unwrap_or_default();
        let subsystem = u16::try_from(libc::NFNL_SUBSYS_NFTABLES).unwrap_or_default();
        let mut attributes = Vec::new();
        for (kind, text) in strings {
            let length = 4 + text.len() + 1;
            attributes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
            attributes.extend(kind.to_ne_bytes());
            attributes.extend(text.as_bytes());
            attributes.resize(attributes.len() + 1 + (length.next_multiple_of(4) - length), 0);
        }
        Self { kind: subsystem << 8 | message, family, attributes }
    }

    /// Whether this is the message `message` of `nf_tables`.
    pub(super) fn is(&self, message: libc::c_int) -> bool {
        self.kind == Self::request(message, 0, &[]).kind
    }

    pub(super) fn attrs(&self) -> Attrs<'_> {
        Attrs(&self.attributes)
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let bytes = [self.family, 0, 0, 0].into_iter().chain(self.attributes.iter().copied());
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = from;
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let family = payload.first().copied().unwrap_or_default();
        let attributes = payload.get(HEADER..).unwrap_or_default().to_vec();
        Ok(Self { kind: header.message_type, family, attributes })
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        Self::InnerMessage(message)
    }
}

/// A sequence of netlink attributes. It ends at the first one whose length exceeds what is left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attrs<'a>(pub(super) &'a [u8]);

#[expect(clippy::copy_iterator, reason = "a view of bytes: asking a copy leaves the view where it is")]
impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[l0, l1, k0, k1], _) = self.0.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits are flags: nested, network byte order (include/uapi/linux/netlink.h).
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    }
}

impl<'a> Attrs<'a> {
    pub(super) fn get(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// The attributes nested in `kind`; none if it is absent.
    pub(super) fn nest(self, kind: u16) -> Attrs<'a> {
        Attrs(self.get(kind).unwrap_or_default())
    }

    /// The elements of a list (`NFTA_LIST_ELEM` is 1), each a sequence of attributes.
    pub(super) fn list(self) -> impl Iterator<Item = Attrs<'a>> {
        self.filter(|(kind, _)| *kind == 1).map(|(_, value)| Attrs(value))
    }

    /// A number; in nfnetlink it is in network byte order.
    pub(super) fn u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(super) fn u64(self, kind: u16) -> Option<u64> {
        self.get(kind)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }

    pub(super) fn text(self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }
}

/// A C string in a buffer. The kernel accepts any bytes as a name, so invalid UTF-8 and control characters become
/// U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}
