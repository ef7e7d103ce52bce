//! Undoing a journal, by the process that wrote it or, when all of them were killed, by `nslab gc`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::journal::{Elsewhere, Entry, Step, boot_id, tag_of};
use super::permit::Permitted;
use super::processes::{end_started, end_tagged};
use super::{DIRECTORY, guard, netns_dir};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::exec::mounts::NETNS_DIR;
use crate::exec::sys;
use crate::lab::{Lab, path_of, remove_name};
use crate::name::{IfName, NsName};
use crate::net::Net;
use crate::net::link::{Change, Which};
use crate::net::route::NewRoute;

/// Undoes what the journal at `path` says, last step first, and removes it. What fails is returned, and the rest is
/// done all the same. A journal that is not there has been undone.
#[must_use]
pub fn undo(path: &Path) -> Vec<Error> {
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    // The last line may be cut: then its step was not taken.
    let entries: Vec<Entry> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut errors = Vec::new();
    match Lab::here(None).and_then(|lab| is_of_here(&entries, &lab).map(|here| (lab, here))) {
        Ok((lab, true)) => {
            end_tagged(&tag_of(path));
            for (n, entry) in entries.iter().enumerate().rev() {
                if let Err(error) = undo_entry(&lab, entry, &entries[n + 1..]) {
                    errors.push(error);
                }
            }
        }
        Ok((_, false)) => {}
        Err(error) => errors.push(error),
    }
    if errors.is_empty() {
        let _ = fs::remove_file(path);
        let _ = fs::remove_dir(DIRECTORY); // only if it is empty
    }
    errors
}

/// Whether the journal speaks of this boot; an error if it speaks of another network namespace.
fn is_of_here(entries: &[Entry], lab: &Lab) -> Result<bool> {
    let Some(Entry { step: Step::Began { boot, ns }, .. }) = entries.first() else { return Ok(false) };
    if *boot != boot_id() {
        return Ok(false);
    }
    if !ns.is(&lab.root().handle()?) {
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

/// The namespace of a step, if it is still there.
fn net_of(lab: &Lab, at: Option<&Elsewhere>) -> Result<Option<Arc<Net>>> {
    let Some(at) = at else { return lab.root().net().map(Some) };
    let fits = |path: &Path| NsHandle::open(NsKind::Net, path).ok().filter(|handle| at.ns.is(handle));
    let named = at.name.as_ref().and_then(|name| NsName::new(name).ok()).and_then(|name| fits(&path_of(&name)));
    let of_process = || {
        let processes = fs::read_dir("/proc").ok()?.filter_map(std::result::Result::ok);
        processes.map(|process| process.path().join("ns/net")).find_map(|path| fits(&path))
    };
    Ok(named.or_else(of_process).and_then(|handle| lab.adopt(handle, None).net().ok()))
}

/// Undoes one step, given those that came after it.
fn undo_entry(lab: &Arc<Lab>, entry: &Entry, later: &[Entry]) -> Result<()> {
    let Some(net) = net_of(lab, entry.at.as_ref())? else { return Ok(()) };
    let permit = Permitted::grant();
    let after = |fits: &dyn Fn(&Step) -> bool| later.iter().any(|other| other.at == entry.at && fits(&other.step));
    match &entry.step {
        Step::Began { .. } | Step::LostNetns { .. } => Ok(()),
        Step::MakesNetnsDir | Step::MountsNetnsDir => undo_netns_dir(&entry.step),
        Step::MakesNetns { name, ns } => {
            if after(&|step| matches!(step, Step::LostNetns { name: lost } if lost == name)) {
                return Ok(());
            }
            let file = path_of(&NsName::new(name)?);
            match NsHandle::open(NsKind::Net, &file) {
                Ok(handle) if ns.is(&handle) => remove_name(&file),
                // Killed between making the file and mounting the namespace on it: nobody could use it yet.
                Err(error) if error.errno == Some(Errno::EINVAL) && is_empty_file(&file) => remove_name(&file),
                _ => Ok(()), // gone, or somebody else's by now
            }
        }
        Step::WillMakeLink { name, above, mac } => {
            if after(&|step| matches!(step, Step::MadeLink { name: made, .. } if made == name)) {
                return Ok(());
            }
            let name = IfName::from_kernel(name);
            match net.find_link(Which::Name(&name))? {
                // Indices only grow: a link of that name above the highest one from before is the one we made.
                Some(link) if link.index > *above || mac.as_ref() == Some(&link.mac) => {
                    net.delete_link(&permit, &name).or_else(gone)
                }
                _ => Ok(()),
            }
        }
        Step::MadeLink { index, kind, .. } => match net.find_link(Which::Index(*index))? {
            Some(link) if link.kind == *kind => {
                net.delete_link(&permit, &IfName::from_kernel(&link.name)).or_else(gone)
            }
            _ => Ok(()),
        },
        Step::AddsAddress { index, address } => net.delete_addr(&permit, *index, "", *address).or_else(gone),
        Step::AddsRoute { dst, gateway, index, metric } => {
            let ours = net.routes(dst.addr().is_ipv6())?.into_iter().find(|route| {
                route.dst == *dst
                    && route.metric == *metric
                    && route.gateway() == *gateway
                    && index.is_none_or(|index| route.index() == Some(index))
            });
            let Some(route) = ours else { return Ok(()) };
            let metric = Some(*metric).filter(|metric| *metric > 0);
            net.delete_route(&permit, &NewRoute { dst: *dst, gateway: *gateway, index: route.index(), metric })
                .or_else(gone)
        }
        Step::SetsUp { index, bare } => {
            change(&net, &permit, *index, Change::Down)?;
            if *bare { net.delete_addr(&permit, *index, "lo", guard::LOOPBACK).or_else(gone) } else { Ok(()) }
        }
        Step::SetsDown { index, lost } => {
            change(&net, &permit, *index, Change::Up)?;
            net.restore(&permit, lost)
        }
        Step::SetsMtu { index, mtu, lost } => {
            change(&net, &permit, *index, Change::Mtu(*mtu))?;
            net.restore(&permit, lost)
        }
        Step::SetsSysctl { values } => {
            // The first is the one that was written; the others are those that the kernel changes with it.
            values.iter().try_for_each(|(key, value)| match net.sysctl(key) {
                Ok(now) if now != *value => net.set_sysctl(&permit, key, value).map(drop),
                Err(error) => gone(error), // the link of this setting is gone
                Ok(_) => Ok(()),
            })
        }
        Step::Started { pid, start } => {
            end_started(*pid, *start);
            Ok(())
        }
    }
}

fn change(net: &Net, permit: &Permitted, index: u32, change: Change<'_>) -> Result<()> {
    net.change_link(permit, Which::Index(index), change, || format!("restore link {index}")).or_else(gone)
}

fn is_empty_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.size() == 0)
}

