//! Reads the `nf_tables` state of a network namespace.

mod actions;
mod decode;
mod fields;
mod matches;
mod operand;
mod parts;
mod rule;
mod sets;
mod statements;
#[cfg(test)]
mod tests;
mod values;
mod xt;

use super::model::{Chain, Counter, Firewall, Hook, Rule, Table};
use super::wire::{self, Attrs, Message};
use decode::Decoder;
use sets::Set;

/// Reads all tables, chains and rules, and the sets they need.
///
/// Like `nft list ruleset`. `dump` sends one request with `NLM_F_DUMP` and returns all replies; socket, deadline and
/// retries of interrupted dumps are the caller's.
///
/// # Errors
/// What `dump` returns. `ENOENT` means that a set was deleted between two requests: read again.
pub fn read<E>(mut dump: impl FnMut(Message) -> Result<Vec<Message>, E>) -> Result<Firewall, E> {
    let mut firewall = Firewall::default();
    let tables = dump(Message::request(libc::NFT_MSG_GETTABLE, 0, &[]))?;
    for message in tables.iter().filter(|message| message.is(libc::NFT_MSG_NEWTABLE)) {
        let Some(name) = message.attrs().text(1) else { continue };
        firewall.tables.push(Table { family: family(message.family), name, ..Table::default() });
    }
    if firewall.tables.is_empty() {
        return Ok(firewall);
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
    let sets = read_sets(&mut dump)?;
    for set in sets.iter().filter(|set| !set.anonymous()) {
        if let Some(table) = firewall.table(set.family, Some(set.table.clone())) {
            table.sets.push(set.named());
        }
    }
    let objects = dump(Message::request(libc::NFT_MSG_GETOBJ, 0, &[]))?;
    for message in objects.iter().filter(|message| message.is(libc::NFT_MSG_NEWOBJ)) {
        if let Some(table) = firewall.table(message.family, message.attrs().text(1))
            && let Some(counter) = counter(message.attrs())
        {
            table.counters.push(counter);
        }
    }
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

/// Reads the sets of all tables with their elements.
fn read_sets<E>(dump: &mut impl FnMut(Message) -> Result<Vec<Message>, E>) -> Result<Vec<Set>, E> {
    let messages = dump(Message::request(libc::NFT_MSG_GETSET, 0, &[]))?;
    let messages = messages.iter().filter(|message| message.is(libc::NFT_MSG_NEWSET));
    let mut sets: Vec<Set> = messages.filter_map(|message| Set::new(message.family, message.attrs())).collect();
    for set in &mut sets {
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

/// Decodes a chain from its attributes (enum `nft_chain_attributes`).
fn chain(message: &Message) -> Option<Chain> {
    let attrs = message.attrs();
    let hook = attrs.get(4).map(|bytes| hook(message.family, Attrs(bytes), attrs.text(7)));
    let policy = attrs.u32(5).map(|policy| if policy == 0 { "DROP" } else { "ACCEPT" }.to_owned());
    let references = attrs.u32(6).and_then(|uses| usize::try_from(uses).ok()).unwrap_or_default();
    Some(Chain { name: attrs.text(3)?, hook, policy, references, rules: Vec::new() })
}

fn hook(family: u8, attrs: Attrs<'_>, kind: Option<String>) -> Hook {
    // The meaning of the number depends on the family (include/uapi/linux/netfilter.h).
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

/// Decodes a named object (enum `nft_object_attributes`) if it is a counter (`NFT_OBJECT_COUNTER`).
fn counter(attrs: Attrs<'_>) -> Option<Counter> {
    let data = attrs.nest(4);
    let (bytes, packets) = (data.u64(1).unwrap_or_default(), data.u64(2).unwrap_or_default());
    attrs.u32(3).filter(|kind| *kind == 1).and_then(|_| Some(Counter { name: attrs.text(2)?, packets, bytes }))
}

/// Decodes a rule from its attributes (enum `nft_rule_attributes`).
fn rule(message: &Message, table: &str, sets: &[Set]) -> Rule {
    let attrs = message.attrs();
    let mut decoder = Decoder::new(message.family, table, sets);
    for expression in attrs.nest(4).list() {
        decoder.expression(&expression.text(1).unwrap_or_default(), expression.nest(2));
    }
    decoder.comment(attrs.get(7).unwrap_or_default());
    parts::assemble(attrs.u64(3).unwrap_or_default(), decoder.parts.list)
}

/// Subtracts a chain's own rules, which the kernel counts as uses of it (net/netfilter, `nf_tables_newrule`).
fn count_references(table: &mut Table) {
    for chain in &mut table.chains {
        chain.references = chain.references.saturating_sub(chain.rules.len());
    }
}
