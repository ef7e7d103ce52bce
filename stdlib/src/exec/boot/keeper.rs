//! The keeper: PID 1 of the lab. It reaps, and it dies when the front dies; then the kernel ends everything.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};

use super::forbidden::{FORBIDDEN, explain, report};
use super::inherited::forget_inherited_descriptors;
use super::pipe::wait_for_end;
use super::terminal::{self, Saved};
use crate::error::{Error, Result};
use crate::exec::{mounts, sys};

/// What the keeper inherits from the front.
pub(crate) struct Keeper<'a> {
    /// End of file when the front is gone.
    pub alive: OwnedFd,
    /// One byte when the user namespace is mapped: whether all ids are.
    pub go: OwnedFd,
    /// End of file when the interpreter is gone.
    pub working: OwnedFd,
    /// The terminal as it was.
    pub terminal: Saved,
    /// Whether there is a lab to build.
    pub private: bool,
    /// Whether somebody types: then the interpreter has the terminal, and programs get it from there.
    pub interactive: bool,
    /// Undoes what was made outside a lab.
    pub cleanup: &'a dyn Fn(),
}

/// Builds the lab, starts `interpreter` in it, and returns the status of its end.
///
/// The interpreter, and nobody else, keeps `working` open.
pub(crate) fn run(keeper: &Keeper<'_>, working: OwnedFd, interpreter: impl FnOnce() -> u8) -> u8 {
    forget_inherited_descriptors();
    match start(keeper, working, interpreter) {
        Ok(child) => {
            let status = watch(keeper, child).unwrap_or_else(|error| {
                report(&error);
                FORBIDDEN
            });
            if !keeper.private {
                wait_for_end(&keeper.working);
                end_children();
                (keeper.cleanup)();
            }
            status
        }
        Err(error) => {
            report(&explain(error));
            FORBIDDEN
        }
    }
}

fn start(keeper: &Keeper<'_>, working: OwnedFd, interpreter: impl FnOnce() -> u8) -> Result<Pid> {
    // The pipe is the authority (a parent-death signal follows the parent's *thread* and races with its death);
    // the signal wakes a keeper that somebody stopped, so that it can read the pipe.
    let _ = prctl::set_pdeathsig(Signal::SIGCONT);
    let mut all_ids = [0u8];
    let go = keeper.go.try_clone().map_err(|e| Error::io("copy a descriptor", &e))?;
    if !matches!(File::from(go).read(&mut all_ids), Ok(1)) {
        sys::exit_now(i32::from(FORBIDDEN)); // the front is gone, and with it the reason to go on
    }
    if keeper.private {
        mounts::build(all_ids == [1])?;
    } else {
        let _ = prctl::set_child_subreaper(true);
    }
    let me = getpid();
    if let Some(child) = sys::fork().map_err(|e| Error::sys("start the interpreter", e))? {
        drop(working);
        return Ok(child);
    }
    // In a lab the kernel ends it with PID 1; with `--host` it is this signal. It does not come if the keeper has
    // died before it was asked for.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != me {
        sys::exit_now(137);
    }
    let status = interpret(keeper.interactive, interpreter);
    drop(working);
    sys::exit_now(i32::from(status))
}

/// The interpreter's process, from its first to its last step.
fn interpret(interactive: bool, interpreter: impl FnOnce() -> u8) -> u8 {
    let _ = SigSet::empty().thread_set_mask();
    if interactive {
        // The group that started us has no number in this pid namespace, so the terminal could not be given back to
        // it after a program had it. A group of our own has one; Ctrl-Z would stop it with nobody to wake it.
        let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
        terminal::take(&io::stdin());
        sys::ignore_stop_key();
    }
    raise_descriptor_limit();
    let status = interpreter();
    let _ = io::stdout().flush();
    status
}

/// Two descriptors a namespace are soon more than the usual 1,024; and the table grows by copying, which is slow
/// once threads share it (fs/file.c, `expand_fdtable`), so it grows now.
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        let far = i32::try_from(hard.saturating_sub(1).min(16_000)).unwrap_or(1_000);
        if let Ok(fd) = nix::fcntl::fcntl(io::stderr(), nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(far)) {
            let _ = nix::unistd::close(fd);
        }
    }
}

/// Reaps until the interpreter ends or the front is gone.
fn watch(keeper: &Keeper<'_>, interpreter: Pid) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the interpreter", e);
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGINT);
    // Blocked signals are queued even for PID 1, which has no default actions (kernel/signal.c, `sig_ignored`).
    signals.thread_block().map_err(wait_error)?;
    let events = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    loop {
        if let Some(status) = reap(interpreter) {
            return Ok(status);
        }
        let mut fds =
            [PollFd::new(events.as_fd(), PollFlags::POLLIN), PollFd::new(keeper.alive.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(wait_error(error)),
        }
        if fds[1].any() == Some(true) {
            keeper.terminal.restore_if_ours();
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

/// Reaps everything that ended; the interpreter's status if it was among them.
fn reap(interpreter: Pid) -> Option<u8> {
    let mut status = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == interpreter => status = u8::try_from(code).ok(),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == interpreter => {
                status = Some(128 + u8::try_from(signal as i32).unwrap_or(0));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return status,
            Ok(_) => {}
        }
    }
}

/// Ends what the interpreter left behind: every process that came down to us, the subreaper. All of them descend from
/// the interpreter, since we had no child before it; and none of their numbers is used again before we wait.
fn end_children() {
    let me = getpid().as_raw();
    // `/proc/PID/task/PID/children` would be shorter, but not every kernel has it (CONFIG_PROC_CHILDREN).
    let is_child = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        parent == Some(me)
    };
    loop {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(std::result::Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for child in pids.filter(|pid| is_child(*pid)) {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return, // none left
        }
    }
}
