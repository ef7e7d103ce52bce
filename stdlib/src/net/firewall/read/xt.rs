//! The matches and targets of `x_tables`, which `iptables` puts into `nf_tables` as structs in host byte order.

use super::parts::{Classic, Part, Place};
use super::statements::{address_port, log_words, nat_flags};
use super::values::{ADDRESS_TYPES, FLAGS, ICMP, ICMP6, address, flags, symbol};
use crate::net::firewall::wire::text;

/// A struct of the kernel, read field by field. A field outside the bytes is absent.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn at(self, offset: usize, length: usize) -> Option<&'a [u8]> {
        self.0.get(offset..offset.checked_add(length)?)
    }

    fn u8(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    fn u16(self, offset: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(self.at(offset, 2)?.try_into().ok()?))
    }

    fn port(self, offset: usize) -> Option<u16> {
        self.u16(offset).map(u16::from_be)
    }

    fn u32(self, offset: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.at(offset, 4)?.try_into().ok()?))
    }
}

/// Decodes a match or target by name and revision; `<xt NAME>` if its struct is unknown.
pub(super) fn decode(target: bool, name: &str, revision: Option<u32>, info: &[u8], ip6: bool) -> Part {
    let info = Bytes(info);
    let known = match (target, name, revision.unwrap_or_default()) {
        (false, "conntrack", 3) => conntrack(info),
        (false, "comment", _) => comment(info),
        (false, "multiport", 1) => multiport(info),
        (false, "icmp", 0) => icmp(info, "icmp", "icmp", ICMP),
        (false, "icmp6", 0) => icmp(info, "ipv6-icmp", "icmpv6", ICMP6),
        (false, "tcp", 0) => tcp(info),
        (false, "udp", 0) => udp(info),
        (false, "statistic", 0) => statistic(info),
        (false, "addrtype", 1) => address_type(info),
        (true, "LOG", 0) => log(info),
        (true, "REJECT", 0) => reject(info, ip6),
        (true, "MASQUERADE", 0) => nat(info, "masquerade", false, false),
        (true, "REDIRECT", 0) => nat(info, "redirect", false, ip6),
        (true, "SNAT", 0) => nat(info, "snat", false, false),
        (true, "SNAT", 1) => nat(info, "snat", true, ip6),
        (true, "DNAT", 0) => nat(info, "dnat", false, false),
        (true, "DNAT", 1 | 2) => nat(info, "dnat", true, ip6),
        (true, "MARK", 2) => mark(info),
        (true, "TCPMSS", 0) => mss(info),
        _ => None,
    };
    let part = known.unwrap_or_else(|| {
        let unknown = Part::new(format!("<xt {name}>"));
        if target { unknown.target(name, format!("<xt {name}>")) } else { unknown }
    });
    // A target that is not decoded still shows its name in the first column.
    match part.place {
        Place::Extra if target => Part { place: Place::Target(name.to_owned(), part.text.clone()), ..part },
        _ => part,
    }
}

/// `struct xt_conntrack_mtinfo3`: eight addresses, then times, ports, and from 146 on the flags and the states.
fn conntrack(info: Bytes<'_>) -> Option<Part> {
    let (what, inverted, states) = (info.u16(146)?, info.u16(148)?, info.u16(150)?);
    // Bit 13 means that the rule was written with `-m state`. Of the other fields only the state is decoded.
    if what & !0x2000 != 1 {
        return None;
    }
    // In iptables' order. SNAT and DNAT are states only in iptables.
    let names = [
        (1, "INVALID"),
        (8, "NEW"),
        (4, "RELATED"),
        (2, "ESTABLISHED"),
        (256, "UNTRACKED"),
        (64, "SNAT"),
        (128, "DNAT"),
    ];
    let words: Vec<&str> = names.into_iter().filter(|(bit, _)| states & bit != 0).map(|(_, word)| word).collect();
    let words = words.join(",");
    let name = if what & 0x2000 == 0 { "ctstate" } else { "state" };
    let not = inverted & 1 != 0;
    let nft = format!("ct state {}{}", if not { "! " } else { "" }, words.to_lowercase());
    Some(Part::new(nft).classic(format!("{}{name} {words}", if not { "! " } else { "" })))
}

