//! The header fields that a rule can load, and the keys of `meta` and `ct`.

use super::values::{
    ADDRESS_TYPES, ARP, DIRECTIONS, DSCP, ETHERTYPES, FAMILIES, FLAGS, ICMP, ICMP6, Kind, LINK_TYPES, PACKETS,
    PROTOCOLS, STATES, STATUSES,
};

/// A field of a header: nft's name, its offset and its length in bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: u32,
    pub(super) bits: u32,
    pub(super) kind: Kind,
}

const fn field(name: &'static str, offset: u32, bits: u32, kind: Kind) -> Field {
    Field { name, offset, bits, kind }
}

use Kind::{Address, Ether, HexSymbol, Number, Symbol};

const ETHER: &[Field] = &[
    field("ether daddr", 0, 48, Ether),
    field("ether saddr", 48, 48, Ether),
    field("ether type", 96, 16, HexSymbol(ETHERTYPES, 4)),
    field("vlan pcp", 112, 3, Number),
    field("vlan dei", 115, 1, Number),
    field("vlan id", 116, 12, Number),
    field("vlan type", 128, 16, HexSymbol(ETHERTYPES, 4)),
];
const IP: &[Field] = &[
    field("ip version", 0, 4, Number),
    field("ip hdrlength", 4, 4, Number),
    field("ip dscp", 8, 6, HexSymbol(DSCP, 2)),
    field("ip ecn", 14, 2, Number),
    field("ip length", 16, 16, Number),
    field("ip id", 32, 16, Number),
    field("ip frag-off", 48, 16, Number),
    field("ip ttl", 64, 8, Number),
    field("ip protocol", 72, 8, Symbol(PROTOCOLS)),
    field("ip checksum", 80, 16, Number),
    field("ip saddr", 96, 32, Address),
    field("ip daddr", 128, 32, Address),
];
const IP6: &[Field] = &[
    field("ip6 version", 0, 4, Number),
    field("ip6 dscp", 4, 6, HexSymbol(DSCP, 2)),
    field("ip6 ecn", 10, 2, Number),
    field("ip6 flowlabel", 12, 20, Number),
    field("ip6 length", 32, 16, Number),
    field("ip6 nexthdr", 48, 8, Symbol(PROTOCOLS)),
    field("ip6 hoplimit", 56, 8, Number),
    field("ip6 saddr", 64, 128, Address),
    field("ip6 daddr", 192, 128, Address),
];
const ARP_HEADER: &[Field] = &[
    field("arp htype", 0, 16, Number),
    field("arp ptype", 16, 16, HexSymbol(ETHERTYPES, 4)),
    field("arp hlen", 32, 8, Number),
    field("arp plen", 40, 8, Number),
    field("arp operation", 48, 16, Symbol(ARP)),
    field("arp saddr ether", 64, 48, Ether),
    field("arp saddr ip", 112, 32, Address),
    field("arp daddr ether", 144, 48, Ether),
    field("arp daddr ip", 192, 32, Address),
];
const TCP: &[Field] = &[
    field("tcp sport", 0, 16, Number),
    field("tcp dport", 16, 16, Number),
    field("tcp sequence", 32, 32, Number),
    field("tcp ackseq", 64, 32, Number),
    field("tcp doff", 96, 4, Number),
    field("tcp reserved", 100, 4, Number),
    field("tcp flags", 104, 8, Kind::Bits(FLAGS)),
    field("tcp window", 112, 16, Number),
    field("tcp checksum", 128, 16, Number),
    field("tcp urgptr", 144, 16, Number),
];
const UDP: &[Field] = &[
    field("udp sport", 0, 16, Number),
    field("udp dport", 16, 16, Number),
    field("udp length", 32, 16, Number),
    field("udp checksum", 48, 16, Number),
];
const UDPLITE: &[Field] = &[field("udplite sport", 0, 16, Number), field("udplite dport", 16, 16, Number)];
const DCCP: &[Field] = &[field("dccp sport", 0, 16, Number), field("dccp dport", 16, 16, Number)];
const SCTP: &[Field] =
    &[field("sctp sport", 0, 16, Number), field("sctp dport", 16, 16, Number), field("sctp vtag", 32, 32, Number)];
const ANY: &[Field] = &[field("th sport", 0, 16, Number), field("th dport", 16, 16, Number)];
const ICMP_HEADER: &[Field] = &[
    field("icmp type", 0, 8, Symbol(ICMP)),
    field("icmp code", 8, 8, Number),
    field("icmp checksum", 16, 16, Number),
    field("icmp id", 32, 16, Number),
    field("icmp sequence", 48, 16, Number),
];
const ICMP6_HEADER: &[Field] = &[
    field("icmpv6 type", 0, 8, Symbol(ICMP6)),
    field("icmpv6 code", 8, 8, Number),
    field("icmpv6 checksum", 16, 16, Number),
    field("icmpv6 id", 32, 16, Number),
    field("icmpv6 sequence", 48, 16, Number),
];
const IGMP: &[Field] = &[field("igmp type", 0, 8, Number), field("igmp group", 32, 32, Address)];
const ESP: &[Field] = &[field("esp spi", 0, 32, Number), field("esp sequence", 32, 32, Number)];
const AH: &[Field] = &[field("ah nexthdr", 0, 8, Symbol(PROTOCOLS)), field("ah spi", 32, 32, Number)];

