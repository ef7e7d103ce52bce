//! The expressions that act without registers: verdicts, counters, limits, logging, rejecting.

use super::parts::{Classic, Part, Place};
use super::values::symbol;
use crate::net::firewall::wire::Attrs;

/// The verdict in a piece of data (enum `nft_verdict_attributes`).
pub(super) fn verdict(data: Attrs<'_>) -> Part {
    let verdict = data.nest(2);
    let chain = verdict.text(2).unwrap_or_else(|| "<chain>".to_owned());
    let code = verdict.u32(1).map(u32::cast_signed);
    match code {
        Some(0) => Part::new("drop").target("DROP", ""),
        Some(1) => Part::new("accept").target("ACCEPT", ""),
        Some(3) => Part::new("queue").target("QUEUE", ""),
        Some(libc::NFT_CONTINUE) => Part::new("continue").target("CONTINUE", ""),
        Some(libc::NFT_JUMP) => Part::new(format!("jump {chain}")).target(&chain, ""),
        Some(libc::NFT_GOTO) => Part::new(format!("goto {chain}")).target(&chain, "[goto]"),
        Some(libc::NFT_RETURN) => Part::new("return").target("RETURN", ""),
        _ => Part::new("<verdict>"),
    }
}

/// The expressions with a state, which the elements of a set can have too.
pub(super) fn stateful(name: &str, attrs: Attrs<'_>) -> Option<Part> {
    let inverted = |kind| if attrs.u32(kind).is_some_and(|flags| flags & 1 != 0) { "over " } else { "" };
    Some(match name {
        "counter" => {
            let (bytes, packets) = (attrs.u64(1).unwrap_or_default(), attrs.u64(2).unwrap_or_default());
            let place = Place::Counter { packets, bytes };
            Part { place, classic: Classic::Nothing, ..Part::new(format!("counter packets {packets} bytes {bytes}")) }
        }
        "limit" => limit(attrs),
        "quota" => {
            let used =
                attrs.u64(4).filter(|used| *used > 0).map(|used| format!(" used {}", size(used))).unwrap_or_default();
            Part::new(format!("quota {}{}{used}", inverted(2), size(attrs.u64(1).unwrap_or_default())))
        }
        "connlimit" => Part::new(format!("ct count {}{}", inverted(2), attrs.u32(1).unwrap_or_default())),
        "last" => Part::new("last"),
        _ => return None,
    })
}

fn limit(attrs: Attrs<'_>) -> Part {
    let rate = attrs.u64(1).unwrap_or_default();
    let (unit, short) = match attrs.u64(2) {
        Some(60) => ("minute", "min"),
        Some(3600) => ("hour", "hour"),
        Some(86_400) => ("day", "day"),
        Some(604_800) => ("week", "week"),
        _ => ("second", "sec"),
    };
    let burst = attrs.u32(3).unwrap_or_default();
    let (over, kind) = if attrs.u32(5).is_some_and(|flags| flags & 1 != 0) { ("over ", "above") } else { ("", "avg") };
    if attrs.u32(4) == Some(1) {
        let burst = if burst == 0 { String::new() } else { format!(" burst {}", size(u64::from(burst))) };
        return Part::new(format!("limit rate {over}{}/{unit}{burst}", size(rate)));
    }
    // 5 is the default of nft and iptables, and nft 1.0.6 does not write it.
    let words = if burst == 5 { String::new() } else { format!(" burst {burst} packets") };
    Part::new(format!("limit rate {over}{rate}/{unit}{words}"))
        .classic(format!("limit: {kind} {rate}/{short} burst {burst}"))
}

/// A size in the largest unit that divides it, as nft writes it.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} mbytes", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} kbytes", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

/// The names of the syslog levels, which nft shares with the kernel.
pub(super) const LEVELS: &[(u128, &str)] = &[
    (0, "emerg"),
    (1, "alert"),
    (2, "crit"),
    (3, "err"),
    (4, "warn"),
    (5, "notice"),
    (6, "info"),
    (7, "debug"),
    (8, "audit"),
];

