//! Reads the `nf_tables` state of a network namespace and shows it the way `iptables -L -n` taught people to read.

mod actions;
mod decode;
mod fields;
mod matches;
mod operand;
mod parts;
mod sets;
mod show;
mod statements;
#[cfg(test)]
mod tests;
mod values;
mod wire;
mod xt;

use decode::Decoder;
use sets::Set;
use wire::Attrs;
pub use wire::Message;

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

/// Reads all tables, chains and rules, and the sets they need.
///
/// `dump` sends one request with `NLM_F_DUMP` and returns all replies; the caller owns socket, deadline, retries of
/// interrupted dumps, errors.
/// Like `nft list ruleset`.
///
/// # Errors
///
/// What `dump` returns. A set that went away between two requests is `ENOENT`: read again.
pub fn read<E>(mut dump: impl FnMut(Message) -> Result<Vec<Message>, E>) -> Result<Firewall, E> {
    let mut firewall = Firewall::default();
    let tables = dump(Message::request(libc::NFT_MSG_GETTABLE, 0, &[]))?;
    for message in tables.iter().filter(|message| message.is(libc::NFT_MSG_NEWTABLE)) {
        let Some(name) = message.attrs().text(1) else { continue };
        firewall.tables.push(Table { family: family(message.family), name, chains: Vec::new() });
    }
    let chains = dump(Message::request(libc::NFT_MSG_GETCHAIN, 0, &[]))?;
    for message in chains.iter().filter(|message| message.is(libc::NFT_MSG_NEWCHAIN)) {
        if let Some(table) = firewall.table(message.family, message.attrs().text(1))
            && let Some(chain) = chain(message)
        {
            table.chains.push(chain);
        }
    }
    let rules = dump(Message::request(libc::NFT_MSG_GETRULE, 0, &[]))?;
    let sets = if rules.is_empty() { Vec::new() } else { read_sets(&mut dump)? };
    for message in rules.iter().filter(|message| message.is(libc::NFT_MSG_NEWRULE)) {
        let attrs = message.attrs();
        let Some((table, chain)) = attrs.text(1).zip(attrs.text(2)) else { continue };
        let rule = rule(message, &table, &sets);
        let Some(table) = firewall.table(message.family, Some(table)) else { continue };
        for chain in table.chains.iter_mut().filter(|known| known.name == chain) {
            chain.rules.push(rule.clone());
        }
    }
    firewall.tables.iter_mut().for_each(count_references);
    Ok(firewall)
}

/// The sets of all tables; the elements only of those that are part of a rule.
fn read_sets<E>(dump: &mut impl FnMut(Message) -> Result<Vec<Message>, E>) -> Result<Vec<Set>, E> {
    let messages = dump(Message::request(libc::NFT_MSG_GETSET, 0, &[]))?;
    let messages = messages.iter().filter(|message| message.is(libc::NFT_MSG_NEWSET));
    let mut sets: Vec<Set> = messages.filter_map(|message| Set::new(message.family, message.attrs())).collect();
    for set in sets.iter_mut().filter(|set| set.anonymous()) {
        let request = Message::request(libc::NFT_MSG_GETSETELEM, set.family, &[(1, &set.table), (2, &set.name)]);
        for message in dump(request)?.iter().filter(|message| message.is(libc::NFT_MSG_NEWSETELEM)) {
            set.add(message.attrs());
        }
    }
    Ok(sets)
}

impl Firewall {
    fn table(&mut self, number: u8, name: Option<String>) -> Option<&mut Table> {
        let (family, name) = (family(number), name?);
        self.tables.iter_mut().find(|table| table.family == family && table.name == name)
    }
}

fn family(number: u8) -> String {
    match libc::c_int::from(number) {
        libc::NFPROTO_INET => "inet".to_owned(),
        libc::NFPROTO_IPV4 => "ip".to_owned(),
        libc::NFPROTO_ARP => "arp".to_owned(),
        libc::NFPROTO_NETDEV => "netdev".to_owned(),
        libc::NFPROTO_BRIDGE => "bridge".to_owned(),
        libc::NFPROTO_IPV6 => "ip6".to_owned(),
        _ => number.to_string(),
    }
}

/// A chain from its attributes (enum `nft_chain_attributes`).
fn chain(message: &Message) -> Option<Chain> {
    let attrs = message.attrs();
    let hook = attrs.get(4).map(|bytes| hook(message.family, Attrs(bytes), attrs.text(7)));
    let policy = attrs.u32(5).map(|policy| if policy == 0 { "DROP" } else { "ACCEPT" }.to_owned());
    let references = attrs.u32(6).and_then(|uses| usize::try_from(uses).ok()).unwrap_or_default();
    Some(Chain { name: attrs.text(3)?, hook, policy, references, rules: Vec::new() })
}

fn hook(family: u8, attrs: Attrs<'_>, kind: Option<String>) -> Hook {
    // The same number means another hook in the families that hang at a device (include/uapi/linux/netfilter.h).
    let names: &[&str] = match libc::c_int::from(family) {
        libc::NFPROTO_NETDEV => &["ingress", "egress"],
        libc::NFPROTO_ARP => &["input", "output", "forward"],
        _ => &["prerouting", "input", "forward", "output", "postrouting", "ingress"],
    };
    let number = attrs.u32(1).unwrap_or_default();
    let name = names.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned());
    let several: Vec<String> = attrs.nest(4).list().map(|name| wire::text(name.0)).collect();
    let device = attrs.text(3).or_else(|| (!several.is_empty()).then(|| several.join(",")));
    Hook { name, kind: kind.unwrap_or_default(), priority: attrs.u32(2).unwrap_or_default().cast_signed(), device }
}

/// A rule from its attributes (enum `nft_rule_attributes`).
fn rule(message: &Message, table: &str, sets: &[Set]) -> Rule {
    let attrs = message.attrs();
    let mut decoder = Decoder::new(message.family, table, sets);
    for expression in attrs.nest(4).list() {
        decoder.expression(&expression.text(1).unwrap_or_default(), expression.nest(2));
    }
    decoder.comment(attrs.get(7).unwrap_or_default());
    let ip6 = decoder.ip6();
    Rule { ip6, ..parts::assemble(attrs.u64(3).unwrap_or_default(), decoder.parts) }
}

/// The kernel counts the rules of a chain among its uses too (net/netfilter, `nf_tables_newrule`).
fn count_references(table: &mut Table) {
    for chain in &mut table.chains {
        chain.references = chain.references.saturating_sub(chain.rules.len());
    }
}

/// How many entries each table of `iptables-legacy` has as long as nobody has added a rule: a policy a chain and the
/// end mark.
pub const LEGACY_UNTOUCHED: [(&str, u32); 5] = [("filter", 4), ("nat", 5), ("mangle", 6), ("raw", 3), ("security", 4)];

/// The number of entries in a table of `iptables-legacy`, from the answer to `IPT_SO_GET_INFO`.
///
/// `struct ipt_getinfo` is a name of 32 bytes and 13 numbers in host byte order, of which this is the twelfth
/// (`ip_tables.h` of include/uapi/linux).
#[must_use]
pub fn legacy_entries(info: &[u8; 84]) -> u32 {
    let (_, numbers) = info.split_at(32);
    numbers.chunks_exact(4).nth(11).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}
