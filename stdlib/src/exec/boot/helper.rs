//! The helper: a process in an outer user and mount namespace. It starts the keeper, and covers `/proc`, `/sys` and
//! `/run` where no process of the lab can uncover them.
//!
//! A mount namespace that is copied into another user namespace has locked mounts (`mount_namespaces(7)`). So the covers
//! are mounted in the helper's mount namespace, of which the keeper takes its copy. A child of the helper mounts them,
//! since `/proc` shows the pid namespace, and `/sys` the network namespace, of the process that mounts it.
//!
//! In a lab of root the helper stays: there the kernel lets no process of the lab mount a `/proc`, which would be without
//! the covers, so sandboxes get theirs from the helper ([`covers`]).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::forbidden::{FORBIDDEN, explain, forbidden, report};
use super::idmap;
use super::inherited::forget_inherited_descriptors;
use super::pipe::pipe;
use crate::error::{Error, Result};
use crate::exec::covers::{self, Cover};
use crate::exec::ids::Ids;
use crate::exec::{mounts, private, sys};

/// The namespaces of the lab, but for the mount namespace: the keeper makes it once the covers are mounted.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC);

/// The byte to the keeper if there will be no lab. The helper has reported why.
const NO_LAB: u8 = u8::MAX;

/// The process in which [`start`] returns.
pub(super) enum Side {
    /// The front. Both processes are its children; only a lab has a helper.
    Front { helper: Option<Pid>, keeper: Pid },
    /// The keeper, of a lab or of the machine.
    Keeper(Option<Lab>),
    /// The front; the helper has ended, with this exit status, before there was a keeper.
    NoKeeper(u8),
}

/// What the keeper inherits from the helper.
pub(super) struct Lab {
    /// The report of [`private`], and a last byte when the covers are mounted: the ids of the lab.
    go: OwnedFd,
    /// The socket of requests for covers.
    covers: OwnedFd,
}

/// Starts a helper, which starts the keeper. `alive` is at end of file when the front is gone; `alive_end` is its other
/// end, which only the front keeps open.
///
/// # Errors
/// If the kernel refuses the namespaces, or the ids cannot be mapped.
pub(super) fn start(ids: Ids, alive: &OwnedFd, alive_end: &mut Option<OwnedFd>) -> Result<Side> {
    // A child of the helper that outlives it is reaped here. As a zombie it would keep the keeper from its end
    // (kernel/pid_namespace.c, `zap_pid_ns_processes`).
    prctl::set_child_subreaper(true).map_err(|e| Error::sys("become a subreaper", e))?;
    let (mapped, mapped_end) = pipe()?;
    let (born, born_end) = pipe()?;
    let outer = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    let Some(helper) = sys::clone_process(outer).map_err(forbidden)? else {
        drop((alive_end.take(), mapped_end, born));
        return Ok(Side::Keeper(Some(help(alive, mapped, born_end))));
    };
    drop((mapped, born_end));
    // An error of the programs that map a range has its own hint.
    let ids = idmap::write(helper, ids).map_err(|e| if ids == Ids::Range { e } else { explain(e) });
    let keeper = ids.and_then(|ids| {
        match File::from(mapped_end).write_all(&[ids.byte()]) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {} // it has ended, as the next read shows
            done => done.map_err(|e| Error::io("write to the lab's helper", &e))?,
        }
        let mut pid = [0; 4];
        match File::from(born).read_exact(&mut pid) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Some(Pid::from_raw(i32::from_ne_bytes(pid)))).map_err(|e| unread("its PID", &e)),
        }
    });
    match keeper {
        Ok(Some(keeper)) => Ok(Side::Front { helper: Some(helper), keeper }),
        Ok(None) => end(helper).map(Side::NoKeeper),
        Err(error) => {
            let _ = kill(helper, Signal::SIGKILL);
            let _ = end(helper);
            Err(error)
        }
    }
}

fn unread(what: &str, error: &io::Error) -> Error {
    Error::io(format!("read {what} from the lab's helper"), error)
}

/// Waits for the end of a child; returns its exit status.
fn end(child: Pid) -> Result<u8> {
    loop {
        return match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => Ok(u8::try_from(status).unwrap_or(u8::MAX)),
            Err(Errno::EINTR) => continue,
            Ok(_) => Ok(128 + 9),
            Err(errno) => Err(Error::sys("wait for a process that makes the lab", errno)),
        };
    }
}

/// The helper. It returns in the keeper alone.
fn help(alive: &OwnedFd, mapped: OwnedFd, born_end: OwnedFd) -> Lab {
    match try_to_help(alive, mapped, born_end) {
        Ok(Some(lab)) => lab,
        Ok(None) => sys::exit_now(0),
        Err(error) => give_up(&explain(error)),
    }
}

/// Ends the helper or a child of it, with the reason.
fn give_up(error: &Error) -> ! {
    report(error);
    sys::exit_now(i32::from(FORBIDDEN))
}

fn try_to_help(alive: &OwnedFd, mapped: OwnedFd, born_end: OwnedFd) -> Result<Option<Lab>> {
    // A stopped process dies too. If the front is gone already, the next read ends.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| Error::sys("ask for a parent-death signal", e))?;
    forget_inherited_descriptors()?;
    let mut ids = [0];
    match File::from(mapped).read_exact(&mut ids) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(|e| Error::io("read the ids of the lab", &e))?,
    }
    let (go, go_end) = pipe()?;
    let (requests, covers) = covers::channel()?;
    // CLONE_PARENT: a child of the front, which outlives this process.
    let born = sys::clone_with_pidfd(NAMESPACES | CloneFlags::CLONE_PARENT).map_err(forbidden)?;
    let Some((pid, keeper)) = born else {
        return Ok(Some(Lab { go, covers }));
    };
    drop((go, covers));
    let go_end = File::from(go_end);
    let child = cover(pid, &keeper, born_end, &go_end, ids).unwrap_or_else(|error| refuse(&go_end, error));
    drop(go_end);
    let guarded = mounts::has_root_of_machine()?;
    if guarded {
        end(child)?;
        serve(&requests, alive, &keeper);
    }
    Ok(None) // the front reaps the child
}

