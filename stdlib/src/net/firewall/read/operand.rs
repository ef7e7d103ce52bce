//! The content of a register while a rule is decoded, and its text.

use super::fields::Field;
use super::sets::Part;
use super::values::{Kind, bytes, number};

/// The content of a register: a field, a key of `meta` or `ct`, a constant, the result of a map.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) words: String,
    pub(super) kind: Kind,
    /// Whether the kernel keeps the value in its own byte order.
    pub(super) host: bool,
    /// In bytes.
    pub(super) length: usize,
    pub(super) payload: Option<Payload>,
    /// `value & mask ^ xor`.
    pub(super) mask: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) constant: Option<Vec<u8>>,
}

/// Where in the packet a load reads, and the fields there.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) header: &'static [Field],
    pub(super) offset: u32,
    pub(super) fields: Vec<&'static Field>,
}

impl Operand {
    pub(super) fn new(words: impl Into<String>, kind: Kind, host: bool, length: usize) -> Self {
        Self { words: words.into(), kind, host, length, payload: None, mask: None, constant: None }
    }

    pub(super) fn constant(value: &[u8]) -> Self {
        Self { constant: Some(value.to_vec()), ..Self::new("", Kind::Hex, false, value.len()) }
    }

    /// The text of the operand in an expression; a constant is written as a value of `kind`.
    pub(super) fn show(&self, kind: Kind, host: bool) -> String {
        match (&self.constant, &self.mask) {
            (Some(value), _) => kind.show(value, host),
            (None, None) => self.words.clone(),
            (None, Some((mask, xor))) => {
                let (mask_words, xor_words) = (self.kind.show(mask, self.host), self.kind.show(xor, self.host));
                let (mask, xor) = (number(mask, self.host), number(xor, self.host));
                match (xor, mask & xor) {
                    (0, _) => format!("{} & {mask_words}", self.words),
                    (_, 0) => format!("{} & {mask_words} | {xor_words}", self.words),
                    _ => format!("{} & {mask_words} ^ {xor_words}", self.words),
                }
            }
        }
    }

    /// The field that a mask cuts out of the loaded bytes, and its distance from the lowest bit: `ip dscp` is
    /// `byte & 0xfc`.
    pub(super) fn cut(&self) -> Option<(&'static Field, u32)> {
        let payload = self.payload.as_ref()?;
        let (mask, xor) = self.mask.as_ref()?;
        let mask = number(mask, false);
        if mask == 0 || number(xor, false) != 0 || self.length > 16 {
            return None;
        }
        let (shift, bits) = (mask.trailing_zeros(), mask.count_ones());
        let all = u32::try_from(self.length * 8).ok()?;
        let begins = payload.offset.checked_add(all.checked_sub(shift + bits)?)?;
        let solid = mask >> shift == u128::MAX >> (128 - bits);
        payload
            .header
            .iter()
            .find(|field| solid && field.offset == begins && field.bits == bits)
            .map(|field| (field, shift))
    }

    /// The length of the prefix that a mask keeps of an address.
    pub(super) fn prefix(&self) -> Option<u32> {
        let (mask, xor) = self.mask.as_ref()?;
        let bits = u32::try_from(mask.len() * 8).ok().filter(|bits| (1..=128).contains(bits))?;
        let (mask, all) = (number(mask, false), u128::MAX >> (128 - bits));
        let ones = mask.count_ones();
        let solid = mask == all & !all.checked_shr(ones).unwrap_or_default();
        (self.kind == Kind::Address && number(xor, false) == 0 && solid).then_some(ones)
    }

    /// The operand as a part of a set's key: its text, and how values of it are written.
    pub(super) fn part(&self) -> (String, Part) {
        let length = self.length;
        if let Some((field, shift)) = self.cut() {
            return (field.name.to_owned(), Part { kind: field.kind, host: false, shift, length });
        }
        (self.show(self.kind, self.host), Part { kind: self.kind, host: self.host, shift: 0, length })
    }

    /// The fields of a load, each with the value that it is compared with.
    pub(super) fn split(&self, value: &[u8]) -> Vec<(&'static Field, Vec<u8>)> {
        let fields = self.payload.as_ref().map(|payload| payload.fields.as_slice()).unwrap_or_default();
        let whole = number(value, false);
        let mut left = u32::try_from(value.len().min(16) * 8).unwrap_or_default();
        let mut split = Vec::new();
        for field in fields {
            left = left.saturating_sub(field.bits);
            let value = whole.checked_shr(left).unwrap_or_default() & (u128::MAX >> (128 - field.bits.clamp(1, 128)));
            split.push((*field, bytes(value, field.bits.div_ceil(8) as usize)));
        }
        split
    }
}
