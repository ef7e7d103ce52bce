//! The labs of this user, found by their keepers in `/proc`. No file is trusted: what a lab says of itself is only shown.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, SysconfVar, geteuid, sysconf};

use super::boot::{HELPER, KEEPER};
use super::handle::{NsHandle, NsKind};
use super::ids::Ids;
use super::wait::is_readable;
use super::{directory, sys};
use crate::error::{Error, Kind, Result};
use crate::name::LabName;

/// Where a kept lab says its name and its ids.
pub(super) const DESCRIPTION: &str = "/run/.lab";

/// How long the kernel may take to end the processes of a lab.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A running lab of this user.
pub struct RunningLab {
    pid: Pid,
    process: OwnedFd,
    name: Option<LabName>,
    ids: Option<Ids>,
}

impl RunningLab {
    /// The lab of a keeper; none if the process is not one, or that of another user.
    ///
    /// A keeper is PID 1 of a pid namespace. The kernel says who has made its user namespace.
    fn of_keeper(pid: Pid) -> Option<Self> {
        if read(pid, "comm")?.trim_end().as_bytes() != KEEPER.to_bytes() {
            return None;
        }
        let process = sys::pidfd_open(pid).ok()?;
        let status = read(pid, "status")?;
        let mut pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace();
        let namespace = File::open(format!("/proc/{pid}/ns/user")).ok()?;
        let is_first = pids.next_back() == Some("1") && pids.next().is_some();
        if !is_first || sys::owner_of(namespace.as_fd()) != Ok(geteuid()) {
            return None;
        }
        let (name, ids) = described(pid).unwrap_or_default();
        // While it runs, its PID is no other's: what was read is of this process.
        (!is_readable(process.as_fd())).then_some(Self { pid, process, name, ids })
    }

    /// The PID of its first process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its name, if it is kept.
    #[must_use]
    pub fn name(&self) -> Option<&LabName> {
        self.name.as_ref()
    }

    /// How long it has been running.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let stat = read(self.pid, "stat")?;
        let started: u64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
        let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
        Duration::try_from_secs_f64(uptime).ok()?.checked_sub(Duration::from_millis(started * 1000 / ticks))
    }

    /// The words of the command that has made it, without the program.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let words = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = words.strip_suffix(b"\0").unwrap_or(&words).split(|byte| *byte == 0).skip(1);
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// The number of network namespaces with a name in it.
    #[must_use]
    pub fn namespaces(&self) -> usize {
        directory::names(Path::new(&format!("/proc/{}/root/run/netns", self.pid))).map_or(0, |names| names.len())
    }

    /// The number of processes in it that are not nslab's.
    #[must_use]
    pub fn processes(&self) -> usize {
        let proc = format!("/proc/{}/root/proc", self.pid);
        let name = |pid: u32| fs::read_to_string(format!("{proc}/{pid}/comm")).unwrap_or_default();
        let pids = directory::numbers(Path::new(&proc)).unwrap_or_default();
        pids.into_iter().filter(|pid| !name(*pid).starts_with("nslab")).count()
    }

    /// The ids of the lab: what its user namespace has, and between two ways to have one id what the lab says.
    pub(super) fn ids(&self) -> Ids {
        let map = read(self.pid, "uid_map").unwrap_or_default();
        let is_one = map.lines().count() == 1 && map.split_whitespace().nth(2) == Some("1");
        match self.ids {
            Some(Ids::One) if is_one => Ids::One,
            _ if is_one => Ids::Pretend,
            _ if geteuid().is_root() => Ids::All,
            _ => Ids::Range,
        }
    }

    /// Its first process.
    pub(super) fn keeper(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// A descriptor of its helper; only a lab of root has one. It is in the user namespace around that of the lab.
    pub(super) fn helper(&self) -> Result<Option<OwnedFd>> {
        let op = || format!("find the helper of the lab `{self}`");
        let own = NsHandle::open(NsKind::User, Path::new(&format!("/proc/{}/ns/user", self.pid)))?;
        let outer = sys::parent_of(own.as_fd()).map_err(|e| Error::sys(op(), e))?;
        let outer = NsHandle::new(NsKind::User, outer)?;
        for pid in pids()?.into_iter().map(Pid::from_raw) {
            if read(pid, "comm").is_none_or(|name| name.trim_end().as_bytes() != HELPER.to_bytes()) {
                continue;
            }
            let Ok(process) = sys::pidfd_open(pid) else { continue };
            let namespace = NsHandle::open(NsKind::User, Path::new(&format!("/proc/{pid}/ns/user")));
            if namespace.is_ok_and(|namespace| namespace.is(&outer)) && !is_readable(process.as_fd()) {
                return Ok(Some(process));
            }
        }
        Ok(None)
    }

    /// Ends it, with all its processes.
    ///
    /// # Errors
    /// The kernel's; `Timeout` if a process does not end.
    pub fn stop(&self) -> Result<()> {
        let op = || format!("end the lab `{self}`");
        match sys::pidfd_send_signal(self.keeper(), Signal::SIGKILL) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(errno) => return Err(Error::sys(op(), errno)),
        }
        let mut ended = [libc::pollfd { fd: self.process.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        sys::poll(&mut ended, Some(END_LIMIT)).map_err(|e| Error::sys(op(), e))?;
        if is_readable(self.process.as_fd()) {
            return Ok(());
        }
        Err(Error::plain(Kind::Timeout, op()).detail(format!("it was killed, and is not gone after {END_LIMIT:?}")))
    }
}

impl fmt::Display for RunningLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => fmt::Display::fmt(name, f),
            None => fmt::Display::fmt(&self.pid, f),
        }
    }
}

