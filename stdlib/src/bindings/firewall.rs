//! The packet filter.

use rhai::{Dynamic, INT};

use super::core::prelude::*;
use super::core::register::Family;
use crate::error::Result;
use crate::net::firewall::{Chain, Counter, Firewall, Rule, Set, Table};

pub(super) const FAMILY: Family = Family {
    name: "firewall",
    types: &[
        register_type::<Firewall>,
        register_type::<TableChain>,
        register_list::<TableChain>,
        register_type::<Rule>,
        register_list::<Rule>,
        register_type::<TableSet>,
        register_list::<TableSet>,
        register_type::<TableCounter>,
        register_list::<TableCounter>,
    ],
    bindings: BINDINGS,
};

value! { Rule, "Rule", "One rule of a chain.";
    /// `ACCEPT`, `DROP`, a chain …; empty if the rule only counts or marks.
    target: String = |rule| rule.target.clone();
    /// The transport protocol; empty if any.
    prot: String = |rule| rule.prot.clone();
    /// Source addresses; empty if any.
    source: String = |rule| rule.source.clone();
    /// Destination addresses; empty if any.
    destination: String = |rule| rule.destination.clone();
    /// Everything else, in nft's words.
    extra: String = |rule| rule.extra.clone();
    /// The whole rule in nft's syntax; `<name>` stands for what is not decoded.
    text: String = |rule| rule.text.clone();
    /// Packets counted; `()` if the rule does not count.
    packets: Option<INT> = |rule| rule.packets.and_then(|n| INT::try_from(n).ok());
    /// Bytes counted; `()` if the rule does not count.
    bytes: Option<INT> = |rule| rule.bytes.and_then(|n| INT::try_from(n).ok());
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Listed for Rule {
    const LIST: &'static str = "Rules";
    const LIST_DOC: &'static str = "The rules of a chain, in the order in which packets meet them.";
}

/// A chain and the table it is in.
#[derive(Clone)]
pub(crate) struct TableChain {
    family: String,
    table: String,
    chain: Chain,
}

impl std::fmt::Display for TableChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}: {} rules", self.family, self.table, self.chain.name, self.chain.rules.len())
    }
}

value! { TableChain, "Chain", "A chain of rules.";
    /// Its name.
    name: String = |it| it.chain.name.clone();
    /// The table it is in.
    table: String = |it| it.table.clone();
    /// The table's family: `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`.
    family: String = |it| it.family.clone();
    /// Where packets enter it: `input`, `forward` …; `()` if only rules jump to it.
    hook: Option<String> = |it| it.chain.hook.as_ref().map(|hook| hook.name.clone());
    /// `ACCEPT` or `DROP`; `()` if it is not a base chain.
    policy: Option<String> = |it| it.chain.policy.clone();
    /// Its rules.
    rules: List<Rule> = |it| it.chain.rules.clone().into();
}

impl Listed for TableChain {
    const LIST: &'static str = "Chains";
    const LIST_DOC: &'static str = "Chains of rules.";
}

/// A named set and the table it is in.
#[derive(Clone)]
pub(crate) struct TableSet {
    table: String,
    set: Set,
}

impl std::fmt::Display for TableSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.table, self.set.name, self.set.elements.join(", "))
    }
}

value! { TableSet, "Set", "A set or a map of the packet filter that has a name.";
    /// Its name.
    name: String = |it| it.set.name.clone();
    /// The table it is in, as `family name`.
    table: String = |it| it.table.clone();
    /// Whether its elements have values.
    is_map: bool = |it| it.set.is_map;
    /// Its elements in nft's syntax, each as a string.
    elements: rhai::Array = |it| it.set.elements.iter().cloned().map(Dynamic::from).collect();
}

impl Listed for TableSet {
    const LIST: &'static str = "Sets";
    const LIST_DOC: &'static str = "Named sets and maps.";
    fn is_called(&self, name: &str) -> bool {
        self.set.name == name
    }
}