/// Takes `/run/netns` away again, unless somebody uses it by now.
fn undo_netns_dir(step: &Step) -> Result<()> {
    let fail = |e: std::io::Error| Error::io(format!("remove `{NETNS_DIR}`"), &e);
    let Some(_lock) = netns_dir::lock().map_err(fail)? else { return Ok(()) };
    if fs::read_dir(NETNS_DIR).map_err(fail)?.next().is_some() {
        return Ok(());
    }
    if *step == Step::MountsNetnsDir {
        return match sys::unmount(Path::new(NETNS_DIR)) {
            Ok(()) | Err(Errno::EINVAL) => Ok(()), // not mounted: killed before
            Err(errno) => Err(fail(errno.into())),
        };
    }
    match fs::remove_dir(NETNS_DIR).map_err(|e| e.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)) {
        // A mount of somebody else's, or a new name.
        Ok(()) | Err(Errno::EBUSY | Errno::ENOTEMPTY | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(fail(errno.into())),
    }
}

/// Undoes the journals of processes that are gone. Like a garbage collector: `nslab gc`.
#[must_use]
pub fn collect_garbage() -> (usize, Vec<Error>) {
    let (mut undone, mut errors) = (0, Vec::new());
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return (0, errors) };
    for path in entries.filter_map(std::result::Result::ok).map(|entry| entry.path()) {
        let is_journal = path.extension().is_some_and(|extension| extension == "journal");
        let Some(file) = File::open(&path).ok().filter(|_| is_journal) else { continue };
        // Whoever works with a journal holds its lock, however it is called and whatever its number is.
        let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { continue };
        let same = |a: fs::Metadata, b: fs::Metadata| a.ino() == b.ino() && a.dev() == b.dev();
        let unchanged = matches!((lock.metadata(), fs::metadata(&path)), (Ok(a), Ok(b)) if same(a.clone(), b.clone()));
        if !unchanged {
            continue; // undone meanwhile
        }
        let failed = undo(&path);
        undone += usize::from(failed.is_empty());
        errors.extend(failed);
    }
    (undone, errors)
}
