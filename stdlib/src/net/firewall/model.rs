//! What the packet filter of a network namespace holds: tables, chains, rules.

/// Every table of `nf_tables`, of every family. `iptables` of today writes here too; `iptables-legacy` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// In the order the kernel lists them: by family, then by age.
    pub tables: Vec<Table>,
}

/// A table with its chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: String,
    /// Its name.
    pub name: String,
    /// The chains in the order of their creation.
    pub chains: Vec<Chain>,
}

/// A chain with its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it; none if only rules jump to it.
    pub hook: Option<Hook>,
    /// `ACCEPT` or `DROP`: what happens to a packet that reaches the end.
    pub policy: Option<String>,
    /// How many rules and maps jump to it.
    pub references: usize,
    /// In the order they are asked.
    pub rules: Vec<Rule>,
}

/// Where a base chain hangs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress` or `egress`.
    pub name: String,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// Lower is earlier.
    pub priority: i32,
    /// The device of an ingress or egress hook; several are joined by commas.
    pub device: Option<String>,
}

/// A rule, taken apart into the columns of `iptables -L`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its number within the table, by which it can be deleted.
    pub handle: u64,
    /// `ACCEPT`, `DROP`, the chain it jumps to, …; empty if the rule only counts or marks.
    pub target: String,
    /// The transport protocol, `!` before it if it must be another; empty if any.
    pub prot: String,
    /// The column `opt`: `-f` for later fragments, otherwise `--`.
    pub opt: String,
    /// The source addresses, `!` before them if all others; empty if any.
    pub source: String,
    /// The destination addresses, likewise.
    pub destination: String,
    /// Everything else, in nft's words.
    pub extra: String,
    /// The same as `iptables -L -n` would word it, which hides interfaces.
    pub classic: String,
    /// The whole rule in nft's syntax; `<name>` stands for what is not understood.
    pub text: String,
    /// Whether the rule speaks of IPv6 (or of IPv4), if it says so.
    pub ip6: Option<bool>,
    /// Packets counted, if the rule counts.
    pub packets: Option<u64>,
    /// Bytes counted, if the rule counts.
    pub bytes: Option<u64>,
}
