//! The parts of a rule that are read so far, and the protocols that they fix.

use super::fields::Field;
use super::parts::Part;

/// The rule as far as it is read.
pub(super) struct Parts {
    pub(super) list: Vec<Part>,
    /// The network protocol that the rule requires, as an ethertype.
    pub(super) ethertype: Option<u128>,
    /// The transport protocol that the rule requires.
    pub(super) protocol: Option<u128>,
    /// Where in the list these are matched; none if the family of the table fixes them.
    ethertype_at: Option<usize>,
    protocol_at: Option<usize>,
    link_type_at: Option<usize>,
}

impl Parts {
    pub(super) fn new(family: u8) -> Self {
        let ethertype = match libc::c_int::from(family) {
            libc::NFPROTO_IPV4 => Some(0x0800),
            libc::NFPROTO_IPV6 => Some(0x86dd),
            libc::NFPROTO_ARP => Some(0x0806),
            _ => None,
        };
        Self { list: Vec::new(), ethertype, protocol: None, ethertype_at: None, protocol_at: None, link_type_at: None }
    }

    pub(super) fn push(&mut self, part: Part) {
        self.list.push(part);
    }

    /// The IP version that the rule requires, if it does.
    pub(super) fn ip6(&self) -> Option<bool> {
        self.ethertype.filter(|known| matches!(known, 0x0800 | 0x86dd)).map(|known| known == 0x86dd)
    }

    /// Records the protocol that the next part fixes: later fields are named by it.
    pub(super) fn learn(&mut self, words: &str, value: u128) {
        let part = Some(self.list.len());
        match words {
            "meta l4proto" | "ip protocol" => (self.protocol, self.protocol_at) = (Some(value), part),
            // A next header is not necessarily the transport protocol, so nft goes on writing it.
            "ip6 nexthdr" => (self.protocol, self.protocol_at) = (Some(value), None),
            "meta nfproto" => {
                self.ethertype = if value == 2 { Some(0x0800) } else { Some(0x86dd).filter(|_| value == 10) };
                self.ethertype_at = part;
            }
            "meta protocol" | "ether type" | "vlan type" => (self.ethertype, self.ethertype_at) = (Some(value), part),
            "iiftype" | "oiftype" => self.link_type_at = part,
            _ => {}
        }
    }

    /// Marks the match of the network protocol as implied.
    pub(super) fn imply_network(&mut self) {
        self.imply(self.ethertype_at);
    }

    /// Marks the match of the transport protocol as implied.
    pub(super) fn imply_transport(&mut self) {
        self.imply(self.protocol_at);
    }

    /// Marks the matches that a load from `header` implies: its name has the protocol already.
    pub(super) fn imply_header(&mut self, base: u32, header: &[Field], vlan: bool) {
        match base {
            0 => {
                self.imply(self.link_type_at);
                if vlan && self.ethertype == Some(0x8100) {
                    self.imply_network();
                }
            }
            1 if !header.is_empty() => self.imply_network(),
            2 if header.first().is_some_and(|field| !field.name.starts_with("th ")) => {
                self.imply_transport();
                if matches!((self.protocol, self.ip6()), (Some(1), Some(false)) | (Some(58), Some(true))) {
                    self.imply_network();
                }
            }
            _ => {}
        }
    }

    fn imply(&mut self, part: Option<usize>) {
        if let Some(part) = part.and_then(|part| self.list.get_mut(part)) {
            part.implied = true;
        }
    }
}
