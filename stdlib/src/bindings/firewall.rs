//! The packet filter.

use rhai::{Dynamic, INT};

use super::core::prelude::*;
use super::core::register::Family;
use crate::error::Result;
use crate::net::firewall::{Chain, Firewall, Rule};

pub(super) const FAMILY: Family = Family {
    name: "firewall",
    types: &[
        register_type::<Firewall>,
        register_type::<TableChain>,
        register_list::<TableChain>,
        register_type::<Rule>,
        register_list::<Rule>,
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

value! { Firewall, "Firewall", "The packet filter of a namespace. Prints as `iptables -L -n` does.";
    /// Whether nothing filters here: no table of nf_tables at all.
    is_empty: bool = |firewall| firewall.tables.is_empty();
    /// The chains of all tables.
    chains: List<TableChain> = |firewall| {
        let chains = firewall.tables.iter().flat_map(|table| table.chains.iter().map(|chain| TableChain {
            family: table.family.clone(), table: table.name.clone(), chain: chain.clone(),
        }));
        chains.collect::<Vec<_>>().into()
    };
    /// The names of the tables, as `family name`.
    tables: rhai::Array = |firewall| {
        firewall.tables.iter().map(|table| Dynamic::from(format!("{} {}", table.family, table.name))).collect()
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
    /// Like `[iptables -L -n] [&& nft list ruleset]`, with nft if there are tables that iptables does not list. Rules of
    /// `iptables-legacy` are not in it.
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