fn comment(info: Bytes<'_>) -> Option<Part> {
    let comment = text(info.at(0, 1).map(|_| info.0)?);
    Some(Part::new(format!("comment \"{comment}\"")).classic(format!("/* {comment} */")))
}

/// `struct xt_multiport_v1`: which side, how many, fifteen ports, whether each begins a range, inverted.
fn multiport(info: Bytes<'_>) -> Option<Part> {
    let (side, count, not) = (info.u8(0)?, info.u8(1)?, info.u8(47)? != 0);
    let (mut nft, mut classic) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < usize::from(count.min(15)) {
        let first = info.u16(2 + 2 * index)?;
        if info.u8(32 + index)? == 0 {
            nft.push(first.to_string());
            classic.push(first.to_string());
        } else {
            index += 1;
            let last = info.u16(2 + 2 * index)?;
            nft.push(format!("{first}-{last}"));
            classic.push(format!("{first}:{last}"));
        }
        index += 1;
    }
    let (nft_side, side) = match side {
        0 => ("th sport", "sports"),
        1 => ("th dport", "dports"),
        _ => ("<either port>", "ports"),
    };
    let text = format!("{nft_side} {}{{ {} }}", if not { "!= " } else { "" }, nft.join(", "));
    Some(Part::new(text).classic(format!("multiport {side} {}{}", if not { " !" } else { "" }, classic.join(","))))
}

/// `struct ipt_icmp`: type, first and last code, inverted.
fn icmp(info: Bytes<'_>, name: &str, nft: &str, table: &[(u128, &str)]) -> Option<Part> {
    let (kind, low, high, not) = (info.u8(0)?, info.u8(1)?, info.u8(2)?, info.u8(3)? & 1 != 0);
    if kind == 0xff && table == ICMP {
        return Some(Part::new("").classic(if not { "!icmp any" } else { "" }));
    }
    let codes = match (low, high) {
        (0, 0xff) => String::new(),
        (low, high) if low == high => format!(" code {low}"),
        (low, high) => format!(" codes {low}-{high}"),
    };
    let word = symbol(table, kind.into()).unwrap_or_else(|| kind.to_string());
    let nft_codes = codes.replace("codes", "code");
    let nft_codes = if codes.is_empty() { codes.clone() } else { format!(" {nft}{nft_codes}") };
    let text = if not { format!("{nft} type != {word}{nft_codes}") } else { format!("{nft} type {word}{nft_codes}") };
    let classic = if not { format!("{name} !type {kind}{codes}") } else { format!("{name}type {kind}{codes}") };
    Some(Part::new(text).classic(classic))
}

/// One side of a port match, in nft's and in iptables' words; empty if it matches every port.
fn ports(info: Bytes<'_>, offset: usize, not: bool, nft: &str, name: &str) -> Option<(String, String)> {
    let (low, high) = (info.u16(offset)?, info.u16(offset + 2)?);
    if (low, high) == (0, u16::MAX) && !not {
        return Some((String::new(), String::new()));
    }
    let (differ, bang) = if not { ("!= ", "!") } else { ("", "") };
    Some(if low == high {
        (format!("{nft} {differ}{low}"), format!(" {name}:{bang}{low}"))
    } else {
        (format!("{nft} {differ}{low}-{high}"), format!(" {name}s:{bang}{low}:{high}"))
    })
}

