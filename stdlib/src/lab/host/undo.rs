//! Undoing a journal, by the process that wrote it or, when all of them were killed, by `nslab gc`.
//!
//! First the steps, the last one first; then what the kernel removed with them, all at once, since one object needs
//! another. A step that fails does not stop the others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use nix::errno::Errno;

use super::directory::{Directory, Found, Locked, read, sleep};
use super::journal::{boot_id, tag_of};
use super::netns_dir;
use super::permit::Permitted;
use super::processes::{end_started, end_tagged};
use super::sessions::{Other, others};
use super::step::{Elsewhere, Entry, Resource, Step, Value};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::{Lab, path_of, remove_name};
use crate::name::{IfName, NsName};
use crate::net::Net;
use crate::net::keep::{Followers, Kept};
use crate::net::link::Which;
use crate::net::route::NewRoute;
use lost::{Removed, takes_ipv4};
use values::Left;

mod lost;
mod values;

/// What becomes of a journal that could not be undone.
#[derive(Clone, Copy)]
pub(super) enum Failed {
    /// `nslab gc` tries it once more.
    TryAgain,
    /// It is not undone again.
    SetAside,
}

/// Undoes what the journal at `path` says and removes it. Returns what is not as before. A journal that is not there has
/// been undone.
#[must_use]
pub fn undo(path: &Path) -> Vec<Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = match Directory::open() {
        Ok(Some(directory)) => directory,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![error],
    };
    match directory.open_journal(name) {
        Err(error) if error.errno == Some(Errno::ENOENT) => Vec::new(),
        file => match file.and_then(read) {
            Ok(found) => all(name, found, Failed::TryAgain),
            Err(error) => vec![unreadable(&directory, name, &error)],
        },
    }
}

/// Sets a journal aside that cannot be read, and returns the error that says so.
pub(super) fn unreadable(directory: &Directory, name: &str, error: &Error) -> Error {
    let error = Error::plain(Kind::Kernel, format!("cannot undo the journal `{name}`: {error}"));
    match directory.set_aside(name, "unreadable") {
        Ok(path) => error.hint(format!("it is kept as `{}`; what it says is not undone", path.display())),
        Err(failed) => error.hint(failed.to_string()),
    }
}

/// Undoes the journal `name`, and removes or renames it. The caller holds its lock.
pub(super) fn all(name: &str, found: Found, failed: Failed) -> Vec<Error> {
    match is_of_here(&found.entries) {
        Ok(true) => end_tagged(&tag_of(Path::new(name))),
        Ok(false) => {}
        Err(error) => return vec![error],
    }
    let directory = match Directory::lock(sleep) {
        Ok(Some(directory)) => directory,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![error],
    };
    // Another session may have handed its steps over while this one waited for the lock.
    let found = match directory.open_journal(name).and_then(read) {
        Ok(again) => Found { entries: again.entries, ..found },
        Err(_) => found,
    };
    let errors = match is_of_here(&found.entries) {
        Ok(true) => Undo::new(&directory, name, found.entries).map_or_else(|error| vec![error], Undo::run),
        _ => Vec::new(),
    };
    if errors.is_empty() {
        return directory.remove(name).err().into_iter().collect();
    }
    let kept = match failed {
        Failed::TryAgain => directory.set_aside(name, "failed"),
        Failed::SetAside => directory.set_aside(name, "aside"),
    };
    let mut errors = errors;
    if let Some(last) = errors.pop() {
        errors.push(match (kept, failed) {
            (Ok(path), Failed::TryAgain) => {
                last.hint(format!("`nslab gc` tries once more; the journal is `{}`", path.display()))
            }
            (Ok(path), Failed::SetAside) => {
                last.hint(format!("it is not tried again; the journal is kept as `{}`", path.display()))
            }
            (Err(error), _) => last.hint(error.to_string()),
        });
    }
    errors
}

/// Whether the journal speaks of this boot; an error if it speaks of another network namespace.
fn is_of_here(entries: &[Entry]) -> Result<bool> {
    let Some(Entry { step: Step::Began { boot, ns }, .. }) = entries.first() else { return Ok(false) };
    if *boot != boot_id() {
        return Ok(false);
    }
    if !ns.is(&NsHandle::open(NsKind::Net, Path::new("/proc/self/ns/net"))?) {
        return Err(Error::plain(Kind::Permission, "the journal belongs to another network namespace")
            .hint("run `nslab gc` there; if that namespace is gone, remove the journal"));
    }
    Ok(true)
}