/// `level` and `flags` of a log statement (include/uapi/linux/netfilter, `nf_log.h`).
pub(super) fn log_words(level: u32, flags: u32) -> String {
    let mut words = String::new();
    if level != 4 {
        words += " level ";
        words += &symbol(LEVELS, u128::from(level)).unwrap_or_else(|| level.to_string());
    }
    if flags & 0x2f == 0x2f {
        return words + " flags all";
    }
    words += match flags & 3 {
        1 => " flags tcp sequence",
        2 => " flags tcp options",
        3 => " flags tcp sequence,options",
        _ => "",
    };
    for (bit, word) in [(4, " flags ip options"), (8, " flags skuid"), (0x20, " flags ether")] {
        if flags & bit != 0 {
            words += word;
        }
    }
    words
}

/// A log statement (enum `nft_log_attributes`).
pub(super) fn log(attrs: Attrs<'_>) -> Part {
    let prefix = attrs.text(2).map(|prefix| format!(" prefix \"{prefix}\"")).unwrap_or_default();
    let short = |kind| attrs.get(kind).and_then(|bytes| bytes.first_chunk()).map(|bytes| u16::from_be_bytes(*bytes));
    let rest = if let Some(group) = short(1) {
        let snaplen =
            attrs.u32(3).filter(|length| *length > 0).map(|length| format!(" snaplen {length}")).unwrap_or_default();
        let threshold =
            short(4).filter(|count| *count > 0).map(|count| format!(" queue-threshold {count}")).unwrap_or_default();
        format!("{prefix} group {group}{snaplen}{threshold}")
    } else {
        format!("{prefix}{}", log_words(attrs.u32(5).unwrap_or(4), attrs.u32(6).unwrap_or_default()))
    };
    Part::new(format!("log{rest}")).target("LOG", rest.trim_start())
}

const ICMP: &[(u128, &str)] = &[
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
];
const ICMP6: &[(u128, &str)] = &[
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];
const ICMPX: &[(u128, &str)] =
    &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")];

/// A reject statement (enum `nft_reject_attributes`). `ip6`: whether the code is of ICMPv6; `plain`: whether the table
/// is of one IP version, where nft does not write "port unreachable".
pub(super) fn reject(attrs: Attrs<'_>, ip6: bool, plain: bool) -> Part {
    let code = attrs.get(2).and_then(|bytes| bytes.first()).copied().unwrap_or_default();
    let named = |table| symbol(table, u128::from(code)).unwrap_or_else(|| code.to_string());
    let rest = match attrs.u32(1) {
        Some(1) => "with tcp reset".to_owned(),
        Some(2) if code == 1 => String::new(),
        Some(2) => format!("with icmpx {}", named(ICMPX)),
        _ if plain && code == if ip6 { 4 } else { 3 } => String::new(),
        _ if ip6 => format!("with icmpv6 {}", named(ICMP6)),
        _ => format!("with icmp {}", named(ICMP)),
    };
    Part::new(format!("reject {rest}").trim_end()).target("REJECT", rest)
}

/// The flags of the nat statements (`NF_NAT_RANGE_*`).
pub(super) fn nat_flags(flags: u32) -> String {
    let names = [(4, "random"), (16, "fully-random"), (8, "persistent")];
    let words: Vec<&str> = names.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| word).collect();
    words.join(",")
}

/// An address and a port as nft writes them after `to`.
pub(super) fn address_port(address: &str, port: &str) -> String {
    match (address, port) {
        (address, "") => address.to_owned(),
        (address, port) if address.contains(':') && !address.contains(' ') => format!("[{address}]:{port}"),
        (address, port) => format!("{address}:{port}"),
    }
}

/// A named object used by a rule (enum `nft_objref_attributes`, `NFT_OBJECT_*`).
pub(super) fn object(kind: u32, name: &str) -> Part {
    let words = match kind {
        1 => "counter name",
        2 => "quota name",
        3 => "ct helper set",
        4 => "limit name",
        7 => "ct timeout set",
        8 => "meta secmark set",
        9 => "ct expectation set",
        10 => "synproxy name",
        _ => "<objref>",
    };
    Part::new(format!("{words} {name}"))
}
