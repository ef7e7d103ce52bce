//! The parts of a rule, one for each expression that is written, and their assembly into columns.

use crate::net::firewall::model::Rule;

/// A part of a rule: its text in nft's syntax, its column, its text in iptables' words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) classic: Classic,
    /// Whether a later part implies it (`tcp dport` implies `meta l4proto tcp`): then nft does not write it.
    pub(super) implied: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Extra,
    Prot(String),
    Source(String),
    Destination(String),
    /// The target, and its options in nft's syntax.
    Target(String, String),
    Counter {
        packets: u64,
        bytes: u64,
    },
}

/// The text of a part in `iptables -L -n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Classic {
    /// The same as nft's.
    #[default]
    Same,
    /// None: `iptables -L` shows interfaces and counters only with `-v`.
    Nothing,
    Words(String),
    /// One of the words of the match `tcp` or `udp`, which iptables writes once, in a fixed order.
    Transport {
        protocol: &'static str,
        slot: usize,
        words: String,
    },
    /// The column `opt`.
    Opt(&'static str),
}

impl Part {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn classic(self, words: impl Into<String>) -> Self {
        Self { classic: Classic::Words(words.into()), ..self }
    }

    pub(super) fn target(self, target: &str, rest: impl Into<String>) -> Self {
        Self { place: Place::Target(target.to_owned(), rest.into()), ..self }
    }
}

/// Assembles the columns of a rule. The second part for the same column goes to `extra`, so that none is lost.
pub(super) fn assemble(handle: u64, parts: Vec<Part>) -> Rule {
    let mut rule = Rule { handle, opt: "--".to_owned(), ..Rule::default() };
    let texts = parts.iter().filter(|part| !part.implied && !part.text.is_empty());
    rule.text = texts.map(|part| part.text.as_str()).collect::<Vec<_>>().join(" ");
    let last = parts.iter().rposition(|part| matches!(part.place, Place::Target(..)));
    let mut extra = Vec::new();
    let mut classic: Vec<Words> = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        let column = match part.place {
            Place::Prot(value) if rule.prot.is_empty() => Some((&mut rule.prot, value)),
            Place::Source(value) if rule.source.is_empty() => Some((&mut rule.source, value)),
            Place::Destination(value) if rule.destination.is_empty() => Some((&mut rule.destination, value)),
            Place::Target(target, rest) if Some(index) == last => {
                extra.push(rest.clone());
                match part.classic {
                    Classic::Words(words) => classic.push(Words::Plain(words)),
                    _ => classic.push(Words::Plain(rest)),
                }
                rule.target = target;
                continue;
            }
            Place::Counter { packets, bytes } => {
                rule.packets = Some(packets);
                rule.bytes = Some(bytes);
                continue;
            }
            _ => None,
        };
        if let Some((column, value)) = column {
            *column = value;
            continue;
        }
        if part.implied {
            continue;
        }
        match part.classic {
            Classic::Same => classic.push(Words::Plain(part.text.clone())),
            Classic::Words(words) => classic.push(Words::Plain(words)),
            Classic::Opt(opt) => opt.clone_into(&mut rule.opt),
            Classic::Transport { protocol, slot, words } => transport(&mut classic, protocol, slot, words),
            Classic::Nothing => {}
        }
        extra.push(part.text);
    }
    extra.retain(|words| !words.is_empty());
    rule.extra = extra.join(" ");
    let classic = classic.into_iter().map(Words::join).filter(|words| !words.is_empty());
    rule.classic = classic.collect::<Vec<_>>().join(" ");
    rule
}

enum Words {
    Plain(String),
    Transport(&'static str, [String; 4]),
}

impl Words {
    fn join(self) -> String {
        match self {
            Self::Plain(words) => words,
            Self::Transport(protocol, slots) => slots
                .into_iter()
                .filter(|words| !words.is_empty())
                .fold(protocol.to_owned(), |all, words| all + " " + words.as_str()),
        }
    }
}

/// Adds a word to the match `protocol`, which is written where its first word came.
fn transport(all: &mut Vec<Words>, protocol: &'static str, slot: usize, words: String) {
    let mine = |entry: &&mut Words| matches!(entry, Words::Transport(name, _) if *name == protocol);
    if let Some(Words::Transport(_, slots)) = all.iter_mut().find(mine) {
        if let Some(place) = slots.get_mut(slot) {
            *place = words;
        }
    } else {
        let mut slots = <[String; 4]>::default();
        if let Some(place) = slots.get_mut(slot) {
            *place = words;
        }
        all.push(Words::Transport(protocol, slots));
    }
}
