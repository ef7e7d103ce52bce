//! The tables of `iptables-legacy`, which `nf_tables` does not list: whether they hold rules.

/// The number of entries of each `iptables-legacy` table without rules: a policy for each chain, and the end mark.
pub const LEGACY_UNTOUCHED: [(&str, u32); 5] = [("filter", 4), ("nat", 5), ("mangle", 6), ("raw", 3), ("security", 4)];

/// The number of entries in a table of `iptables-legacy`, from the answer to `IPT_SO_GET_INFO`.
///
/// `struct ipt_getinfo` (include/uapi/linux, `ip_tables.h`) is a name of 32 bytes and 13 numbers in host byte order;
/// this is the twelfth.
#[must_use]
pub fn legacy_entries(info: &[u8; 84]) -> u32 {
    let (_, numbers) = info.split_at(32);
    numbers.chunks_exact(4).nth(11).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}
