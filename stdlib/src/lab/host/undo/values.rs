//! The values that a session has changed: which are restored, and which are left to other sessions and programs.

use super::Undo;
use crate::error::{Error, Kind, Result};
use crate::lab::host::sessions::{History, Other};
use crate::lab::host::step::{Elsewhere, Entry, Resource, Step, Value};

/// A value that stays as it is.
pub(super) struct Left {
    at: Option<Elsewhere>,
    of: Resource,
    now: String,
}

impl Undo {
    /// Decides which values are left as they are, before anything is written: the kernel changes values together.
    pub(super) fn decide(&mut self, entries: &[Entry]) {
        let mut seen: Vec<(Option<&Elsewhere>, &Resource)> = Vec::new();
        for entry in entries {
            let (Step::Sets { values, .. }, at) = (&entry.step, entry.at.as_ref()) else { continue };
            for Value { of, .. } in values {
                if !seen.contains(&(at, of)) {
                    seen.push((at, of));
                    match self.left(at, of, entries) {
                        Ok(left) => self.left.extend(left),
                        Err(error) => self.errors.push(error),
                    }
                }
            }
        }
    }

    /// The value, if it is not ours to restore. One that another program has changed is reported.
    fn left(&mut self, at: Option<&Elsewhere>, of: &Resource, entries: &[Entry]) -> Result<Option<Left>> {
        let Some(net) = self.net_of(at)? else { return Ok(None) };
        let Some(now) = of.read(&net)? else { return Ok(None) };
        let Some(history) = self.history(at, of, entries) else { return Ok(None) };
        let is_of_others = self.is_left_to_others(at, of);
        if !is_of_others && (history.has(&now) || now == history.first) {
            return Ok(None);
        }
        if !is_of_others {
            let text = format!("{} was `{}`, and is `{now}` now", of.shown(&net), history.first);
            self.errors.push(
                Error::plain(Kind::Kernel, text)
                    .hint("another program has changed it meanwhile, so it is left as it is"),
            );
        }
        Ok(Some(Left { at: at.cloned(), of: of.clone(), now }))
    }

    fn history(&self, at: Option<&Elsewhere>, of: &Resource, entries: &[Entry]) -> Option<History> {
        let journals: Vec<&[Entry]> = self.others.iter().map(Other::entries).chain([entries]).collect();
        History::of(&journals, at, of)
    }

    pub(super) fn is_left_to_others(&self, at: Option<&Elsewhere>, of: &Resource) -> bool {
        self.others.iter().any(|other| other.is_live && other.claims(at, of))
    }

    /// Restores values, but for those that are left.
    pub(super) fn settle<'a>(
        &mut self,
        at: Option<&Elsewhere>,
        values: impl Iterator<Item = &'a Value>,
        entries: &[Entry],
    ) {
        for Value { of, .. } in values {
            if self.left.iter().any(|left| left.at.as_ref() == at && left.of == *of) {
                continue;
            }
            let Some(History { first, .. }) = self.history(at, of, entries) else { continue };
            if let Err(error) = self.put(at, of, &first) {
                // A value that several steps have changed is reported once.
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
            }
        }
    }

    /// Restores hardware addresses. A bridge has its own again when its ports are gone, unless it had no ports.
    pub(super) fn settle_hardware_addresses(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Step::Sets { values, .. } = &entry.step {
                let addresses = values.iter().filter(|value| matches!(value.of, Resource::Mac(_)));
                self.settle(entry.at.as_ref(), addresses, entries);
            }
        }
    }

    /// Gives the values that are left once more: the kernel may have changed them together with others.
    pub(super) fn keep_others(&mut self) {
        for Left { at, of, now } in std::mem::take(&mut self.left) {
            self.errors.extend(self.put(at.as_ref(), &of, &now).err());
        }
    }

    /// Gives a value, unless it has it.
    fn put(&self, at: Option<&Elsewhere>, of: &Resource, value: &str) -> Result<()> {
        let Some(net) = self.net_of(at)? else { return Ok(()) };
        match of.read(&net)? {
            Some(now) if now != *value => of.write(&net, &self.permit, value).or_else(super::gone),
            _ => Ok(()), // as it should be, or gone
        }
    }
}
