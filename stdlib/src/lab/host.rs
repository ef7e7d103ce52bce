//! `--host`: a journal of everything made on the machine itself, and its exact undoing.
//!
//! One JSON line a step, written and synced *before* the step, below `/run/nslab` (which a reboot empties).
//! Undoing goes from the last line to the first, checks the identity of each thing, and removes nothing by pattern.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::MsFlags;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{Lab, Link, NetNs, path_of, remove_name};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::{NsHandle, NsInode, NsKind};
use crate::exec::mounts::NETNS_DIR;
use crate::exec::sys;
use crate::name::{IfName, NsName};
use crate::net::Net;
use crate::net::link::{Change, Which};
use crate::net::route::NewRoute;

const FOLDER: &str = "/run/nslab";

/// One step, with what it takes to undo it and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Step {
    WillMakeNetns { name: String },
    MadeNetns { name: String, dev: u64, ino: u64 },
    DeletedNetns { name: String },
    WillMakeLink { name: String, above: u32 },
    MadeLink { name: String, index: u32 },
    AddedAddress { index: u32, address: IpNet },
    AddedRoute { dst: IpNet, gateway: Option<std::net::IpAddr>, index: Option<u32>, metric: Option<u32> },
    SetUp { index: u32, up: bool },
    SetMtu { index: u32, mtu: u32 },
    SetSysctl { key: String, value: String },
    StartedProcess { pid: i32, start: u64 },
}

/// The journal of this process.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    /// Indices of the links that are ours to change.
    ours: Mutex<BTreeSet<u32>>,
    allowed: Mutex<BTreeSet<String>>,
}

impl Journal {
    /// Where the journal of the process `pid` is.
    #[must_use]
    pub fn path_of(pid: u32) -> PathBuf {
        Path::new(FOLDER).join(format!("{pid}.journal"))
    }

    /// Creates the journal at `path`, locked for as long as its owner lives.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| Error::io(format!("create the journal `{}`", path.display()), &e);
        fs::create_dir_all(FOLDER).map_err(fail)?;
        fs::set_permissions(FOLDER, Permissions::from_mode(0o700)).map_err(fail)?;
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(fail)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), ours: Mutex::default(), allowed: Mutex::default() })
    }

    fn write(&self, step: &Step) -> Result<()> {
        let fail = |e: std::io::Error| Error::io(format!("write the journal `{}`", self.path.display()), &e);
        let mut line = serde_json::to_vec(step).map_err(|e| fail(e.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(fail)
    }

    pub(super) fn will_make_netns(&self, name: &NsName) -> Result<()> {
        if path_of(name).exists() {
            return Ok(()); // creating it will fail, and it is not ours to remove
        }
        self.write(&Step::WillMakeNetns { name: name.as_str().into() })
    }

    pub(super) fn made_netns(&self, name: &NsName, inode: NsInode) -> Result<()> {
        self.write(&Step::MadeNetns { name: name.as_str().into(), dev: inode.dev, ino: inode.ino })
    }

    pub(super) fn deleted_netns(&self, name: &NsName) -> Result<()> {
        self.write(&Step::DeletedNetns { name: name.as_str().into() })
    }

    pub(super) fn started(&self, pid: u32) -> Result<()> {
        let pid = i32::try_from(pid).unwrap_or(0);
        self.write(&Step::StartedProcess { pid, start: start_of(pid).unwrap_or(0) })
    }

    /// Says that changes to the device `name` are meant.
    pub fn allow(&self, name: &str) {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn is_ours(&self, index: u32) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).contains(&index)
    }

    /// Refuses loopback and the device of the default route, unless they were allowed.
    pub(super) fn guard(&self, net: &Net, name: &str) -> Result<()> {
        if self.allowed.lock().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return Ok(());
        }
        let routes = net.routes(false)?.into_iter().chain(net.routes(true)?);
        let defaults: BTreeSet<u32> = routes.filter(|r| r.dst.prefix_len() == 0).filter_map(|r| r.index).collect();
        let index = net.find_link(Which::Name(&IfName::from_kernel(name)))?.map(|link| link.index);
        let why = match index {
            _ if name == "lo" => "the loopback device",
            Some(index) if defaults.contains(&index) => "the device of the default route",
            _ => return Ok(()),
        };
        Err(Error::plain(Kind::Permission, format!("`{name}` is {why} of this machine"))
            .hint(format!("if you mean it, say `allow_host_device(\"{name}\")` before")))
    }

    /// Refuses to take a device away that was there before us.
    pub(super) fn guard_ours(&self, link: &Link, verb: &str) -> Result<()> {
        if !link.ns().is_root() || self.is_ours(link.index()?) {
            return Ok(());
        }
        Err(Error::plain(Kind::Permission, format!("cannot {verb} `{}`: this lab did not make it", link.name()))
            .hint("a virtual device that is in a namespace when that dies is destroyed with it; make one with `veth`"))
    }
}

