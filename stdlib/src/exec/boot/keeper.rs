//! The keeper: PID 1 of the lab. It reaps, and it exits when the front is gone; then the kernel ends the lab.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};

use super::forbidden::{FORBIDDEN, explain, report};
use super::helper::Lab;
use super::inherited::forget_inherited_descriptors;
use super::keep;
use super::names::{INTERPRETER, KEEPER};
use super::pipe::{KILL_LIMIT, wait_for_end};
use super::terminal::{self, Saved};
use crate::error::{Error, Result};
use crate::exec::{covers, directory, ids, netns, sys};

/// What the keeper inherits from the front.
pub(crate) struct Keeper<'a> {
    /// End of file when the front is gone.
    pub alive: OwnedFd,
    /// End of file when the interpreter is gone.
    pub working: OwnedFd,
    /// The modes of the terminal at the start.
    pub terminal: Saved,
    /// The lab that is being made; `None` on the machine itself.
    pub lab: Option<Lab>,
    /// Whether the interpreter is a REPL: then it owns the terminal, and lends it to programs.
    pub interactive: bool,
    /// Undoes what was made outside a lab; see [`super::Launch`].
    pub cleanup: &'a dyn Fn(u8) -> u8,
}

/// What only the interpreter keeps open.
pub(crate) struct Inherited {
    /// The other end of [`Keeper::working`].
    pub working: OwnedFd,
    /// The socket of requests to the front.
    pub front: OwnedFd,
}

/// Enters the lab, runs `interpreter` in a child, and returns its exit status.
pub(crate) fn run(mut keeper: Keeper<'_>, inherited: Inherited, interpreter: impl FnOnce() -> u8) -> u8 {
    let lab = keeper.lab.take();
    let private = lab.is_some();
    // The helper of a lab has closed them already: their numbers are those of other descriptors now.
    let forgotten = if private { Ok(()) } else { forget_inherited_descriptors() };
    match forgotten.and_then(|()| start(&keeper, lab, inherited, interpreter)) {
        Ok(child) => {
            let status = watch(&keeper, child).unwrap_or_else(|error| {
                report(&error);
                FORBIDDEN
            });
            if !private {
                wait_for_end(&keeper.working);
                end_children();
                return (keeper.cleanup)(status);
            }
            status
        }
        Err(error) => {
            report(&explain(error));
            FORBIDDEN
        }
    }
}

fn start(
    keeper: &Keeper<'_>,
    lab: Option<Lab>,
    Inherited { working, front }: Inherited,
    interpreter: impl FnOnce() -> u8,
) -> Result<Pid> {
    let private = lab.is_some();
    // The pipe decides: a parent-death signal follows the parent's *thread* and races with its death. The signal only
    // wakes a keeper that was stopped (SIGSTOP), so that it reads the pipe.
    prctl::set_pdeathsig(Signal::SIGCONT).map_err(|e| Error::sys("ask for a parent-death signal", e))?;
    let _ = prctl::set_name(KEEPER);
    let requests = match lab {
        Some(lab) => {
            let (ids, requests) = lab.enter()?;
            ids::set(ids);
            netns::set_defaults()?;
            requests
        }
        None => {
            prctl::set_child_subreaper(true).map_err(|e| Error::sys("become a subreaper", e))?;
            None
        }
    };
    let me = getpid();
    if let Some(child) = sys::fork().map_err(|e| Error::sys("start the interpreter", e))? {
        drop((working, front));
        return Ok(child);
    }
    // In a lab the kernel kills the interpreter with PID 1; with `--host` this signal does. It does not come if the
    // keeper died before the call.
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || getppid() != me {
        sys::exit_now(137);
    }
    let _ = prctl::set_name(INTERPRETER);
    if let Some(requests) = requests {
        covers::ask_over(requests);
    }
    if private {
        keep::ask_over(front);
    }
    let status = interpret(keeper.interactive, interpreter);
    drop(working);
    sys::exit_now(i32::from(status))
}