/// Ends the helper or a child of it, and tells the keeper that there will be no lab.
fn refuse(mut go_end: &File, error: Error) -> ! {
    report(&explain(error)); // before the keeper ends, and with it nslab
    let _ = go_end.write_all(&[NO_LAB]);
    sys::exit_now(i32::from(FORBIDDEN))
}

/// Maps the keeper's ids and starts a child that mounts the covers and then lets the keeper go on.
fn cover(pid: Pid, keeper: &OwnedFd, born_end: OwnedFd, go_end: &File, ids: [u8; 1]) -> Result<Pid> {
    File::from(born_end)
        .write_all(&pid.as_raw().to_ne_bytes())
        .map_err(|e| Error::io("write the PID of the lab's first process", &e))?;
    idmap::same(pid)?;
    enter(keeper, CloneFlags::CLONE_NEWPID)?;
    let mount = |mut go_end: &File| {
        enter(keeper, CloneFlags::CLONE_NEWNET)?;
        let guarded = mounts::has_root_of_machine()?;
        mounts::cover(guarded)?;
        let report = private::mount(guarded);
        let all = [report.as_bytes(), &ids].concat();
        go_end.write_all(&all).map_err(|e| Error::io("write to the lab's first process", &e))
    };
    in_child(|| match mount(go_end) {
        Ok(()) => 0,
        Err(error) => refuse(go_end, error),
    })
}

/// Enters namespaces of the lab. A pid namespace is for the children of the caller.
fn enter(keeper: &OwnedFd, kinds: CloneFlags) -> Result<()> {
    sys::enter_namespaces_of(keeper.as_fd(), kinds).map_err(|e| Error::sys("enter the lab's namespaces", e))
}

/// Starts a child that does `work` and ends with its exit status.
fn in_child(work: impl FnOnce() -> u8) -> Result<Pid> {
    match sys::fork_apart().map_err(|e| Error::sys("start a process that mounts", e))? {
        Some(child) => Ok(child),
        None => sys::exit_now(i32::from(work())),
    }
}

/// Mounts covers for sandboxes until the interpreter or the front is gone.
fn serve(requests: &OwnedFd, alive: &OwnedFd, keeper: &OwnedFd) {
    loop {
        let mut fds = [requests, alive].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        if fds[1].any() == Some(true) {
            return;
        }
        if fds[0].any() == Some(true) {
            let Ok(Some((cover, namespace))) = covers::next_request(requests) else { return };
            if covers::answer(requests, make(keeper, cover, &namespace)).is_err() {
                return; // the end of this process is an answer too
            }
        }
    }
}

/// Mounts `cover` for `namespace` in a child, which is reaped when this returns.
fn make(keeper: &OwnedFd, cover: Cover, namespace: &OwnedFd) -> Result<OwnedFd> {
    let enter_namespace = || sys::enter(namespace.as_fd()).map_err(|e| Error::sys("enter the sandbox's namespace", e));
    let unshare = || sys::unshare(CloneFlags::CLONE_NEWNS).map_err(|e| Error::sys("make a mount namespace", e));
    let mount = || {
        unshare()?;
        match cover {
            Cover::Proc => mounts::guarded_proc()?,
            Cover::Sys => {
                enter_namespace()?;
                mounts::guarded_sys()?;
            }
        }
        // Into the user namespace of the lab, so that the copy has locked mounts.
        enter(keeper, CloneFlags::CLONE_NEWUSER)?;
        unshare()?;
        mounts::take(cover.path())
    };
    let (made, made_end) = covers::channel()?;
    if cover == Cover::Proc {
        enter_namespace()?; // takes effect for the child
    }
    let child = in_child(|| {
        let _ = prctl::set_pdeathsig(Signal::SIGKILL);
        u8::from(covers::answer(&made_end, mount()).is_err())
    });
    enter(keeper, CloneFlags::CLONE_NEWPID)?; // this process keeps no sandbox's namespace
    // A child that is not reaped here is reaped by the front, once this process has ended.
    end(child?).unwrap_or_else(|error| give_up(&error));
    drop(made_end);
    covers::answer_from(&made, cover)
}

impl Lab {
    /// Waits until the covers are mounted, then gives the keeper a mount namespace in which they are locked. Returns the
    /// ids of the lab, and the socket of requests for covers if the helper answers them.
    pub(super) fn enter(self) -> Result<(Ids, Option<OwnedFd>)> {
        let mut told = Vec::new();
        File::from(self.go).read_to_end(&mut told).map_err(|e| unread("what the lab is", &e))?;
        let ids = match told.pop() {
            Some(NO_LAB) => sys::exit_now(i32::from(FORBIDDEN)),
            byte => byte.and_then(Ids::of_byte).unwrap_or_else(|| sys::exit_now(128 + 9)), // the helper was killed
        };
        private::set(&String::from_utf8_lossy(&told));
        sys::unshare(CloneFlags::CLONE_NEWNS).map_err(forbidden)?;
        mounts::share()?;
        private::enter_working_directory();
        // What programs believe of the user fits the ids of the lab. HOME is the machine's directory.
        for name in ["USER", "LOGNAME"].into_iter().filter(|name| std::env::var_os(name).is_some()) {
            sys::set_variable(name, "root");
        }
        Ok((ids, mounts::has_root_of_machine()?.then_some(self.covers)))
    }
}
