//! Decodes the expressions of a rule one after the other, as the kernel runs them: loads into registers, then
//! comparisons of registers.

use std::collections::BTreeMap;

use super::fields::{self, header, tile};
use super::matches::{Op, member, name_match};
use super::operand::{Operand, Payload};
use super::parts::Part;
use super::rule::Parts;
use super::sets::{self, Set};
use super::statements::{log, reject, stateful, verdict};
use super::values::{Kind, PROTOCOLS, symbol};
use super::xt;
use crate::net::firewall::wire::Attrs;

/// A load is never longer than a register file of 64 bytes (`NFT_DATA_VALUE_MAXLEN`).
const REGISTERS: usize = 64;

/// The state of decoding one rule.
pub(super) struct Decoder<'a> {
    pub(super) family: u8,
    table: &'a str,
    sets: &'a [Set],
    registers: BTreeMap<u32, Operand>,
    pub(super) parts: Parts,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(family: u8, table: &'a str, sets: &'a [Set]) -> Self {
        Self { family, table, sets, registers: BTreeMap::new(), parts: Parts::new(family) }
    }

    /// Decodes one expression (its attributes are in include/uapi/linux/netfilter, `nf_tables.h`).
    pub(super) fn expression(&mut self, name: &str, attrs: Attrs<'_>) {
        let register = |kind| attrs.u32(kind).map(slot);
        let known = match name {
            "meta" => self.meta(attrs),
            "ct" => self.ct(attrs),
            "payload" => self.payload(attrs),
            "exthdr" => self.exthdr(attrs),
            "immediate" => self.immediate(attrs),
            "cmp" => register(1).and_then(|from| self.cmp(from, attrs.u32(2)?, attrs.nest(3).get(1)?)),
            "range" => register(1).and_then(|from| {
                let op = if attrs.u32(2)? == 0 { Op::Equal } else { Op::Differ };
                self.compare(from, op, attrs.nest(3).get(1)?, Some(attrs.nest(4).get(1)?))
            }),
            "bitwise" => self.bitwise(attrs),
            "byteorder" => register(1).zip(register(2)).and_then(|(from, to)| {
                let operand = self.registers.get(&from)?.clone();
                self.registers.insert(to, Operand { host: attrs.u32(3) == Some(0), ..operand });
                Some(())
            }),
            "lookup" => self.lookup(attrs),
            "fib" => register(1).and_then(|to| {
                let (words, kind) = fields::fib(attrs.u32(2)?, attrs.u32(3).unwrap_or_default())?;
                self.load(to, Operand::new(words, kind, kind != Kind::Name, 4))
            }),
            "numgen" => register(1).and_then(|to| {
                let kind = if attrs.u32(3) == Some(0) { "inc" } else { "random" };
                let words = format!("numgen {kind} mod {}{}", attrs.u32(2)?, offset(attrs.u32(4)));
                self.load(to, Operand::new(words, Kind::Number, true, 4))
            }),
            "hash" => self.hash(attrs),
            "rt" => register(1).and_then(|to| {
                let (words, kind) = match attrs.u32(2)? {
                    1 | 2 => ("rt nexthop", Kind::Address),
                    3 => ("rt mtu", Kind::Number),
                    _ => return None,
                };
                self.load(to, Operand::new(words, kind, true, if attrs.u32(2) == Some(2) { 16 } else { 4 }))
            }),
            "socket" => register(2).and_then(|to| {
                let (words, kind) = match attrs.u32(1)? {
                    0 => ("socket transparent", Kind::Boolean),
                    1 => ("socket mark", Kind::Mark),
                    2 => ("socket wildcard", Kind::Boolean),
                    _ => return None,
                };
                self.load(to, Operand::new(words, kind, true, if kind == Kind::Mark { 4 } else { 1 }))
            }),
            "dynset" => self.dynset(attrs),
            "objref" => self.objref(attrs),
            "nat" | "masq" | "redir" => self.nat(name, attrs),
            "reject" => {
                let plain = matches!(libc::c_int::from(self.family), libc::NFPROTO_IPV4 | libc::NFPROTO_IPV6);
                if attrs.u32(1) == Some(0) {
                    self.parts.imply_network();
                }
                self.push(reject(attrs, self.parts.ip6() == Some(true), plain))
            }
            "log" => self.push(log(attrs)),
            "notrack" => self.push(Part::new("notrack").target("NOTRACK", "")),
            "queue" => self.queue(attrs),
            "flow_offload" => attrs.text(1).and_then(|table| self.push(Part::new(format!("flow add @{table}")))),
            "match" | "target" => {
                let info = attrs.get(3).unwrap_or_default();
                let mut part = xt::decode(
                    name == "target",
                    &attrs.text(1).unwrap_or_default(),
                    attrs.u32(2),
                    info,
                    self.parts.ip6() == Some(true),
                );
                // The ports of `multiport` are of the protocol that the rule required before.
                if let Some((ports, protocol)) =
                    part.text.strip_prefix("th ").zip(symbol(PROTOCOLS, self.parts.protocol.unwrap_or_default()))
                {
                    part.text = format!("{protocol} {ports}");
                }
                self.push(part)
            }
            _ => stateful(name, attrs).and_then(|part| self.push(part)),
        };
        if known.is_none() {
            // An unknown expression may have written any register.
            self.registers.clear();
            self.parts.push(Part::new(format!("<{name}>")));
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the last step of the decoders, which return whether they know the expression"
    )]
    pub(super) fn push(&mut self, part: Part) -> Option<()> {
        self.parts.push(part);
        Some(())
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the last step of the decoders, which return whether they know the expression"
    )]
    fn load(&mut self, to: u32, operand: Operand) -> Option<()> {
        self.registers.insert(to, operand);
        Some(())
    }

    pub(super) fn operand(&self, from: u32) -> Option<&Operand> {
        self.registers.get(&from)
    }

    fn meta(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let (words, kind, host) = fields::meta(attrs.u32(2)?)?;
        let length = match kind {
            Kind::Name => libc::IFNAMSIZ,
            Kind::HexSymbol(..) => 2,
            Kind::Symbol(_) if matches!(words, "iiftype" | "oiftype") => 2,
            Kind::Symbol(_) | Kind::Boolean => 1,
            _ => 4,
        };
        match attrs.u32(3) {
            Some(from) => self.assign(slot(from), words, kind, host),
            None => self.load(slot(attrs.u32(1)?), Operand::new(words, kind, host, length)),
        }
    }

    fn ct(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let (words, kind, host) = fields::ct(attrs.u32(2)?)?;
        let direction = match attrs.get(3).and_then(<[u8]>::first) {
            Some(0) => "original ",
            Some(_) => "reply ",
            None => "",
        };
        let length = match words {
            "direction" | "l3proto" | "protocol" => 1,
            "proto-src" | "proto-dst" | "zone" => 2,
            "packets" | "bytes" | "avgpkt" => 8,
            "ip6 saddr" | "ip6 daddr" | "helper" => 16,
            _ => 4,
        };
        let words = format!("ct {direction}{words}");
        match attrs.u32(4) {
            Some(from) => self.assign(slot(from), &words, kind, host),
            None => self.load(slot(attrs.u32(1)?), Operand::new(words, kind, host, length)),
        }
    }

    fn assign(&mut self, from: u32, words: &str, kind: Kind, host: bool) -> Option<()> {
        let value = self.operand(from)?.show(kind, host);
        self.push(Part::new(format!("{words} set {value}")))
    }

    fn payload(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let (base, offset, length) = (attrs.u32(2)?, attrs.u32(3)?.checked_mul(8)?, attrs.u32(4)?);
        let length = usize::try_from(length).ok().filter(|length| *length <= REGISTERS)?;
        let bits = u32::try_from(length * 8).ok()?;
        let known = header(base, self.parts.ethertype, self.parts.protocol);
        let fields = tile(known, offset, bits).unwrap_or_default();
        let writes = attrs.u32(5);
        self.parts.imply_header(base, known, fields.first().is_some_and(|field| field.name.starts_with("vlan")));
        let raw = format!("@{},{offset},{bits}", ["ll", "nh", "th", "ih"].get(base as usize).copied().unwrap_or("?"));
        let (words, kind) = match fields.as_slice() {
            [field] => (field.name.to_owned(), field.kind),
            _ => (raw, Kind::Hex),
        };
        if let Some(from) = writes {
            let one = fields.first().filter(|field| field.bits == bits)?;
            let value = self.operand(slot(from))?.constant.clone()?;
            return self.push(Part::new(format!("{} set {}", one.name, one.kind.show(&value, false))));
        }
        let payload = Some(Payload { header: known, offset, fields });
        self.load(slot(attrs.u32(1)?), Operand { payload, ..Operand::new(words, kind, false, length) })
    }

    fn exthdr(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let kind = attrs.get(2)?.first().copied()?;
        let present = attrs.u32(5).is_some_and(|flags| flags & 1 != 0);
        let words = match (attrs.u32(6).unwrap_or_default(), kind) {
            (1, 2) if !present && attrs.u32(3) == Some(2) && attrs.u32(4) == Some(2) => {
                "tcp option maxseg size".to_owned()
            }
            (1, kind) if present => format!("tcp option {kind}"),
            (2, 7) if present => "ip option rr".to_owned(),
            (2, 131) if present => "ip option lsrr".to_owned(),
            (2, 137) if present => "ip option ssrr".to_owned(),
            (2, 148) if present => "ip option ra".to_owned(),
            _ => return None,
        };
        if words.starts_with("tcp") {
            self.parts.imply_transport();
        }
        if let Some(from) = attrs.u32(7) {
            return self.assign(slot(from), &words, Kind::Number, false);
        }
        let kind = if present { Kind::Missing } else { Kind::Number };
        self.load(slot(attrs.u32(1)?), Operand::new(words, kind, false, usize::from(!present) + 1))
    }

    fn immediate(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let (to, data) = (attrs.u32(1)?, attrs.nest(2));
        if to == 0 {
            return self.push(verdict(data));
        }
        let value = data.get(1)?;
        self.load(slot(to), Operand::constant(value))
    }

    fn bitwise(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let operand = self.operand(slot(attrs.u32(1)?))?.clone();
        if operand.mask.is_some() || attrs.u32(6).unwrap_or_default() != 0 {
            return None;
        }
        let mask = (attrs.nest(4).get(1)?.to_vec(), attrs.nest(5).get(1)?.to_vec());
        self.load(slot(attrs.u32(2)?), Operand { mask: Some(mask), ..operand })
    }

    fn cmp(&mut self, from: u32, op: u32, value: &[u8]) -> Option<()> {
        self.compare(from, Op::new(op)?, value, None)
    }

    fn compare(&mut self, from: u32, op: Op, low: &[u8], high: Option<&[u8]>) -> Option<()> {
        let operand = self.operand(from)?.clone();
        name_match(&mut self.parts, &operand, op, low, high);
        Some(())
    }

    /// The operands in `length` bytes of registers. Each part of a concatenation starts at a 32-bit register.
    pub(super) fn gather(&self, from: u32, length: usize) -> Option<(String, Vec<sets::Part>)> {
        let (mut words, mut parts, mut at, mut left) = (Vec::new(), Vec::new(), from, length.min(REGISTERS));
        loop {
            let (word, part) = self.operand(at)?.part();
            let size = part.length.next_multiple_of(4).max(4);
            words.push(word);
            parts.push(part);
            if left <= size {
                return Some((words.join(" . "), parts));
            }
            left -= size;
            at = at.checked_add(u32::try_from(size / 4).ok()?)?;
        }
    }

    pub(super) fn set(&self, name: &str) -> Option<&'a Set> {
        self.sets.iter().find(|set| set.family == self.family && set.table == self.table && set.name == name)
    }

    fn lookup(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let name = attrs.text(1)?;
        let set = self.set(&name)?;
        let (words, parts) = self.gather(slot(attrs.u32(2)?), set.key_length)?;
        let shown = set.show(&parts);
        match attrs.u32(3) {
            Some(0) => self.push(Part::new(format!("{words} vmap {shown}"))),
            Some(to) => {
                let kinds = set.data_kinds();
                let kind = if let [kind] = kinds.as_slice() { *kind } else { Kind::Hex };
                self.load(
                    slot(to),
                    Operand::new(
                        format!("{words} map {shown}"),
                        kind,
                        kind == Kind::Mark,
                        set.data_length.min(REGISTERS),
                    ),
                )
            }
            None => {
                let op = if attrs.u32(5).is_some_and(|flags| flags & 1 != 0) { Op::Differ } else { Op::Equal };
                self.push(member(&words, op, &shown, set.anonymous()))
            }
        }
    }

    fn hash(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let modulus = attrs.u32(4)?;
        let words = if attrs.u32(7) == Some(1) {
            format!("symhash mod {modulus}{}", offset(attrs.u32(6)))
        } else {
            let (words, _) = self.gather(slot(attrs.u32(1)?), attrs.u32(3)? as usize)?;
            let seed =
                attrs.u32(5).filter(|seed| *seed != 0).map(|seed| format!(" seed {seed:#x}")).unwrap_or_default();
            format!("jhash {words} mod {modulus}{seed}{}", offset(attrs.u32(6)))
        };
        self.load(slot(attrs.u32(2)?), Operand::new(words, Kind::Number, true, 4))
    }
}

/// The first 32-bit register of a register: 1 to 4 are the old names of groups of four (enum `nft_registers`).
pub(super) fn slot(register: u32) -> u32 {
    if register < 8 { register.saturating_sub(1) * 4 } else { register - 8 }
}

fn offset(offset: Option<u32>) -> String {
    offset.filter(|offset| *offset > 0).map(|offset| format!(" offset {offset}")).unwrap_or_default()
}
