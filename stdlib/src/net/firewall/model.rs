//! The model of a packet filter: tables, chains, rules.

/// All tables of `nf_tables`, of every family. `iptables-nft` writes here too; of `iptables-legacy` there are the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// The tables in the kernel's order: by family, then by age.
    pub tables: Vec<Table>,
    /// The tables of `iptables-legacy`, as `family name`. What they hold is not read.
    pub legacy: Vec<String>,
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
    /// The sets and maps that have a name.
    pub sets: Vec<Set>,
    /// The counters that have a name.
    pub counters: Vec<Counter>,
}

/// A set or a map with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Whether its elements have values.
    pub is_map: bool,
    /// The elements in nft's syntax, sorted, without the time until they expire.
    pub elements: Vec<String>,
}

/// A counter with a name, which several rules may share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// Packets counted.
    pub packets: u64,
    /// Bytes counted.
    pub bytes: u64,
}

/// A chain with its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it; none if packets enter by jumps only.
    pub hook: Option<Hook>,
    /// The verdict on a packet that reaches the end: `ACCEPT` or `DROP`.
    pub policy: Option<String>,
    /// How many rules and maps jump to it.
    pub references: usize,
    /// The rules in the order of their evaluation.
    pub rules: Vec<Rule>,
}

/// The hook of a base chain.
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

/// A rule, split into the columns of `iptables -L`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its handle: a number, unique within the table.
    pub handle: u64,
    /// `ACCEPT`, `DROP`, the chain it jumps to, …; empty if the rule only counts or marks.
    pub target: String,
    /// The transport protocol; with `!` before it, every other one; empty for any.
    pub prot: String,
    /// The column `opt`: `-f` for later fragments, otherwise `--`.
    pub opt: String,
    /// The source addresses; with `!` before them, all others; empty for any.
    pub source: String,
    /// The destination addresses, in the same form.
    pub destination: String,
    /// Everything else, in nft's syntax.
    pub extra: String,
    /// Everything else as `iptables -L -n` prints it, which hides interfaces.
    pub classic: String,
    /// The whole rule in nft's syntax; `<name>` stands for an expression that is not decoded.
    pub text: String,
    /// Packets counted, if the rule counts.
    pub packets: Option<u64>,
    /// Bytes counted, if the rule counts.
    pub bytes: Option<u64>,
}