fn join(words: &[String]) -> String {
    words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// `struct xt_tcp`: two port ranges, an option, the mask and value of the flags, what is inverted.
fn tcp(info: Bytes<'_>) -> Option<Part> {
    let (option, mask, value, inverted) = (info.u8(8)?, info.u8(9)?, info.u8(10)?, info.u8(11)?);
    let (source, spt) = ports(info, 0, inverted & 1 != 0, "tcp sport", "spt")?;
    let (destination, dpt) = ports(info, 4, inverted & 2 != 0, "tcp dport", "dpt")?;
    let (mut words, mut classic) = (vec![source, destination], format!("tcp{spt}{dpt}"));
    if option != 0 {
        let not = inverted & 8 != 0;
        words.push(format!("tcp option {option} {}", if not { "missing" } else { "exists" }));
        classic = format!("{classic} option={}{option}", if not { "!" } else { "" });
    }
    if mask != 0 {
        let not = inverted & 4 != 0;
        let differ = if not { "!= " } else { "" };
        words.push(format!("tcp flags {differ}{} / {}", flags(FLAGS, value.into()), flags(FLAGS, mask.into())));
        classic = format!("{classic} flags:{}0x{mask:02X}/0x{value:02X}", if not { "!" } else { "" });
    }
    Some(Part::new(join(&words)).classic(classic))
}

fn udp(info: Bytes<'_>) -> Option<Part> {
    let inverted = info.u8(8)?;
    let (source, spt) = ports(info, 0, inverted & 1 != 0, "udp sport", "spt")?;
    let (destination, dpt) = ports(info, 4, inverted & 2 != 0, "udp dport", "dpt")?;
    Some(Part::new(join(&[source, destination])).classic(format!("udp{spt}{dpt}")))
}

/// `struct xt_statistic_info`: the mode, inverted, and either a probability of 2^31 or a count.
fn statistic(info: Bytes<'_>) -> Option<Part> {
    let not = info.u16(2)? & 1 != 0;
    let bang = if not { "! " } else { "" };
    if info.u16(0)? == 0 {
        let probability = info.u32(4)?;
        let sign = if not { ">=" } else { "<" };
        let classic =
            format!("statistic mode random {bang}probability {:.11}", f64::from(probability) / f64::from(1_u32 << 31));
        return Some(Part::new(format!("meta random & 2147483647 {sign} {probability}")).classic(classic));
    }
    let (every, packet) = (u64::from(info.u32(4)?) + 1, info.u32(8)?);
    let sign = if not { "!= " } else { "" };
    let rest = if packet == 0 { String::new() } else { format!(" packet {packet}") };
    Some(
        Part::new(format!("numgen inc mod {every} {sign}{packet}"))
            .classic(format!("statistic mode nth {bang}every {every}{rest}")),
    )
}

/// `struct xt_addrtype_info_v1`: the types of source and destination as bits, and flags.
fn address_type(info: Bytes<'_>) -> Option<Part> {
    let (source, destination, what) = (info.u16(0)?, info.u16(2)?, info.u32(4)?);
    let (mut nft, mut classic) = (Vec::new(), "ADDRTYPE match".to_owned());
    for (types, bit, side, name) in [(source, 1, "saddr", "src-type"), (destination, 2, "daddr", "dst-type")] {
        if types == 0 {
            continue;
        }
        let words: Vec<&str> =
            ADDRESS_TYPES.iter().filter(|(kind, _)| types >> kind & 1 != 0).map(|(_, word)| *word).collect();
        let (not, bang) = if what & bit != 0 { ("!= ", "!") } else { ("", "") };
        let set =
            if let [word] = words.as_slice() { (*word).to_owned() } else { format!("{{ {} }}", words.join(", ")) };
        nft.push(format!("fib {side} type {not}{set}"));
        classic = format!("{classic} {name} {bang}{}", words.join(",").to_uppercase());
    }
    for (bit, word) in [(4, "limit-in"), (8, "limit-out")] {
        if what & bit != 0 {
            classic = format!("{classic} {word}");
        }
    }
    Some(Part::new(nft.join(" ")).classic(classic))
}

/// `struct xt_log_info`: level, flags, prefix.
fn log(info: Bytes<'_>) -> Option<Part> {
    let (level, flags, prefix) = (info.u8(0)?, info.u8(1)?, text(info.at(2, 30)?));
    let words = if prefix.is_empty() { String::new() } else { format!(" prefix \"{prefix}\"") };
    let rest = format!("{words}{}", log_words(level.into(), flags.into()));
    let part = Part::new(format!("log{rest}")).target("LOG", rest.trim_start());
    Some(part.classic(format!("LOG flags {flags} level {level}{words}")))
}

/// `struct ipt_reject_info` and `ip6t_reject_info`: one number, which is not the ICMP code.
fn reject(info: Bytes<'_>, ip6: bool) -> Option<Part> {
    const WITH: &[(&str, &str)] = &[
        ("icmp-net-unreachable", "icmp net-unreachable"),
        ("icmp-host-unreachable", "icmp host-unreachable"),
        ("icmp-proto-unreachable", "icmp prot-unreachable"),
        ("icmp-port-unreachable", ""),
        ("echo-reply", "<echo reply>"),
        ("icmp-net-prohibited", "icmp net-prohibited"),
        ("icmp-host-prohibited", "icmp host-prohibited"),
        ("tcp-reset", "tcp reset"),
        ("icmp-admin-prohibited", "icmp admin-prohibited"),
    ];
    const WITH6: &[(&str, &str)] = &[
        ("icmp6-no-route", "icmpv6 no-route"),
        ("icmp6-adm-prohibited", "icmpv6 admin-prohibited"),
        ("icmp6-not-neighbour", "<not neighbour>"),
        ("icmp6-addr-unreachable", "icmpv6 addr-unreachable"),
        ("icmp6-port-unreachable", ""),
        ("echo-reply", "<echo reply>"),
        ("tcp-reset", "tcp reset"),
        ("icmp6-policy-fail", "icmpv6 policy-fail"),
        ("icmp6-reject-route", "icmpv6 reject-route"),
    ];
    let table = if ip6 { WITH6 } else { WITH };
    let (classic, nft) = table.get(usize::try_from(info.u32(0)?).ok()?)?;
    let rest = if nft.is_empty() { String::new() } else { format!("with {nft}") };
    let part = Part::new(format!("reject {rest}").trim_end()).target("REJECT", rest);
    Some(part.classic(format!("reject-with {classic}")))
}

/// The NAT targets. Old revisions have `struct nf_nat_ipv4_multi_range_compat` (a count, then one range of IPv4), newer
/// ones and IPv6 have `struct nf_nat_range` or `nf_nat_range2`.
fn nat(info: Bytes<'_>, verb: &str, newer: bool, ip6: bool) -> Option<Part> {
    let length = if ip6 { 16 } else { 4 };
    let (flags, low, high, ports) = if newer || ip6 {
        (info.u32(0)?, info.at(4, length)?, info.at(20, length)?, 36)
    } else {
        (info.u32(4)?, info.at(8, 4)?, info.at(12, 4)?, 16)
    };
    let (first, last) = (info.port(ports)?, info.port(ports + 2)?);
    let span = |low: String, high: String| if low == high { low } else { format!("{low}-{high}") };
    // NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED.
    let (addresses, port) = (flags & 1 != 0, flags & 2 != 0);
    let port = if port { span(first.to_string(), last.to_string()) } else { String::new() };
    let to = address_port(&if addresses { span(address(low), address(high)) } else { String::new() }, &port);
    let options = nat_flags(flags);
    let rest = [if to.is_empty() { String::new() } else { format!("to {to}") }, options.clone()];
    let rest = join(&rest);
    let classic = match verb {
        "masquerade" | "redirect" if port.is_empty() => String::new(),
        "masquerade" => format!("masq ports: {port}"),
        "redirect" => format!("redir ports {port}"),
        _ => format!("to:{to}"),
    };
    let classic = join(&[classic, options.replace("fully-random", "random-fully").replace(',', " ")]);
    Some(Part::new(format!("{verb} {rest}").trim_end()).target(&verb.to_uppercase(), rest).classic(classic))
}

/// `struct xt_mark_tginfo2`: `(mark & !mask) ^ value`, which iptables names by its effect.
fn mark(info: Bytes<'_>) -> Option<Part> {
    let (value, mask) = (info.u32(0)?, info.u32(4)?);
    let (nft, classic) = match (value, mask) {
        (0, mask) => (format!("meta mark & {:#010x}", !mask), format!("MARK and {:#x}", !mask)),
        (value, mask) if value == mask => (format!("meta mark | {value:#010x}"), format!("MARK or {value:#x}")),
        (value, 0) => (format!("meta mark ^ {value:#010x}"), format!("MARK xor {value:#x}")),
        (value, u32::MAX) => (format!("{value:#010x}"), format!("MARK set {value:#x}")),
        (value, mask) => {
            (format!("meta mark & {:#010x} ^ {value:#010x}", !mask), format!("MARK xset {value:#x}/{mask:#x}"))
        }
    };
    Some(Part::new(format!("meta mark set {nft}")).classic(classic))
}

fn mss(info: Bytes<'_>) -> Option<Part> {
    let (nft, classic) = match info.u16(0)? {
        u16::MAX => ("rt mtu".to_owned(), "TCPMSS clamp to PMTU".to_owned()),
        size => (size.to_string(), format!("TCPMSS set {size}")),
    };
    Some(Part { classic: Classic::Words(classic), ..Part::new(format!("tcp option maxseg size set {nft}")) })
}
