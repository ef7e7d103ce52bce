//! Which user and group ids a lab has.

use std::sync::OnceLock;

/// The user and group ids of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// All ids of the machine: a lab of root.
    All,
    /// The user's own id as 0, and the user's subordinate ids from 1 on.
    Range,
    /// The user's own id as 0, and no other.
    One,
    /// As `One`. Programs may change to other ids, which has no effect.
    Pretend,
}

impl Ids {
    const EACH: [Self; 4] = [Self::All, Self::Range, Self::One, Self::Pretend];

    /// The byte by which one process of a lab tells the next.
    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    /// The ids that `byte` stands for.
    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        Self::EACH.into_iter().find(|ids| ids.byte() == byte)
    }
}

/// The ids of the lab that this process works in.
static CURRENT: OnceLock<Ids> = OnceLock::new();

/// The ids of the lab that this process works in. Without a lab, as with `--host`, they are those of the machine.
#[must_use]
pub fn current() -> Ids {
    CURRENT.get().copied().unwrap_or(Ids::All)
}

/// Records the ids of the lab, for this process and its children.
pub(super) fn set(ids: Ids) {
    let _ = CURRENT.set(ids); // the keeper sets it once
}
