//! Tests without a kernel: broken bytes do not panic; the arithmetic of values.

use std::convert::Infallible;

use super::read;
use super::values::Kind;
use crate::net::firewall::Message;

/// A small generator (xorshift), so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.next(40)).map(|_| u8::try_from(self.next(256)).unwrap()).collect()
    }

    /// A value in a form of the kernel: a small number, any number, nested attributes; or random bytes.
    fn value(&mut self, depth: usize) -> Vec<u8> {
        match self.next(if depth == 0 { 4 } else { 6 }) {
            0 => self.bytes(),
            1 => u32::try_from(self.next(1 << 31)).unwrap().to_be_bytes().to_vec(),
            2 | 3 => u32::try_from(self.next(24)).unwrap().to_be_bytes().to_vec(),
            _ => (0..self.next(6)).flat_map(|_| self.attribute(depth - 1)).collect(),
        }
    }

    fn attribute(&mut self, depth: usize) -> Vec<u8> {
        let (kind, value) = (self.next(12), self.value(depth));
        let length = if self.next(20) == 0 { self.next(1 << 16) } else { value.len() + 4 };
        attribute(kind, length, &value)
    }

    /// A rule of real expressions with random arguments.
    fn rule(&mut self) -> Vec<u8> {
        let expressions: Vec<u8> = (0..self.next(9))
            .flat_map(|_| {
                let name = NAMES[self.next(NAMES.len())];
                let arguments: Vec<u8> = (1..9)
                    .flat_map(|kind| {
                        let value = if self.next(4) == 0 { self.value(3) } else { self.argument() };
                        attribute(kind, value.len() + 4, &value)
                    })
                    .collect();
                let data = whole(2, &arguments);
                whole(1, &[whole(1, name.as_bytes()), data].concat())
            })
            .collect();
        [whole(1, b"t\0"), whole(2, b"c\0"), whole(3, &self.bytes()), whole(4, &expressions), whole(7, &self.bytes())]
            .concat()
    }

    fn argument(&mut self) -> Vec<u8> {
        match self.next(5) {
            0 => whole(1, &self.bytes()),
            1 => whole(
                2,
                &[whole(1, &[255, 255, 255, u8::try_from(self.next(256)).unwrap()]), whole(2, b"chain\0")].concat(),
            ),
            2 => b"s\0".to_vec(),
            _ => u32::try_from(self.next(20)).unwrap().to_be_bytes().to_vec(),
        }
    }
}

const NAMES: &[&str] = &[
    "meta",
    "ct",
    "payload",
    "exthdr",
    "immediate",
    "cmp",
    "range",
    "bitwise",
    "byteorder",
    "lookup",
    "fib",
    "numgen",
    "hash",
    "rt",
    "socket",
    "dynset",
    "objref",
    "nat",
    "masq",
    "redir",
    "reject",
    "log",
    "notrack",
    "queue",
    "flow_offload",
    "match",
    "target",
    "counter",
    "limit",
    "quota",
    "connlimit",
    "last",
    "osf",
    "",
];

fn attribute(kind: usize, length: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend(u16::try_from(kind).unwrap().to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn whole(kind: usize, value: &[u8]) -> Vec<u8> {
    attribute(kind, value.len() + 4, value)
}

/// Answers every request with `attributes` for its kind; a reply to a GET is numbered one below it.
#[expect(clippy::unnecessary_wraps, reason = "what `read` asks of its caller")]
fn answer(request: &Message, attributes: Vec<u8>) -> Result<Vec<Message>, Infallible> {
    Ok(vec![Message { kind: request.kind - 1, family: 2, attributes }])
}

#[test]
fn random_bytes_do_not_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..10_000 {
        let Ok(firewall) = read(|request| {
            let bytes = random.value(6);
            answer(&request, bytes)
        });
        let _ = firewall.to_string();
    }
}

#[test]
fn random_rules_do_not_panic() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut understood = 0;
    for round in 0..20_000 {
        let Ok(firewall) = read(|request| {
            let set = [whole(1, b"t\0"), whole(2, b"s\0"), whole(3, &[0, 0, 0, 5]), random.value(0)].concat();
            let bytes = match request.kind & 0xff {
                1 => whole(1, b"t\0"),
                4 => [whole(1, b"t\0"), whole(3, b"c\0"), random.attribute(3)].concat(),
                7 => random.rule(),
                10 => {
                    [set, whole(5, &[0, 0, 0, u8::try_from(round % 40).unwrap()]), whole(6, &random.bytes())].concat()
                }
                _ => whole(3, &random.value(5)),
            };
            answer(&request, bytes)
        });
        assert_eq!(firewall.tables[0].chains.len(), 1);
        understood += firewall.tables[0].chains[0].rules.iter().filter(|rule| !rule.text.contains('<')).count();
        let _ = firewall.to_string();
    }
    // If few rules were decoded, the test would not reach the code that it is for.
    assert!(understood > 1_500, "{understood}");
}

#[test]
fn a_truncated_rule_does_not_panic() {
    let mut random = Random(77);
    let rule = (0..50).map(|_| random.rule()).max_by_key(Vec::len).unwrap();
    for end in 0..rule.len() {
        let Ok(firewall) = read(|request| {
            let bytes = match request.kind & 0xff {
                1 => whole(1, b"t\0"),
                4 => [whole(1, b"t\0"), whole(3, b"c\0")].concat(),
                7 => rule[..end].to_vec(),
                _ => Vec::new(),
            };
            answer(&request, bytes)
        });
        let _ = firewall.to_string();
    }
}

#[test]
fn ranges_of_addresses_become_prefixes() {
    let range = |low: [u8; 4], high: [u8; 4]| Kind::Address.range(&low, &high, false);
    assert_eq!(range([10, 0, 0, 0], [10, 255, 255, 255]), "10.0.0.0/8");
    assert_eq!(range([10, 0, 0, 1], [10, 0, 0, 2]), "10.0.0.1-10.0.0.2");
    assert_eq!(range([10, 0, 0, 1], [10, 0, 0, 1]), "10.0.0.1");
    assert_eq!(Kind::Address.range(&[], &[0, 0, 0, 255], false), "0x-0.0.0.255");
    assert_eq!(range([0, 0, 0, 0], [255, 255, 255, 255]), "0.0.0.0/0");
}