/// Runs the interpreter in its own process.
pub(super) fn interpret(interactive: bool, interpreter: impl FnOnce() -> u8) -> u8 {
    let _ = SigSet::empty().thread_set_mask();
    if interactive {
        // The process group that started nslab has no number in this pid namespace, so tcsetpgrp(3) cannot give the
        // terminal back to it. The interpreter leads a group of its own; no shell would continue it after Ctrl-Z.
        let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
        terminal::take(&io::stdin());
        sys::ignore_stop_key();
    }
    raise_descriptor_limit();
    let status = interpreter();
    let _ = io::stdout().flush();
    status
}

/// Raises the limit of descriptors: two for each namespace soon exceed the usual 1,024. Grows the table now, since the
/// kernel copies it to grow, which is slow once threads share it (fs/file.c, `expand_fdtable`).
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        let far = i32::try_from(hard.saturating_sub(1).min(16_000)).unwrap_or(1_000);
        if let Ok(fd) = nix::fcntl::fcntl(io::stderr(), nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(far)) {
            let _ = nix::unistd::close(fd);
        }
    }
}

/// Reaps until the interpreter ends, or the front of a lab that is not kept is gone; passes Ctrl-C on.
fn watch(keeper: &Keeper<'_>, interpreter: Pid) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the interpreter", e);
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGINT);
    // The kernel drops unblocked signals to PID 1, which has no default actions (kernel/signal.c, `sig_ignored`), but
    // queues blocked ones.
    signals.thread_block().map_err(wait_error)?;
    let events = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    let mut has_front = true;
    loop {
        if let Some(status) = reap(interpreter).map_err(wait_error)? {
            return Ok(status);
        }
        // The end of file needs no flag; a byte in the pipe wakes no process.
        let mut fds =
            [PollFd::new(events.as_fd(), PollFlags::POLLIN), PollFd::new(keeper.alive.as_fd(), PollFlags::empty())];
        let watched = if has_front { &mut fds[..] } else { &mut fds[..1] };
        match poll(watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(wait_error(error)),
        }
        if has_front && fds[1].any() == Some(true) {
            keeper.terminal.restore_if_ours();
            if keep::is_kept(&keeper.alive) {
                has_front = false;
                keep::detach();
                continue;
            }
            let _ = kill(interpreter, Signal::SIGKILL);
            return Ok(128 + 9);
        }
        while let Ok(Some(event)) = events.read_signal() {
            let from_the_front = event.ssi_signo == Signal::SIGINT as u32 && event.ssi_code <= 0;
            if from_the_front {
                let _ = kill(interpreter, Signal::SIGINT);
            }
        }
    }
}

/// Reaps every process that has ended. Returns the interpreter's status if it was among them.
///
/// That no child is left is an error too: the interpreter's end was missed.
fn reap(interpreter: Pid) -> Result<Option<u8>, Errno> {
    let mut status = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == interpreter => status = u8::try_from(code).ok(),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == interpreter => {
                status = Some(128 + u8::try_from(signal as i32).unwrap_or(0));
            }
            Ok(WaitStatus::StillAlive) => return Ok(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) if status.is_some() => return Ok(status),
            Err(errno) => return Err(errno),
        }
    }
}

/// Kills what the interpreter left behind: every child of this process, the subreaper. All of them descend from the
/// interpreter, the only child it ever had; and the kernel reuses no PID before it is waited for. What the kernel does
/// not end in time, as a process that waits for a dead disk, stays behind.
fn end_children() {
    let me = getpid().as_raw();
    // Not `/proc/PID/task/PID/children`, which some kernels lack (CONFIG_PROC_CHILDREN).
    let is_child = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        parent == Some(me)
    };
    let end = Instant::now() + KILL_LIMIT;
    while Instant::now() < end {
        let pids: Vec<i32> = directory::numbers(Path::new("/proc")).unwrap_or_default(); // read again until the end
        for child in pids.into_iter().filter(|pid| is_child(*pid)) {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_millis(1)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return, // none left
        }
    }
}
