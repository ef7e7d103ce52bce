//! Comparisons: their text in nft's syntax, their column, their text in iptables' words.

use super::operand::Operand;
use super::parts::{Classic, Part, Place};
use super::rule::Parts;
use super::values::{Kind, flags, number};

/// A comparison (enum `nft_cmp_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Differ,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    pub(super) fn new(number: u32) -> Option<Self> {
        let all = [Self::Equal, Self::Differ, Self::Less, Self::LessEqual, Self::Greater, Self::GreaterEqual];
        all.get(usize::try_from(number).ok()?).copied()
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Differ => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }
}

/// Adds the comparison of `operand` with `low` (or with everything from `low` to `high`) to the rule.
pub(super) fn name_match(rule: &mut Parts, operand: &Operand, op: Op, low: &[u8], high: Option<&[u8]>) {
    if operand.mask.is_some() {
        rule.push(masked(operand, op, low));
        return;
    }
    // nft compiles a range into two comparisons of the same register; they are joined here.
    if op == Op::LessEqual
        && let Some(first) = rule.list.pop_if(|part| part.text.starts_with(&format!("{} >= ", operand.words)))
    {
        let low_words = first.text.rsplit(' ').next().unwrap_or_default().to_owned();
        let value = format!("{low_words}-{}", operand.kind.show(low, operand.host));
        rule.push(plain(&operand.words, operand.kind, Op::Equal, &value, true));
        return;
    }
    if let Some(high) = high {
        let value = operand.kind.range(low, high, operand.host);
        rule.push(plain(&operand.words, operand.kind, op, &value, low != high));
        return;
    }
    let payload = operand.payload.as_ref();
    let whole = payload
        .is_some_and(|payload| payload.fields.iter().map(|field| field.bits).sum::<u32>() as usize == low.len() * 8);
    match payload.map(|payload| payload.fields.as_slice()) {
        // Fields that were loaded at once can be written one by one if all are compared for equality.
        Some([_, _, ..]) if whole && op == Op::Equal && low.len() <= 16 => {
            for (field, value) in operand.split(low) {
                rule.learn(field.name, number(&value, false));
                rule.push(plain(field.name, field.kind, op, &field.kind.show(&value, false), false));
            }
        }
        // A comparison of the first bytes of an address is one of a prefix.
        Some([field]) if field.kind == Kind::Address && low.len() * 8 < field.bits as usize => {
            let mut address = low.to_vec();
            address.resize(field.bits as usize / 8, 0);
            let value = format!("{}/{}", field.kind.show(&address, false), low.len() * 8);
            rule.push(plain(field.name, field.kind, op, &value, false));
        }
        _ => {
            if op == Op::Equal {
                rule.learn(&operand.words, number(low, operand.host));
            }
            let value = operand.kind.show(low, operand.host);
            rule.push(plain(&operand.words, operand.kind, op, &value, false));
        }
    }
}

