//! What the kernel removed with the steps of a session.

use super::Undo;
use crate::error::{Error, Kind};
use crate::lab::host::journal::now;
use crate::lab::host::step::{Elsewhere, Lost, Resource, Value};
use crate::net::keep::Kept;

/// What the kernel removed with a step.
pub(super) struct Removed {
    at: Option<Elsewhere>,
    kept: Kept,
    time: u64,
    /// Whether it has to be there at the end. If not, it tells what was there.
    is_wanted: bool,
    /// Whether it was kept together with all routes that the kernel makes for addresses.
    is_complete: bool,
}

/// Whether the step has taken IPv4 from a link. A link that is down keeps its IPv4 addresses.
pub(super) fn takes_ipv4(values: &[Value]) -> bool {
    let is_small = |value: &Value| value.to.as_ref().and_then(|to| to.parse::<u32>().ok()).is_some_and(|mtu| mtu < 68);
    values.iter().any(|value| matches!(value.of, Resource::Mtu(_)) && is_small(value))
}

impl Undo {
    /// Notes what a step has removed. What another session added is only restored for that session.
    pub(super) fn note_lost(
        &mut self,
        at: Option<&Elsewhere>,
        time: u64,
        lost: &[Lost],
        was_up: bool,
        takes_ipv4: bool,
    ) {
        for Lost { message, session } in lost {
            let lives = |name: &String| self.others.iter().any(|other| other.is_live && other.name == *name);
            if session.as_ref().is_some_and(|name| !lives(name)) {
                continue;
            }
            let Some(kept) = Kept::decode(message) else {
                let text = format!("`{message}` in the journal is not a message");
                self.errors.push(Error::plain(Kind::Kernel, text));
                continue;
            };
            let is_wanted = takes_ipv4 || !kept.is_ipv4_address();
            let is_complete = was_up && session.is_none();
            self.lost.push(Removed { at: at.cloned(), kept, time, is_wanted, is_complete });
        }
    }

    /// Restores it, all at once, since one object needs another.
    pub(super) fn restore_lost(&mut self) {
        let mut lost = std::mem::take(&mut self.lost);
        // What was kept first is how it was.
        lost.sort_by_key(|removed| removed.time);
        let age = |time: u64| u32::try_from(now().saturating_sub(time) / 1_000_000_000).unwrap_or(u32::MAX);
        while let Some(first) = lost.first() {
            let at = first.at.clone();
            let (here, elsewhere): (Vec<_>, Vec<_>) = lost.into_iter().partition(|removed| removed.at == at);
            lost = elsewhere;
            let wanted = here.iter().filter(|removed| removed.is_wanted);
            let wanted: Vec<(Kept, u32)> = wanted.map(|removed| (removed.kept.clone(), age(removed.time))).collect();
            let complete = here.into_iter().filter(|removed| removed.is_complete);
            let complete: Vec<Kept> = complete.map(|removed| removed.kept).collect();
            match self.net_of(at.as_ref()) {
                Ok(Some(net)) => {
                    self.errors.extend(net.restore(&self.permit, &wanted));
                    self.errors.extend(net.remove_what_came_back(&self.permit, &complete).err());
                }
                Ok(None) => {}
                Err(error) => self.errors.push(error),
            }
        }
    }
}