/// The fields of the header at a payload base, by the protocols that the rule requires.
pub(super) fn header(base: u32, ethertype: Option<u128>, protocol: Option<u128>) -> &'static [Field] {
    match (base, ethertype, protocol) {
        (0, _, _) => ETHER,
        (1, Some(0x0800), _) => IP,
        (1, Some(0x86dd), _) => IP6,
        (1, Some(0x0806), _) => ARP_HEADER,
        (2, _, Some(1)) => ICMP_HEADER,
        (2, _, Some(2)) => IGMP,
        (2, _, Some(6)) => TCP,
        (2, _, Some(17)) => UDP,
        (2, _, Some(33)) => DCCP,
        (2, _, Some(50)) => ESP,
        (2, _, Some(51)) => AH,
        (2, _, Some(58)) => ICMP6_HEADER,
        (2, _, Some(132)) => SCTP,
        (2, _, Some(136)) => UDPLITE,
        (2, _, _) => ANY,
        _ => &[],
    }
}

/// The fields in `bits` bits from `offset`: neighbouring ones (nft loads `tcp sport 1 tcp dport 2` at once), of which the
/// last may be an address cut at a whole byte (a `/8` loads one byte).
pub(super) fn tile(header: &'static [Field], offset: u32, bits: u32) -> Option<Vec<&'static Field>> {
    let end = offset.checked_add(bits)?;
    let mut found = Vec::new();
    let mut at = offset;
    while at < end {
        let next = header.iter().find(|field| field.offset == at)?;
        if at + next.bits > end && !(next.kind == Address && found.is_empty()) {
            return None;
        }
        at += next.bits;
        found.push(next);
    }
    Some(found)
}

/// A key of `meta` (enum `nft_meta_keys`): words, kind, whether the kernel keeps it in host byte order.
pub(super) fn meta(key: u32) -> Option<(&'static str, Kind, bool)> {
    Some(match key {
        0 => ("meta length", Number, true),
        1 => ("meta protocol", HexSymbol(ETHERTYPES, 4), false),
        2 => ("meta priority", Kind::Mark, true),
        3 => ("meta mark", Kind::Mark, true),
        4 => ("iif", Kind::Index, true),
        5 => ("oif", Kind::Index, true),
        6 => ("iifname", Kind::Name, false),
        7 => ("oifname", Kind::Name, false),
        8 => ("iiftype", Symbol(LINK_TYPES), true),
        9 => ("oiftype", Symbol(LINK_TYPES), true),
        10 => ("meta skuid", Number, true),
        11 => ("meta skgid", Number, true),
        12 => ("meta nftrace", Kind::Boolean, true),
        15 => ("meta nfproto", Symbol(FAMILIES), false),
        16 => ("meta l4proto", Symbol(PROTOCOLS), false),
        17 => ("ibrname", Kind::Name, false),
        18 => ("obrname", Kind::Name, false),
        19 => ("meta pkttype", Symbol(PACKETS), true),
        20 => ("meta cpu", Number, true),
        21 => ("iifgroup", Number, true),
        22 => ("oifgroup", Number, true),
        23 => ("meta cgroup", Number, true),
        24 => ("meta random", Number, false),
        26 => ("meta iifkind", Kind::Name, false),
        27 => ("meta oifkind", Kind::Name, false),
        32 => ("meta hour", Kind::Hour, true),
        33 => ("meta sdif", Kind::Index, true),
        34 => ("meta sdifname", Kind::Name, false),
        _ => return None,
    })
}

/// A key of `ct` (enum `nft_ct_keys`).
pub(super) fn ct(key: u32) -> Option<(&'static str, Kind, bool)> {
    Some(match key {
        0 => ("state", Kind::Bits(STATES), true),
        1 => ("direction", Symbol(DIRECTIONS), true),
        2 => ("status", Kind::Bits(STATUSES), true),
        3 => ("mark", Kind::Mark, true),
        5 => ("expiration", Number, true),
        6 => ("helper", Kind::Name, false),
        7 => ("l3proto", Symbol(FAMILIES), false),
        10 => ("protocol", Symbol(PROTOCOLS), false),
        11 => ("proto-src", Number, false),
        12 => ("proto-dst", Number, false),
        14 => ("packets", Number, true),
        15 => ("bytes", Number, true),
        16 => ("avgpkt", Number, true),
        17 => ("zone", Number, true),
        19 => ("ip saddr", Address, false),
        20 => ("ip daddr", Address, false),
        21 => ("ip6 saddr", Address, false),
        22 => ("ip6 daddr", Address, false),
        23 => ("id", Number, true),
        _ => return None,
    })
}

/// The result of `fib` (enum `nft_fib_result`); with the flag `present` (bit 5), whether there is a route.
pub(super) fn fib(result: u32, flags: u32) -> Option<(String, Kind)> {
    let asked = ["saddr", "daddr", "mark", "iif", "oif"].iter().enumerate();
    let words: Vec<&str> = asked.filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, word)| *word).collect();
    let (answer, kind) = match result {
        1 | 2 if flags >> 5 & 1 == 1 => ("oif", Kind::Missing),
        1 => ("oif", Kind::Index),
        2 => ("oifname", Kind::Name),
        3 => ("type", Symbol(ADDRESS_TYPES)),
        _ => return None,
    };
    Some((format!("fib {} {answer}", words.join(" . ")), kind))
}