/// A comparison of masked bits.
fn masked(operand: &Operand, op: Op, value: &[u8]) -> Part {
    let words = &operand.words;
    if let Some((field, shift)) = operand.cut() {
        let shifted = super::values::bytes(number(value, false) >> shift.min(127), value.len());
        return plain(field.name, field.kind, op, &field.kind.show(&shifted, false), false);
    }
    if let (Some(prefix), Op::Equal | Op::Differ) = (operand.prefix(), op) {
        return plain(words, operand.kind, op, &format!("{}/{prefix}", operand.kind.show(value, false)), false);
    }
    let (mask, xor) = operand.mask.clone().unwrap_or_default();
    let (mask_number, number_of) = (number(&mask, operand.host), number(value, operand.host));
    let text = match (operand.kind, op) {
        (Kind::Bits(table), Op::Differ) if number_of == 0 => format!("{words} {}", flags(table, mask_number)),
        (Kind::Bits(table), Op::Equal) if number_of == 0 => format!("{words} ! {}", flags(table, mask_number)),
        (Kind::Bits(table), Op::Equal | Op::Differ) if number(&xor, false) == 0 => {
            let not = if op == Op::Differ { "!= " } else { "" };
            format!("{words} {not}{} / {}", flags(table, number_of), flags(table, mask_number))
        }
        (kind, op) => format!("{} {} {}", operand.show(kind, operand.host), op.sign(), kind.show(value, operand.host)),
    };
    let not = if op == Op::Differ { "!" } else { "" };
    let classic = match (words.as_str(), op) {
        ("tcp flags", Op::Equal | Op::Differ) => Classic::Transport {
            protocol: "tcp",
            slot: 3,
            words: format!("flags:{not}0x{mask_number:02X}/0x{number_of:02X}"),
        },
        ("meta mark", Op::Equal | Op::Differ) => Classic::Words(format!(
            "mark match {}{number_of:#x}/{mask_number:#x}",
            if not.is_empty() { "" } else { "! " }
        )),
        ("ip frag-off", Op::Equal) if (number_of, mask_number) == (0, 0x1fff) => Classic::Opt("!f"),
        ("ip frag-off", Op::Differ) if (number_of, mask_number) == (0, 0x1fff) => Classic::Opt("-f"),
        _ => Classic::Same,
    };
    Part { classic, ..Part::new(text) }
}

/// A comparison of a field with a value that is text already.
fn plain(words: &str, kind: Kind, op: Op, value: &str, range: bool) -> Part {
    let sign = match (op, kind) {
        (Op::Equal, Kind::Bits(_)) => "== ".to_owned(),
        (Op::Equal, _) => String::new(),
        (op, _) => format!("{} ", op.sign()),
    };
    let part = Part::new(format!("{words} {sign}{value}"));
    if !matches!(op, Op::Equal | Op::Differ) {
        return part;
    }
    let not = if op == Op::Differ { "!" } else { "" };
    let column = format!("{not}{value}");
    let place = match words {
        "meta l4proto" | "ip protocol" | "ip6 nexthdr" if !range => Place::Prot(column),
        "ip saddr" | "ip6 saddr" | "arp saddr ip" => Place::Source(column),
        "ip daddr" | "ip6 daddr" | "arp daddr ip" => Place::Destination(column),
        _ => Place::Extra,
    };
    Part { place, classic: classic(words, not, value, range), ..part }
}

fn classic(words: &str, not: &str, value: &str, range: bool) -> Classic {
    let plural = if range { "s" } else { "" };
    match words.split_once(' ') {
        None if matches!(words, "iif" | "oif" | "iifname" | "oifname") => Classic::Nothing,
        Some(("meta", "mark")) if !range => {
            // nft pads a mark to eight digits, iptables does not.
            let digits = value.trim_start_matches("0x").trim_start_matches('0');
            let digits = if digits.is_empty() { "0".to_owned() } else { format!("0x{digits}") };
            Classic::Words(format!("mark match {}{digits}", if not.is_empty() { "" } else { "! " }))
        }
        Some((protocol, port @ ("sport" | "dport"))) => {
            let Some(protocol) = ["tcp", "udp", "udplite", "sctp", "dccp"].into_iter().find(|known| *known == protocol)
            else {
                return Classic::Same;
            };
            let (slot, name) = if port == "sport" { (0, "spt") } else { (1, "dpt") };
            Classic::Transport { protocol, slot, words: format!("{name}{plural}:{not}{}", value.replace('-', ":")) }
        }
        _ => Classic::Same,
    }
}

/// A lookup of an operand in a set. Only a named set is short enough for a column.
pub(super) fn member(words: &str, op: Op, set: &str, anonymous: bool) -> Part {
    let part =
        if op == Op::Differ { Part::new(format!("{words} != {set}")) } else { Part::new(format!("{words} {set}")) };
    let column = if op == Op::Differ { format!("!{set}") } else { set.to_owned() };
    let place = match words {
        _ if anonymous => Place::Extra,
        "ip saddr" | "ip6 saddr" => Place::Source(column),
        "ip daddr" | "ip6 daddr" => Place::Destination(column),
        _ => Place::Extra,
    };
    Part { place, ..part }
}
