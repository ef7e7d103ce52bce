//! A netlink message under construction.

/// Attributes and messages start at multiples of this.
const ALIGN: usize = 4;

/// A request under construction: the netlink header, a fixed header, attributes.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Starts a message of type `kind` with the fixed header `fixed`.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0; 4]); // length: set by `finish`
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]); // sequence number: set by `finish`; port: set by the kernel
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Appends one attribute.
    pub(super) fn attribute(self, kind: u16, value: &[u8]) -> Self {
        self.nest(kind, |mut inside| {
            inside.0.extend(value);
            inside
        })
    }

    /// Appends one attribute with a number in it.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends one attribute with a C string in it.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.nest(kind, |mut inside| {
            inside.0.extend(value.as_bytes());
            inside.0.push(0);
            inside
        })
    }

    /// Appends one attribute whose value `fill` writes: further attributes, or anything else.
    pub(super) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        let Self(mut bytes) = fill(self);
        let length = u16::try_from(bytes.len() - start).unwrap_or(u16::MAX);
        bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        Self(bytes)
    }

    /// Appends bytes unchanged: a fixed header inside an attribute.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The whole message, with its length and `sequence` in the header.
    pub(super) fn finish(self, sequence: u32) -> Vec<u8> {
        let Self(mut bytes) = self;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes
    }
}
