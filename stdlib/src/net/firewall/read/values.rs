//! The text of a constant in a rule, by the kind of the field that it is compared with.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::net::firewall::wire::text;

/// The kind of a field, which decides how its values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Ether,
    Number,
    Mark,
    Name,
    Index,
    Boolean,
    Missing,
    Hour,
    Hex,
    /// A word for each known number; other values are decimal.
    Symbol(&'static [(u128, &'static str)]),
    /// A word for each known number; other values are hexadecimal, with that many digits.
    HexSymbol(&'static [(u128, &'static str)], usize),
    /// A word for each bit.
    Bits(&'static [(u128, &'static str)]),
}

pub(super) const PROTOCOLS: &[(u128, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (89, "ospf"),
    (103, "pim"),
    (108, "comp"),
    (112, "vrrp"),
    (132, "sctp"),
    (136, "udplite"),
];
pub(super) const FAMILIES: &[(u128, &str)] =
    &[(1, "inet"), (2, "ipv4"), (3, "arp"), (5, "netdev"), (7, "bridge"), (10, "ipv6")];
pub(super) const ETHERTYPES: &[(u128, &str)] = &[
    (0x0800, "ip"),
    (0x0806, "arp"),
    (0x8100, "8021q"),
    (0x86dd, "ip6"),
    (0x88a8, "8021ad"),
    (0x8847, "0x8847"),
    (0x8863, "0x8863"),
];
pub(super) const STATES: &[(u128, &str)] =
    &[(1, "invalid"), (8, "new"), (2, "established"), (4, "related"), (64, "untracked")];
pub(super) const STATUSES: &[(u128, &str)] =
    &[(1, "expected"), (2, "seen-reply"), (4, "assured"), (8, "confirmed"), (16, "snat"), (32, "dnat"), (512, "dying")];
pub(super) const FLAGS: &[(u128, &str)] =
    &[(1, "fin"), (2, "syn"), (4, "rst"), (8, "psh"), (16, "ack"), (32, "urg"), (64, "ecn"), (128, "cwr")];
pub(super) const DIRECTIONS: &[(u128, &str)] = &[(0, "original"), (1, "reply")];
pub(super) const PACKETS: &[(u128, &str)] = &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")];
/// `RTN_*` of include/uapi/linux/rtnetlink.h, which `fib` and the xt match `addrtype` share.
pub(super) const ADDRESS_TYPES: &[(u128, &str)] = &[
    (0, "unspec"),
    (1, "unicast"),
    (2, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
    (9, "throw"),
    (10, "nat"),
    (11, "xresolve"),
];
pub(super) const ARP: &[(u128, &str)] =
    &[(1, "request"), (2, "reply"), (3, "rrequest"), (4, "rreply"), (8, "inrequest"), (9, "inreply"), (10, "nak")];
pub(super) const DSCP: &[(u128, &str)] = &[
    (0, "cs0"),
    (8, "cs1"),
    (16, "cs2"),
    (24, "cs3"),
    (32, "cs4"),
    (40, "cs5"),
    (48, "cs6"),
    (56, "cs7"),
    (10, "af11"),
    (12, "af12"),
    (14, "af13"),
    (18, "af21"),
    (20, "af22"),
    (22, "af23"),
    (26, "af31"),
    (28, "af32"),
    (30, "af33"),
    (34, "af41"),
    (36, "af42"),
    (38, "af43"),
    (46, "ef"),
];
pub(super) const ICMP: &[(u128, &str)] = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (15, "info-request"),
    (16, "info-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];
pub(super) const ICMP6: &[(u128, &str)] = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"),
    (142, "ind-neighbor-advert"),
    (143, "mld2-listener-report"),
];
pub(super) const LINK_TYPES: &[(u128, &str)] =
    &[(1, "ether"), (512, "ppp"), (768, "ipip"), (772, "loopback"), (776, "sit"), (778, "ipgre")];

/// The bytes of a register as a number; `host` if the kernel keeps them in its own byte order.
pub(super) fn number(bytes: &[u8], host: bool) -> u128 {
    let join = |sum: u128, byte: &u8| sum << 8 | u128::from(*byte);
    let bytes = bytes.get(..bytes.len().min(16)).unwrap_or_default();
    if host && cfg!(target_endian = "little") { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
}

/// The last `length` bytes of a number, in network byte order.
pub(super) fn bytes(number: u128, length: usize) -> Vec<u8> {
    let all = number.to_be_bytes();
    all.get(all.len().saturating_sub(length)..).unwrap_or_default().to_vec()
}

pub(super) fn symbol(table: &[(u128, &str)], number: u128) -> Option<String> {
    table.iter().find(|(value, _)| *value == number).map(|(_, word)| (*word).to_owned())
}

/// The words of the bits that are set, joined by commas.
pub(super) fn flags(table: &[(u128, &str)], number: u128) -> String {
    let words: Vec<&str> = table.iter().filter(|(bit, _)| number & bit != 0).map(|(_, word)| *word).collect();
    let known = table.iter().fold(0, |sum, (bit, _)| sum | bit);
    match number & !known {
        0 if words.is_empty() => "0x0".to_owned(),
        0 => words.join(","),
        rest => words.into_iter().map(str::to_owned).chain([format!("{rest:#x}")]).collect::<Vec<_>>().join(","),
    }
}

/// An address from its 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(bytes).to_string()
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        Ipv6Addr::from(bytes).to_string()
    } else {
        hex(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + format!("{byte:02x}").as_str())
}

impl Kind {
    /// The text of the value `bytes` in nft's syntax.
    pub(super) fn show(self, bytes: &[u8], host: bool) -> String {
        let value = number(bytes, host);
        match self {
            Self::Address => address(bytes),
            Self::Ether => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
            Self::Mark => format!("{value:#010x}"),
            // Fewer bytes than a name and its NUL are a prefix, which nft writes as `eth*`.
            Self::Name if !bytes.contains(&0) && bytes.len() < libc::IFNAMSIZ => format!("\"{}*\"", text(bytes)),
            Self::Name => format!("\"{}\"", text(bytes)),
            // The rule has the index, not the name. Only `lo` has a fixed one (drivers/net/loopback.c).
            Self::Index if value == 1 => "\"lo\"".to_owned(),
            Self::Number | Self::Index => value.to_string(),
            Self::Boolean => if value == 0 { "0" } else { "1" }.to_owned(),
            Self::Missing => if value == 0 { "missing" } else { "exists" }.to_owned(),
            Self::Hour => format!("\"{:02}:{:02}\"", value / 3600, value / 60 % 60),
            Self::Hex => hex(bytes),
            Self::Symbol(table) => symbol(table, value).unwrap_or_else(|| value.to_string()),
            Self::HexSymbol(table, digits) => {
                symbol(table, value).unwrap_or_else(|| format!("{value:#0width$x}", width = digits + 2))
            }
            Self::Bits(table) => flags(table, value),
        }
    }

    /// The text of the range from `low` to `high`: one value, a prefix, or both ends.
    pub(super) fn range(self, low: &[u8], high: &[u8], host: bool) -> String {
        if low == high {
            return self.show(low, host);
        }
        let span = number(low, false) ^ number(high, false);
        let starts = number(low, false) & span == 0 && number(high, false) & span == span;
        if self == Self::Address && low.len() == high.len() && starts && span.wrapping_add(1).is_power_of_two() {
            return format!("{}/{}", address(low), low.len() * 8 - span.count_ones() as usize);
        }
        format!("{}-{}", self.show(low, host), self.show(high, host))
    }

    /// The types of a set's key or data in nft's own type number: six bits for each part of a concatenation.
    pub(super) fn types(number: u32) -> Vec<u32> {
        let parts = (0..6).rev().map(|part| number >> (6 * part) & 0x3f);
        parts.filter(|part| *part != 0).collect()
    }

    /// The kind of one of nft's types (include/datatype.h of nftables, enum datatypes).
    pub(super) fn of(part: u32) -> Self {
        match part {
            7 | 8 => Self::Address,
            9 => Self::Ether,
            10 => Self::HexSymbol(ETHERTYPES, 4),
            12 => Self::Symbol(PROTOCOLS),
            13 | 4 => Self::Number,
            19 => Self::Mark,
            41 => Self::Name,
            _ => Self::Hex,
        }
    }

    /// The kinds of a set's key or data.
    pub(super) fn of_type(number: u32) -> Vec<Self> {
        Self::types(number).into_iter().map(Self::of).collect()
    }

    /// The length of a value of one of nft's types in bytes.
    pub(super) fn length_of(part: u32) -> usize {
        match part {
            8 | 41 => 16,
            9 => 6,
            10 | 13 => 2,
            12 => 1,
            _ => 4,
        }
    }
}

/// The comments in the user data of a rule or of an element (`NFTNL_UDATA_SET_ELEM_COMMENT` is 0 too).
pub(super) fn comments(mut data: &[u8]) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        while let Some((&[kind, length], rest)) = data.split_first_chunk::<2>() {
            let (value, rest) = rest.split_at_checked(length.into())?;
            data = rest;
            if kind == 0 {
                return Some(text(value));
            }
        }
        None
    })
}

/// A duration in nft's syntax: `1h30m`, `10s`, `500ms`.
pub(super) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (milliseconds % 1000, "ms"),
    ];
    let units = units.into_iter().filter(|(count, _)| *count > 0);
    units.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().concat()
}