fn gone(error: Error) -> Result<()> {
    match error.errno {
        Some(Errno::ENODEV | Errno::EADDRNOTAVAIL | Errno::ESRCH | Errno::ENOENT) => Ok(()),
        _ => Err(error),
    }
}

/// One journal, while it is undone.
struct Undo {
    lab: Arc<Lab>,
    permit: Permitted,
    entries: Vec<Entry>,
    others: Vec<Other>,
    /// The values that are not ours to restore, as they are now.
    left: Vec<Left>,
    /// What has to be there at the end.
    lost: Vec<Removed>,
    errors: Vec<Error>,
}

impl Undo {
    fn new(directory: &Locked, name: &str, mut entries: Vec<Entry>) -> Result<Self> {
        // Steps that other sessions have handed over come last in the file.
        entries.sort_by_key(|entry| entry.time);
        let others = others(directory, name)?;
        let permit = Permitted::grant();
        let lab = Lab::on_the_host(None)?;
        Ok(Self { lab, permit, entries, others, left: Vec::new(), lost: Vec::new(), errors: Vec::new() })
    }

    fn run(mut self) -> Vec<Error> {
        let entries = std::mem::take(&mut self.entries);
        if let Err(error) = self.hand_over(&entries) {
            self.errors.push(error);
        }
        self.decide(&entries);
        for (n, entry) in entries.iter().enumerate().rev() {
            if let Err(error) = self.undo(entry, &entries[n + 1..], &entries) {
                self.errors.push(error);
            }
        }
        self.settle_hardware_addresses(&entries);
        self.restore_lost();
        self.keep_others();
        self.errors
    }

    /// Tells the other sessions what was before this one changed what they have changed, too.
    fn hand_over(&mut self, entries: &[Entry]) -> Result<()> {
        for other in &mut self.others {
            for entry in entries {
                other.take_over_values(entry, entries)?;
            }
        }
        Ok(())
    }

    /// The namespace of a step, if it is still there.
    fn net_of(&self, at: Option<&Elsewhere>) -> Result<Option<Arc<Net>>> {
        let Some(at) = at else { return self.lab.root().net().map(Some) };
        let fits = |path: &Path| NsHandle::open(NsKind::Net, path).ok().filter(|handle| at.ns.is(handle));
        let named = at.name.as_ref().and_then(|name| NsName::new(name).ok()).and_then(|name| fits(&path_of(&name)));
        let of_process = || {
            let pids = crate::ns::pids().ok()?;
            pids.iter().find_map(|pid| fits(Path::new(&format!("/proc/{pid}/ns/net"))))
        };
        Ok(named.or_else(of_process).and_then(|handle| self.lab.adopt(handle, None).net().ok()))
    }

