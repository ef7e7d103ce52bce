//! Prints a firewall the way `iptables -L -n` prints one.

use std::fmt::{self, Display, Formatter};

use super::model::{Chain, Firewall, Hook, Rule, Table};

/// The tables of iptables with their built-in chains, in iptables' order.
const BUILTIN: &[(&str, &[&str])] = &[
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

impl Firewall {
    /// The table that `iptables -L` lists, if it exists.
    fn filter(&self) -> Option<&Table> {
        self.tables.iter().find(|table| table.is_ip_filter() && table.builtin().is_some())
    }

    /// Whether `iptables -L` lists a table: it refuses a `filter` that it cannot have made.
    pub(crate) fn iptables_can_list(&self) -> bool {
        self.filter().is_some() || !self.tables.iter().any(Table::is_ip_filter)
    }

    /// Whether `iptables -L` lists all that there is.
    pub(crate) fn iptables_lists_all(&self) -> bool {
        self.tables.len() == usize::from(self.filter().is_some())
    }
}

impl Display for Firewall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // iptables shows the three chains of `filter` whether the table exists or not.
        let filter = self.filter();
        match filter {
            Some(table) => table.fmt_chains(f)?,
            None => Table { family: "ip".to_owned(), name: "filter".to_owned(), chains: Vec::new() }.fmt_chains(f)?,
        }
        for table in self.tables.iter().filter(|table| !filter.is_some_and(|filter| std::ptr::eq(*table, filter))) {
            writeln!(f, "\nTable {} {}", table.family, table.name)?;
            table.fmt_chains(f)?;
        }
        Ok(())
    }
}

impl Table {
    fn is_ip_filter(&self) -> bool {
        self.family == "ip" && self.name == "filter"
    }

    /// The built-in chains that iptables has in this table; none if a base chain has another name, since then iptables
    /// did not make the table.
    pub(super) fn builtin(&self) -> Option<&'static [&'static str]> {
        let (_, names) = BUILTIN.iter().find(|(name, _)| *name == self.name)?;
        let ours = |chain: &Chain| {
            chain
                .hook
                .as_ref()
                .is_none_or(|hook| chain.name == hook.name.to_uppercase() && names.contains(&chain.name.as_str()))
        };
        (matches!(self.family.as_str(), "ip" | "ip6") && self.chains.iter().all(ours)).then_some(*names)
    }

    fn fmt_chains(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let any = match self.family.as_str() {
            "ip" => "0.0.0.0/0",
            "ip6" => "::/0",
            _ => "anywhere",
        };
        let Some(builtin) = self.builtin() else {
            for (index, chain) in self.chains.iter().enumerate() {
                let head = match (&chain.hook, &chain.policy) {
                    (Some(hook), policy) => format!(
                        "{hook}{}",
                        policy.as_ref().map(|policy| format!(", policy {policy}")).unwrap_or_default()
                    ),
                    (None, _) => format!("{} references", chain.references),
                };
                chain.fmt(f, index, &head, any, false)?;
            }
            return Ok(());
        };
        let base = builtin.iter().map(|name| {
            let chain = self.chains.iter().find(|chain| chain.name == *name).cloned();
            chain.unwrap_or_else(|| Chain { name: (*name).to_owned(), ..Chain::default() })
        });
        let mut others: Vec<Chain> =
            self.chains.iter().filter(|chain| !builtin.contains(&chain.name.as_str())).cloned().collect();
        others.sort_by(|one, other| one.name.cmp(&other.name));
        for (index, chain) in base.chain(others).enumerate() {
            let head = if index < builtin.len() {
                format!("policy {}", chain.policy.as_deref().unwrap_or("ACCEPT"))
            } else {
                format!("{} references", chain.references)
            };
            chain.fmt(f, index, &head, any, true)?;
        }
        Ok(())
    }
}

impl Chain {
    fn fmt(&self, f: &mut Formatter<'_>, index: usize, head: &str, any: &str, classic: bool) -> fmt::Result {
        let gap = if index == 0 { "" } else { "\n" };
        writeln!(f, "{gap}Chain {} ({head})", self.name)?;
        writeln!(f, "target     prot opt {:<20} {:<20}", "source", "destination")?;
        self.rules.iter().try_for_each(|rule| rule.fmt(f, any, classic))
    }
}

impl Rule {
    fn fmt(&self, f: &mut Formatter<'_>, any: &str, classic: bool) -> fmt::Result {
        let column = |value: &str, default: &str| match value.strip_prefix('!') {
            Some(value) => ('!', value.to_owned()),
            None if value.is_empty() => (' ', default.to_owned()),
            None => (' ', value.to_owned()),
        };
        let default = match self.ip6 {
            Some(true) => "::/0",
            Some(false) => "0.0.0.0/0",
            None => any,
        };
        let (not, protocol) = column(&self.prot, "all");
        let (not_from, from) = column(&self.source, default);
        let (not_to, to) = column(&self.destination, default);
        write!(f, "{:<9} {not}{protocol:<4} {} {not_from}{from:<19} {not_to}{to:<19} ", self.target, self.opt)?;
        let extra = if classic { &self.classic } else { &self.extra };
        let (goto, extra) = match extra.strip_suffix("[goto]") {
            Some(rest) => ("[goto] ", rest.trim_end()),
            None => ("", extra.as_str()),
        };
        write!(f, "{goto}")?;
        if extra.is_empty() { writeln!(f) } else { writeln!(f, " {extra}") }
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "hook {}", self.name)?;
        if let Some(device) = &self.device {
            write!(f, ", device {device}")?;
        }
        write!(f, ", priority {}", self.priority)
    }
}
