//! Sets and maps. A rule shows the name of a named one, and the elements of an anonymous one; a table shows the former.

use super::statements::stateful;
use super::statements::verdict;
use super::values::{self, Kind, comments, duration, number};
use crate::net::firewall::model;
use crate::net::firewall::wire::Attrs;

/// A set, as far as the rules that look it up require.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    flags: u32,
    key_type: u32,
    pub(super) key_length: usize,
    data_type: u32,
    pub(super) data_length: usize,
    pub(super) object_type: u32,
    elements: Vec<Element>,
}

#[derive(Clone, Debug, Default)]
struct Element {
    key: Vec<u8>,
    end: Option<Vec<u8>>,
    data: Option<Data>,
    /// Whether the key is the first one after an interval (`NFT_SET_ELEM_INTERVAL_END`).
    closes: bool,
    catch_all: bool,
    /// Its counter and other statements, its timeout, its comment: what nft writes after the key.
    more: String,
}

#[derive(Clone, Debug)]
enum Data {
    Value(Vec<u8>),
    Words(String),
}

/// How one part of a key is written.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) host: bool,
    /// The distance of a field of less than a byte from the lowest bit.
    pub(super) shift: u32,
    pub(super) length: usize,
}

impl Set {
    /// Decodes a set from its attributes (enum `nft_set_attributes`).
    pub(super) fn new(family: u8, attrs: Attrs<'_>) -> Option<Self> {
        let length = |kind| attrs.u32(kind).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        Some(Self {
            family,
            table: attrs.text(1)?,
            name: attrs.text(2)?,
            flags: attrs.u32(3).unwrap_or_default(),
            key_type: attrs.u32(4).unwrap_or_default(),
            key_length: length(5),
            data_type: attrs.u32(6).unwrap_or_default(),
            data_length: length(7),
            object_type: attrs.u32(15).unwrap_or_default(),
            elements: Vec::new(),
        })
    }

    /// Whether the set was written inside a rule (`NFT_SET_ANONYMOUS`): then its name is not shown.
    pub(super) fn anonymous(&self) -> bool {
        self.flags & 1 != 0
    }

    fn intervals(&self) -> bool {
        self.flags & 4 != 0
    }

    /// Adds the elements of one message (enum `nft_set_elem_attributes`).
    pub(super) fn add(&mut self, message: Attrs<'_>) {
        self.elements.extend(message.nest(3).list().map(|attrs| {
            let data = attrs.nest(2);
            let flags = attrs.u32(3).unwrap_or_default();
            let value = data.get(1).map(|bytes| Data::Value(bytes.to_vec()));
            let verdict = data.get(2).map(|_| Data::Words(verdict(data).text));
            let object = attrs.text(9).map(|name| Data::Words(format!("\"{name}\"")));
            Element {
                key: attrs.nest(1).get(1).unwrap_or_default().to_vec(),
                end: attrs.nest(10).get(1).map(<[u8]>::to_vec),
                data: value.or(verdict).or(object),
                closes: flags & 1 != 0,
                catch_all: flags & 2 != 0,
                more: more(attrs),
            }
        }));
    }

    /// The kinds of a map's values.
    pub(super) fn data_kinds(&self) -> Vec<Kind> {
        Kind::of_type(self.data_type)
    }

    /// The text of the set in a rule: `@name`, or its elements.
    pub(super) fn show(&self, parts: &[Part]) -> String {
        if self.anonymous() { format!("{{ {} }}", self.elements(parts).join(", ")) } else { format!("@{}", self.name) }
    }

    /// The set as its table shows it.
    pub(super) fn named(&self) -> model::Set {
        let elements = self.elements(&typed(self.key_type, self.key_length));
        model::Set { name: self.name.clone(), is_map: self.flags & 8 != 0, elements }
    }

    fn elements(&self, parts: &[Part]) -> Vec<String> {
        let mut elements: Vec<&Element> = self.elements.iter().collect();
        // The kernel lists a hash in no order and intervals backwards. nft sorts by value.
        let order = |element: &Element| {
            let host = !self.intervals() && parts.first().is_some_and(|part| part.host);
            (
                element.catch_all,
                number(&element.key, host && element.key.len() <= 8),
                element.key.clone(),
                !element.closes,
            )
        };
        elements.sort_by_key(|element| order(element));
        let mut words = Vec::new();
        let mut rest = elements.into_iter().peekable();
        while let Some(element) = rest.next() {
            if element.closes {
                continue;
            }
            let mut end = element.end.clone();
            if end.is_none() && self.intervals() && !element.catch_all && parts.len() == 1 {
                let behind = rest.peek().map(|next| number(&next.key, false));
                let last = behind.map_or(u128::MAX, |behind| behind.wrapping_sub(1));
                end = Some(values::bytes(last, element.key.len()));
            }
            words.push(self.element(element, end.as_deref(), parts));
        }
        words
    }

    fn element(&self, element: &Element, end: Option<&[u8]>, parts: &[Part]) -> String {
        let key = if element.catch_all { "*".to_owned() } else { key(&element.key, end, parts) };
        let key = key + element.more.as_str();
        match &element.data {
            None => key,
            Some(Data::Words(words)) => format!("{key} : {words}"),
            Some(Data::Value(value)) => format!("{key} : {}", self.value(value)),
        }
    }

    fn value(&self, value: &[u8]) -> String {
        key(value, None, &typed(self.data_type, value.len()))
    }
}

/// The parts of a key or a value from nft's type number; a single part has the whole length.
fn typed(number: u32, length: usize) -> Vec<Part> {
    let types = Kind::types(number);
    let is_single = types.len() == 1;
    let part = |of: u32| {
        let kind = Kind::of(of);
        let length = if is_single { length } else { Kind::length_of(of) };
        Part { kind, host: kind == Kind::Mark, shift: 0, length }
    };
    types.into_iter().map(part).collect()
}

/// What nft writes after the key of an element.
fn more(attrs: Attrs<'_>) -> String {
    let one = attrs.get(7).map(Attrs).into_iter();
    let states = one.chain(attrs.nest(11).list()).filter_map(|attrs| {
        let name = attrs.text(1)?;
        Some(stateful(&name, attrs.nest(2)).map_or_else(|| format!("<{name}>"), |part| part.text))
    });
    let timeout = attrs.u64(4).filter(|time| *time > 0).map(|time| format!("timeout {}", duration(time)));
    let comment = comments(attrs.get(6).unwrap_or_default()).map(|comment| format!("comment \"{comment}\""));
    states.chain(timeout).chain(comment).fold(String::new(), |all, words| all + " " + words.as_str())
}

/// The text of a key, part by part. Each part of a concatenation starts at a 32-bit register.
fn key(key: &[u8], end: Option<&[u8]>, parts: &[Part]) -> String {
    let mut at = 0_usize;
    let mut words = Vec::new();
    for part in parts {
        let cut = |bytes: &[u8]| {
            let whole = bytes.get(at..at.saturating_add(part.length)).unwrap_or_default();
            if part.shift == 0 {
                whole.to_vec()
            } else {
                values::bytes(number(whole, false) >> part.shift.min(127), part.length)
            }
        };
        let low = cut(key);
        words.push(match end {
            Some(end) => part.kind.range(&low, &cut(end), part.host),
            None => part.kind.show(&low, part.host),
        });
        at += part.length.next_multiple_of(4);
    }
    words.join(" . ")
}