/// What bindings call before they change something; without a journal it costs nothing.
impl Lab {
    /// Runs `make`, which creates links called `names` in `ns`.
    ///
    /// # Errors
    /// `make`'s, or the journal's.
    pub fn making_links<T>(&self, ns: &NetNs, names: &[&IfName], make: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(journal) = self.journal().filter(|_| ns.is_root()) else { return make() };
        let net = ns.net()?;
        let above = net.links()?.iter().map(|link| link.index).max().unwrap_or(0);
        let mut new = Vec::new();
        for name in names {
            if net.find_link(Which::Name(name))?.is_none() {
                journal.write(&Step::WillMakeLink { name: name.as_str().into(), above })?;
                new.push(name);
            }
        }
        let made = make()?;
        for name in new {
            if let Some(link) = net.find_link(Which::Name(name))? {
                journal.write(&Step::MadeLink { name: link.name, index: link.index })?;
                journal.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(link.index);
            }
        }
        Ok(made)
    }

    /// Before a link is changed; `undo` tells the journal how it is now.
    ///
    /// # Errors
    /// `Permission` for the devices that keep the machine connected.
    pub fn changing(&self, link: &Link, what: Changing) -> Result<()> {
        let Some(journal) = self.journal().filter(|_| link.ns().is_root()) else { return Ok(()) };
        self.guard(&link.ns(), link.name().as_str())?;
        let info = link.info()?;
        match what {
            Changing::Take(verb) => journal.guard_ours(link, verb),
            _ if journal.is_ours(info.index) => Ok(()),
            Changing::UpOrDown => journal.write(&Step::SetUp { index: info.index, up: info.is_up() }),
            Changing::Mtu => journal.write(&Step::SetMtu { index: info.index, mtu: info.mtu }),
            Changing::AddAddress(address) => journal.write(&Step::AddedAddress { index: info.index, address }),
        }
    }

    /// Before a route is added in `ns`.
    ///
    /// # Errors
    /// The journal's.
    pub(crate) fn adding_route(&self, ns: &NetNs, route: &NewRoute) -> Result<()> {
        let Some(journal) = self.journal().filter(|_| ns.is_root()) else { return Ok(()) };
        journal.write(&Step::AddedRoute {
            dst: route.dst,
            gateway: route.gateway,
            index: route.index,
            metric: route.metric,
        })
    }

    /// Before a setting is changed in `ns`.
    ///
    /// # Errors
    /// The journal's.
    pub(crate) fn setting(&self, ns: &NetNs, key: &str) -> Result<()> {
        let Some(journal) = self.journal().filter(|_| ns.is_root()) else { return Ok(()) };
        journal.write(&Step::SetSysctl { key: key.into(), value: ns.net()?.sysctl(key)? })
    }
}

/// What is about to happen to a link.
#[derive(Clone, Copy)]
pub enum Changing {
    /// It is set up or down.
    UpOrDown,
    /// Its MTU.
    Mtu,
    /// An address is added.
    AddAddress(IpNet),
    /// It is deleted, moved, renamed, enslaved, or loses an address: only what we made may be.
    Take(&'static str),
}

/// Makes `/run/netns` a shared mount point once, under the lock that iproute2 takes (ip/ipnetns.c, `netns_add`):
/// two first users would otherwise mount it twice.
pub(super) fn share_netns_dir() -> Result<()> {
    let fail = |e: std::io::Error| Error::io(format!("prepare `{NETNS_DIR}`"), &e);
    fs::create_dir_all(NETNS_DIR).map_err(fail)?;
    let folder = File::open(NETNS_DIR).map_err(fail)?;
    let _lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, e)| fail(e.into()))?;
    let share = || sys::mount("none", NETNS_DIR, "none", MsFlags::MS_SHARED | MsFlags::MS_REC);
    match share() {
        Err(Errno::EINVAL) => sys::mount(NETNS_DIR, NETNS_DIR, "none", MsFlags::MS_BIND | MsFlags::MS_REC)
            .and_then(|()| share())
            .map_err(|e| fail(e.into())),
        done => done.map_err(|e| fail(e.into())),
    }
}