    /// Undoes one step, given those that came after it.
    fn undo(&mut self, entry: &Entry, later: &[Entry], all: &[Entry]) -> Result<()> {
        let Some(net) = self.net_of(entry.at.as_ref())? else { return Ok(()) };
        let permit = &self.permit;
        let after = |fits: &dyn Fn(&Step) -> bool| later.iter().any(|other| other.at == entry.at && fits(&other.step));
        match &entry.step {
            Step::Began { .. }
            | Step::LostNetns { .. }
            | Step::LostLink { .. }
            | Step::LostAddress { .. }
            | Step::LostRoute { .. }
            | Step::HasSet { .. } => Ok(()),
            Step::MakesNetnsDir | Step::MountsNetnsDir => {
                let is_used = netns_dir::undo(&entry.step)?;
                match self.others.iter_mut().find(|other| other.is_live) {
                    Some(other) if is_used => other.take_over(entry.clone()),
                    _ => Ok(()),
                }
            }
            Step::MakesNetns { name, ns } => {
                if after(&|step| matches!(step, Step::LostNetns { name: lost } if lost == name)) {
                    return Ok(());
                }
                let file = path_of(&NsName::new(name)?);
                match NsHandle::open(NsKind::Net, &file) {
                    Ok(handle) if ns.is(&handle) => remove_name(&file),
                    // Killed between making the file and mounting the namespace on it: no program could use it yet.
                    Err(error) if error.errno == Some(Errno::EINVAL) && is_empty_file(&file) => remove_name(&file),
                    _ => Ok(()), // gone, or another one's by now
                }
            }
            Step::WillMakeLink { name, above, mac } => {
                let is_settled = |step: &Step| matches!(step, Step::MadeLink { name: other, .. } | Step::LostLink { name: other } if other == name);
                if after(&is_settled) {
                    return Ok(());
                }
                let name = IfName::from_kernel(name);
                match net.find_link(Which::Name(&name))? {
                    // Indices only grow: a link of that name above the highest one from before is the one we made.
                    Some(link) if link.index > *above || mac.as_ref() == Some(&link.mac) => {
                        net.delete_link(permit, &name).or_else(gone)
                    }
                    _ => Ok(()),
                }
            }
            Step::MadeLink { index, kind, .. } => match net.find_link(Which::Index(*index))? {
                Some(link) if link.kind == *kind => {
                    net.delete_link(permit, &IfName::from_kernel(&link.name)).or_else(gone)
                }
                _ => Ok(()),
            },
            Step::AddsAddress { index, address } => {
                if after(
                    &|step| matches!(step, Step::LostAddress { index: i, address: a } if i == index && a == address),
                ) {
                    return Ok(());
                }
                let others = secondaries(entry.at.as_ref(), &net, *index, all)?;
                net.delete_addr(permit, *index, &link_name(&net, *index), *address).or_else(gone)?;
                self.errors.extend(net.restore(permit, &others));
                Ok(())
            }
            Step::AddsRoute { dst, gateway, index, metric } => {
                if after(&|step| matches!(step, Step::LostRoute { dst: d, metric: m } if d == dst && m == metric)) {
                    return Ok(());
                }
                let ours = net.routes(dst.addr().is_ipv6())?.into_iter().find(|route| {
                    route.dst == *dst
                        && route.metric == *metric
                        && route.gateway() == *gateway
                        && index.is_none_or(|index| route.index() == Some(index))
                });
                let Some(route) = ours else { return Ok(()) };
                let metric = Some(*metric).filter(|metric| *metric > 0);
                let route = NewRoute { dst: *dst, gateway: *gateway, index: route.index(), metric };
                net.delete_route(permit, &route).or_else(gone)
            }
            Step::Sets { values, lost, was_up } => {
                let at = entry.at.as_ref();
                // The first is the one that was written; the others are those that the kernel changes with it.
                self.settle(at, values.iter().filter(|value| !matches!(value.of, Resource::Mac(_))), all);
                let on_link = |value: &&Value| !matches!(value.of, Resource::Sysctl(_));
                if !values.iter().filter(on_link).any(|value| self.is_left_to_others(at, &value.of)) {
                    self.note_lost(at, entry.time, lost, *was_up, takes_ipv4(values));
                }
                Ok(())
            }
            Step::Started { pid, start } => {
                end_started(*pid, *start);
                Ok(())
            }
        }
    }
}

/// The IPv4 addresses of a link that other programs have added: the kernel removes those that are secondary to one
/// together with it.
fn secondaries(at: Option<&Elsewhere>, net: &Net, index: u32, entries: &[Entry]) -> Result<Vec<(Kept, u32)>> {
    let is_ours = |kept: &Kept| {
        entries.iter().any(|entry| match &entry.step {
            Step::AddsAddress { index, address } if entry.at.as_ref() == at => is_address(kept, *index, address),
            _ => false,
        })
    };
    let there = net.what_goes_with(index, &Followers::of(index, &[]))?.into_iter();
    Ok(there.filter(|kept| kept.is_ipv4_address() && !is_ours(kept)).map(|kept| (kept, 0)).collect())
}

/// Whether a kept object is this address.
pub(super) fn is_address(kept: &Kept, index: u32, address: &IpNet) -> bool {
    kept.is_address(index, address.addr(), address.prefix_len())
}

fn link_name(net: &Net, index: u32) -> String {
    match net.find_link(Which::Index(index)) {
        Ok(Some(link)) => link.name,
        _ => index.to_string(),
    }
}

fn is_empty_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.size() == 0)
}