/// A file of a process as text.
fn read(pid: Pid, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

/// What a kept lab says of itself. The file is the lab's, and may be anything.
fn described(keeper: Pid) -> Option<(Option<LabName>, Option<Ids>)> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(format!("/proc/{keeper}/root{DESCRIPTION}")).ok()?;
    let mut text = String::new();
    file.metadata().ok()?.is_file().then_some(())?;
    file.take(256).read_to_string(&mut text).ok()?;
    let (name, ids) = text.trim_end().split_once(' ')?;
    Some((LabName::new(name).ok(), ids.parse().ok().and_then(Ids::of_byte)))
}

fn pids() -> Result<Vec<i32>> {
    directory::numbers(Path::new("/proc")).map_err(|e| Error::io("list the processes in `/proc`", &e))
}

/// All labs of this user, the oldest first.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn list() -> Result<Vec<RunningLab>> {
    let mut labs: Vec<_> = pids()?.into_iter().filter_map(|pid| RunningLab::of_keeper(Pid::from_raw(pid))).collect();
    labs.sort_by_key(|lab| (std::cmp::Reverse(lab.age()), lab.pid));
    Ok(labs)
}

/// The PIDs of the labs with this name.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn named(name: &LabName) -> Result<Vec<Pid>> {
    Ok(list()?.into_iter().filter(|lab| lab.name() == Some(name)).map(|lab| lab.pid).collect())
}

/// The lab of this user with the name or PID `which`; without one the only kept lab.
///
/// # Errors
/// `NotFound` if there is none, `Usage` if there are several; the hint lists them.
pub fn find(which: Option<&str>) -> Result<RunningLab> {
    let labs = list()?;
    let all: Vec<String> = labs.iter().map(ToString::to_string).collect();
    let hint = match all.as_slice() {
        [] => "you have no lab: `nslab run --keep FILE`, or `:keep NAME` at the prompt, leaves one".to_owned(),
        all => format!("your labs are: {} (`nslab ps`)", all.join(", ")),
    };
    let fits = |lab: &RunningLab| match which {
        Some(which) => lab.pid.to_string() == which || lab.name().is_some_and(|name| name.as_str() == which),
        None => lab.name().is_some(),
    };
    let mut found = labs.into_iter().filter(fits);
    match (found.next(), found.next(), which) {
        (Some(lab), None, _) => Ok(lab),
        (Some(_), Some(_), None) => Err(Error::usage("several labs are kept: name one").hint(hint)),
        (Some(_), Some(_), Some(name)) => {
            Err(Error::usage(format!("several labs say that they are `{}`: give the PID", crate::name::short(name)))
                .hint(hint))
        }
        (None, _, Some(which)) => {
            Err(Error::plain(Kind::NotFound, format!("you have no lab `{}`", crate::name::short(which))).hint(hint))
        }
        (None, _, None) => Err(Error::plain(Kind::NotFound, "no lab is kept").hint(hint)),
    }
}