/// When a process started, in ticks since boot (`proc_pid_stat(5)`, field 22).
fn start_of(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Undoes what the journal at `path` says, last step first, and removes it. What fails is returned, and the rest is
/// done all the same. A journal that is not there has been undone.
#[must_use]
pub fn undo(path: &Path) -> Vec<Error> {
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let steps: Vec<Step> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut errors = Vec::new();
    match Lab::here(None) {
        Ok(lab) => {
            for (n, step) in steps.iter().enumerate().rev() {
                if let Err(error) = undo_step(&lab, step, &steps[n + 1..]) {
                    errors.push(error);
                }
            }
        }
        Err(error) => errors.push(error),
    }
    if errors.is_empty() {
        let _ = fs::remove_file(path);
    }
    errors
}

/// Undoes one step, given those that came after it.
fn undo_step(lab: &Arc<Lab>, step: &Step, later: &[Step]) -> Result<()> {
    let net = lab.root().net()?;
    let gone = |error: Error| match error.errno {
        Some(Errno::ENODEV | Errno::EADDRNOTAVAIL | Errno::ESRCH | Errno::ENOENT) => Ok(()),
        _ => Err(error),
    };
    let index_now = |index: u32| net.find_link(Which::Index(index));
    match step {
        Step::WillMakeNetns { name } => {
            // Without a later line the process died in between: the file is ours, and nobody could use it yet.
            let settled = later.iter().any(
                |step| matches!(step, Step::MadeNetns { name: n, .. } | Step::DeletedNetns { name: n } if n == name),
            );
            let file = path_of(&NsName::new(name)?);
            if settled || !file.exists() { Ok(()) } else { remove_name(&file) }
        }
        Step::MadeNetns { name, dev, ino } => {
            let file = path_of(&NsName::new(name)?);
            match NsHandle::open(NsKind::Net, &file) {
                Ok(handle) if handle.inode() == (NsInode { dev: *dev, ino: *ino }) => remove_name(&file),
                _ => Ok(()), // gone, or somebody else's by now
            }
        }
        Step::DeletedNetns { .. } => Ok(()),
        Step::WillMakeLink { name, above } => {
            let settled = later.iter().any(|step| matches!(step, Step::MadeLink { name: n, .. } if n == name));
            let name = IfName::from_kernel(name);
            match net.find_link(Which::Name(&name))? {
                // Indices only grow: a link of that name above the highest one from before is the one we made.
                Some(link) if !settled && link.index > *above => net.delete_link(&name).or_else(gone),
                _ => Ok(()),
            }
        }
        Step::MadeLink { index, .. } => match index_now(*index)? {
            Some(link) => net.delete_link(&IfName::from_kernel(&link.name)).or_else(gone),
            None => Ok(()),
        },
        Step::AddedAddress { index, address } => net.delete_addr(*index, "", *address).or_else(gone),
        Step::AddedRoute { dst, gateway, index, metric } => {
            let route = NewRoute { dst: *dst, gateway: *gateway, index: *index, metric: *metric };
            net.delete_route(&route).or_else(gone)
        }
        Step::SetUp { index, up } => {
            let change = if *up { Change::Up } else { Change::Down };
            net.change_link(Which::Index(*index), change, || format!("restore link {index}")).or_else(gone)
        }
        Step::SetMtu { index, mtu } => {
            net.change_link(Which::Index(*index), Change::Mtu(*mtu), || format!("restore link {index}")).or_else(gone)
        }
        Step::SetSysctl { key, value } => net.set_sysctl(key, value).map(drop),
        Step::StartedProcess { pid, start } => {
            let Ok(process) = sys::pidfd_open(Pid::from_raw(*pid)) else { return Ok(()) };
            // Held now, so the comparison cannot be overtaken by a reuse of the number.
            if start_of(*pid) == Some(*start) {
                use std::os::fd::AsFd;
                let _ = sys::pidfd_send_signal(process.as_fd(), Signal::SIGKILL);
            }
            Ok(())
        }
    }
}

/// Undoes the journals of processes that are gone. Like a garbage collector: `nslab gc`.
#[must_use]
pub fn collect_garbage() -> (usize, Vec<Error>) {
    let (mut undone, mut errors) = (0, Vec::new());
    let Ok(entries) = fs::read_dir(FOLDER) else { return (0, errors) };
    for path in entries.filter_map(std::result::Result::ok).map(|entry| entry.path()) {
        let owner = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u32>().ok());
        let alive = owner.is_some_and(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim().starts_with("nslab"))
        });
        if !alive {
            errors.extend(undo(&path));
            undone += 1;
        }
    }
    (undone, errors)
}