/// A named counter and the table it is in.
#[derive(Clone)]
pub(crate) struct TableCounter {
    table: String,
    counter: Counter,
}

impl std::fmt::Display for TableCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counter { name, packets, bytes } = &self.counter;
        write!(f, "{} {name}: packets {packets} bytes {bytes}", self.table)
    }
}

value! { TableCounter, "Counter", "A counter of the packet filter that has a name.";
    /// Its name.
    name: String = |it| it.counter.name.clone();
    /// The table it is in, as `family name`.
    table: String = |it| it.table.clone();
    /// Packets counted.
    packets: INT = |it| INT::try_from(it.counter.packets).unwrap_or(INT::MAX);
    /// Bytes counted.
    bytes: INT = |it| INT::try_from(it.counter.bytes).unwrap_or(INT::MAX);
}

impl Listed for TableCounter {
    const LIST: &'static str = "Counters";
    const LIST_DOC: &'static str = "Named counters.";
    fn is_called(&self, name: &str) -> bool {
        self.counter.name == name
    }
}

fn title(table: &Table) -> String {
    format!("{} {}", table.family, table.name)
}

value! { Firewall, "Firewall", "The packet filter of a namespace. Prints as `iptables -L -n` does what iptables has made, and other tables in the same columns with their counters and sets.";
    /// Whether there is no table at all, neither of nf_tables nor of `iptables-legacy`.
    is_empty: bool = |firewall| firewall.tables.is_empty() && firewall.legacy.is_empty();
    /// The tables of `iptables-legacy`, as `family name`. What they hold is not read: `iptables-legacy -L -n` shows it.
    legacy: rhai::Array = |firewall| firewall.legacy.iter().cloned().map(Dynamic::from).collect();
    /// The named sets and maps of all tables.
    sets: List<TableSet> = |firewall| {
        let of = |table: &Table| table.sets.iter().map(|set| TableSet { table: title(table), set: set.clone() }).collect::<Vec<_>>();
        firewall.tables.iter().flat_map(of).collect::<Vec<_>>().into()
    };
    /// The named counters of all tables.
    counters: List<TableCounter> = |firewall| {
        let of = |table: &Table| {
            table.counters.iter().map(|counter| TableCounter { table: title(table), counter: counter.clone() }).collect::<Vec<_>>()
        };
        firewall.tables.iter().flat_map(of).collect::<Vec<_>>().into()
    };
    /// The chains of all tables.
    chains: List<TableChain> = |firewall| {
        let chains = firewall.tables.iter().flat_map(|table| table.chains.iter().map(|chain| TableChain {
            family: table.family.clone(), table: table.name.clone(), chain: chain.clone(),
        }));
        chains.collect::<Vec<_>>().into()
    };
    /// The names of the tables, as `family name`.
    tables: rhai::Array = |firewall| {
        firewall.tables.iter().map(|table| Dynamic::from(title(table))).collect()
    };
}

/// A namespace whose packet filter is read.
pub(crate) struct Filtered(Here);

impl Arg for Filtered {
    const TYPE: &'static str = Here::TYPE;
    const OPTIONAL: bool = Here::OPTIONAL;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Here::take(call, name).map(Self)
    }
    /// Which of the two tools show the tables that there are: iptables the one that it has made, nft any other.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        self.0.fill(name, values);
        let firewall = self.0.net().net().and_then(|net| net.firewall()).unwrap_or_default();
        values.switch("iptables", firewall.iptables_can_list());
        values.switch("nft", !firewall.iptables_lists_all());
    }
}

bindings! {
    /// Reads the packet filter of a namespace: what `nft` and today's `iptables` write.
    ///
    /// Like `[iptables -L -n] [&& nft list ruleset]`, with nft if there are tables that iptables does not list. Of
    /// `iptables-legacy` the names of its tables are in it (`legacy`), not their rules.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// print(firewall(ns1));
    /// check firewall(ns1).is_empty;
    /// ```
    fn firewall(ns: Filtered) -> Firewall {
        ns.0.net().net()?.firewall()
    }
}
