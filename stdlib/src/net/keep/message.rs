//! A message of rtnetlink about an address, a route, a neighbour or a nexthop object, with its attributes as bytes: what
//! this program does not understand is kept all the same.

use std::fmt::Write as _;

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

/// The mask of an attribute's type: the two highest bits say how its value is written (`linux/netlink.h`).
const TYPE: u16 = 0x3fff;

/// What a message is about: the type of the kernel's `RTM_NEW…` message.
pub(super) const ADDRESS: u16 = libc::RTM_NEWADDR;
pub(super) const ROUTE: u16 = libc::RTM_NEWROUTE;
pub(super) const NEIGHBOUR: u16 = libc::RTM_NEWNEIGH;
pub(super) const NEXTHOP: u16 = 104; // RTM_NEWNEXTHOP

/// Address families.
pub(super) const INET: u8 = 2; // AF_INET
pub(super) const INET6: u8 = 10; // AF_INET6

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    kind: u16,
    pub(super) header: Vec<u8>,
    pub(super) attributes: Vec<(u16, Vec<u8>)>,
}

/// The size of the structure before the attributes: `ifaddrmsg`, `rtmsg`, `ndmsg`, `nhmsg`.
fn header_size(object: u16) -> Option<usize> {
    match object {
        ADDRESS | NEXTHOP => Some(8),
        ROUTE | NEIGHBOUR => Some(12),
        _ => None,
    }
}

impl Message {
    /// The request for all objects of a kind. The header begins with the address family.
    pub(super) fn dump(object: u16, family: u8) -> Self {
        let mut header = vec![0; header_size(object).unwrap_or_default()];
        header[0] = family;
        Self { kind: object + 2, header, attributes: Vec::new() } // NEW, DEL, GET are three numbers in a row
    }

    /// The request that deletes the object.
    pub(super) fn deletion(&self) -> Self {
        Self { kind: self.object() + 1, ..self.clone() }
    }

    fn parse(kind: u16, bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(header_size(kind & !3)?)?;
        Some(Self { kind, header: header.to_vec(), attributes: attributes(rest)? })
    }

    /// One of [`ADDRESS`], [`ROUTE`], [`NEIGHBOUR`], [`NEXTHOP`].
    pub(super) fn object(&self) -> u16 {
        self.kind & !3
    }

    pub(super) fn family(&self) -> u8 {
        self.header[0]
    }

    /// The 32 bits at `offset` of the header, which is long enough for each field that its kind has.
    pub(super) fn word(&self, offset: usize) -> u32 {
        word(&self.header[offset..])
    }

    pub(super) fn set_word(&mut self, offset: usize, value: u32) {
        self.header[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, wanted: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(kind, _)| kind & TYPE == wanted).map(|(_, value)| value.as_slice())
    }

    pub(super) fn attribute_mut(&mut self, wanted: u16) -> Option<&mut Vec<u8>> {
        self.attributes.iter_mut().find(|(kind, _)| kind & TYPE == wanted).map(|(_, value)| value)
    }

    /// The first 32 bits of an attribute.
    pub(super) fn number(&self, wanted: u16) -> Option<u32> {
        self.attribute(wanted).filter(|value| value.len() >= 4).map(word)
    }

    /// Removes all attributes but those of these types.
    pub(super) fn keep_only(&mut self, wanted: &[u16]) {
        self.attributes.retain(|(kind, _)| wanted.contains(&(kind & TYPE)));
    }

    pub(super) fn remove(&mut self, unwanted: &[u16]) {
        self.attributes.retain(|(kind, _)| !unwanted.contains(&(kind & TYPE)));
    }

    /// The message as a line of a journal: its type, and the bytes in hexadecimal digits.
    pub(super) fn encode(&self) -> String {
        let mut bytes = vec![0; self.buffer_len()];
        self.serialize(&mut bytes);
        let mut text = format!("{}:", self.kind);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}"); // a string takes everything
        }
        text
    }

    /// The message that [`Message::encode`] wrote.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (kind, digits) = text.split_once(':')?;
        let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes = digits.as_bytes().chunks(2).map(digit).collect::<Option<Vec<u8>>>()?;
        Self::parse(kind.parse().ok()?, &bytes)
    }
}

/// The first 32 bits of `bytes`; 0 if there are fewer.
pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// Splits attributes, each with its type as it is written.
pub(super) fn attributes(mut rest: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut found = Vec::new();
    while let [l0, l1, t0, t1, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        found.push((u16::from_ne_bytes([t0, t1]), rest.get(4..length)?.to_vec()));
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    Some(found)
}

/// Writes attributes, each padded to a multiple of four bytes.
pub(super) fn write_attributes(attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in attributes {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(aligned(bytes.len()), 0);
    }
    bytes
}

fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.header.len() + self.attributes.iter().map(|(_, value)| aligned(4 + value.len())).sum::<usize>()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (header, rest) = buffer.split_at_mut(self.header.len());
        header.copy_from_slice(&self.header);
        rest.copy_from_slice(&write_attributes(&self.attributes));
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Self::parse(header.message_type, payload)
            .ok_or_else(|| DecodeError::from(format!("message of type {}", header.message_type)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_journal_is_read_back() {
        let mut message = Message::dump(ROUTE, 2);
        message.kind = ROUTE;
        message.attributes = vec![(1, vec![10, 55, 0]), (0x8000 | 9, vec![1, 2, 3, 4])];
        assert_eq!(Message::decode(&message.encode()), Some(message));
    }

    #[test]
    fn what_no_kernel_writes_is_no_message() {
        for text in
            ["", "24", "24:", "24:0g", "24:00", "99:000000000000000000000000", "x:00", "20:0000000000000000ff000100"]
        {
            assert_eq!(Message::decode(text), None, "{text}");
        }
    }
}
