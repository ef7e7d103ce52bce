//! Several sessions at the same time: which of them changed the same values, and what these were before the first.
//!
//! A session that ends leaves a value that another live session has changed too, and hands over what it knows: it
//! appends its steps to the journal of that session. So the last one restores what the first one found.

use std::collections::BTreeSet;
use std::fs::TryLockError;
use std::io;

use super::directory::{Found, Locked, path, read};
use super::journal::append;
use super::step::{Elsewhere, Entry, Resource, Step, Value};
use super::value::plain;
use crate::error::{Error, Result};

/// The endings of journals that are still to be undone.
pub(super) const PENDING: [&str; 2] = [".journal", ".failed"];

/// The journal of another session.
pub(super) struct Other {
    pub(super) name: String,
    /// Whether a process of that session lives. If not, `nslab gc` has to undo it.
    pub(super) is_live: bool,
    found: Found,
}

/// The other sessions whose journals are in the directory. What cannot be read is `gc`'s to report.
pub(super) fn others(directory: &Locked, own: &str) -> Result<Vec<Other>> {
    let names = directory.names(&PENDING)?.into_iter().filter(|name| name != own);
    let found = names.filter_map(|name| {
        let file = directory.open_journal(&name).ok()?;
        let is_live = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        Some(Other { is_live, found: read(file).ok()?, name })
    });
    Ok(found.collect())
}

impl Other {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.found.entries
    }

    /// Whether it has changed this value.
    pub(super) fn claims(&self, at: Option<&Elsewhere>, resource: &Resource) -> bool {
        values(self.entries(), at).any(|(_, value)| value.of == *resource)
    }

    /// Appends a step of a session that ends, unless it is there.
    pub(super) fn take_over(&mut self, entry: Entry) -> Result<()> {
        if self.entries().contains(&entry) {
            return Ok(());
        }
        let op = |e: io::Error| Error::io(format!("write the journal `{}`", path(&self.name).display()), &e);
        append(&mut self.found.file, &entry).map_err(op)?;
        self.found.entries.push(entry);
        Ok(())
    }

    /// Takes over a step that sets values, with what has become of them, as far as this session has changed them too.
    pub(super) fn take_over_values(&mut self, entry: &Entry, all: &[Entry]) -> Result<()> {
        let Step::Sets { values, lost, was_up } = &entry.step else { return Ok(()) };
        let (at, time) = (entry.at.clone(), entry.time);
        let values: Vec<Value> = values.iter().filter(|value| self.claims(at.as_ref(), &value.of)).cloned().collect();
        if values.is_empty() {
            return Ok(());
        }
        // What went with a link comes back when the link does.
        let with_link = values.iter().any(|value| !matches!(value.of, Resource::Sysctl(_)));
        let lost = if with_link { lost.clone() } else { Vec::new() };
        let has_set =
            all.iter().filter(|e| e.at == at && matches!(e.step, Step::HasSet { at_time, .. } if at_time == time));
        for entry in has_set {
            self.take_over(entry.clone())?;
        }
        self.take_over(Entry { time, at, step: Step::Sets { values, lost, was_up: *was_up } })
    }
}

/// The changes of values in a namespace, each with its time.
fn values<'a>(entries: &'a [Entry], at: Option<&'a Elsewhere>) -> impl Iterator<Item = (u64, &'a Value)> {
    entries.iter().filter(move |entry| entry.at.as_ref() == at).flat_map(|entry| {
        let values = if let Step::Sets { values, .. } = &entry.step { values.as_slice() } else { &[] };
        values.iter().map(|value| (entry.time, value))
    })
}

/// What is known about a value from the journals of all sessions.
pub(super) struct History {
    /// What it was before the first session changed it.
    pub(super) first: String,
    /// What it has been since; none if a session was killed while it changed it, so that it may be anything.
    seen: Option<BTreeSet<String>>,
}

impl History {
    /// The history of a value that at least one of these journals has.
    pub(super) fn of(journals: &[&[Entry]], at: Option<&Elsewhere>, resource: &Resource) -> Option<Self> {
        let changes =
            || journals.iter().flat_map(|entries| values(entries, at)).filter(|(_, value)| value.of == *resource);
        let (_, first) = changes().min_by_key(|(time, _)| *time)?;
        let mut seen = BTreeSet::new();
        let mut is_known = true;
        for (time, value) in changes() {
            let after = journals.iter().flat_map(|entries| entries.iter()).find_map(|entry| match &entry.step {
                Step::HasSet { at_time, values } if *at_time == time => Some(values),
                _ => None,
            });
            seen.insert(plain(&value.was));
            seen.extend(value.to.as_deref().map(plain));
            seen.extend(after.into_iter().flatten().filter(|(of, _)| of == resource).map(|(_, now)| plain(now)));
            is_known &= value.to.is_some() || after.is_some();
        }
        Some(Self { first: plain(&first.was), seen: is_known.then_some(seen) })
    }

    /// Whether a session gave it this value. If not, another program did.
    pub(super) fn has(&self, value: &str) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.contains(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(time: u64, was: &str, to: Option<&str>) -> Entry {
        let value = Value { of: Resource::Mtu(7), was: was.into(), to: to.map(str::to_owned) };
        Entry { time, at: None, step: Step::Sets { values: vec![value], lost: Vec::new(), was_up: false } }
    }

    #[test]
    fn the_first_value_is_that_of_the_oldest_step() {
        let (old, new) =
            (vec![sets(1, "1500", Some("1400"))], vec![sets(2, "1400", Some("1300")), sets(3, "1300", Some("1200"))]);
        let history = History::of(&[&new, &old], None, &Resource::Mtu(7)).unwrap();
        assert_eq!(history.first, "1500");
        assert!(history.has("1300") && history.has("1200") && !history.has("1234"));
        assert!(History::of(&[&new, &old], None, &Resource::Mtu(8)).is_none());
    }

    #[test]
    fn a_step_that_was_not_finished_may_have_set_anything() {
        let unfinished = [sets(1, "0", None)];
        assert!(History::of(&[&unfinished], None, &Resource::Mtu(7)).unwrap().has("5"));
        let mut finished = unfinished.to_vec();
        finished.push(Entry {
            time: 2,
            at: None,
            step: Step::HasSet { at_time: 1, values: vec![(Resource::Mtu(7), "1".into())] },
        });
        let history = History::of(&[&finished], None, &Resource::Mtu(7)).unwrap();
        assert!(history.has("1") && !history.has("5"));
    }
}
