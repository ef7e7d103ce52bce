//! The front process: owns the terminal, makes the lab, waits for its end, reports the status.
//!
//! ```text
//! front ──clone──> keeper (PID 1 of the lab) ──fork──> interpreter
//!   └── pipe ────────┘ end of file: the front is gone, so the keeper ends, so the kernel ends everything
//! ```
//!
//! Without a lab (`--host`) no kernel ends everything. There whoever survives waits until the interpreter is gone, by
//! another pipe, and undoes what it made.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use super::keeper::{self, Keeper};
use super::terminal::Saved;
use super::{idmap, sys};
use crate::error::{Error, Kind, Result};

/// How long a script may take to end after Ctrl-C before its lab is ended under it.
const GRACE: Duration = Duration::from_secs(2);

/// How long the interpreter may take to end once it was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The exit status when the environment forbids a lab.
pub const FORBIDDEN: u8 = 3;

/// What to start.
pub struct Launch<'a> {
    /// A private lab, or the namespaces of the machine.
    pub private: bool,
    /// Whether Ctrl-C is an ordinary event (the REPL) and not the wish to end.
    pub interactive: bool,
    /// Undoes what was made outside a lab; called when the interpreter ended, however it ended.
    pub cleanup: &'a dyn Fn(),
}

pub use super::init::main_of_init;

/// Descriptors that the program which started us left open.
static INHERITED: OnceLock<Vec<i32>> = OnceLock::new();

/// Keeps what the program that started us left open from everything that we start. Call it before anything is opened.
pub fn keep_inherited_descriptors() {
    let list = || {
        let entries = fs::read_dir("/proc/self/fd").ok()?;
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        Some(numbers.filter(|number| *number > 2).collect::<Vec<_>>())
    };
    // Among them is the one of the list itself, which is closed by now: `forget_inherited` looks once more.
    let _ = INHERITED.set(list().unwrap_or_default().into_iter().filter(|fd| sys::is_open(*fd)).collect());
    sys::close_on_exec_from(3);
}

/// Closes them: in a lab there is no handle of anything outside but the three standard streams.
pub(super) fn forget_inherited_descriptors() {
    for fd in INHERITED.get().into_iter().flatten() {
        sys::close_inherited(*fd);
    }
}

/// Whether this process ignores `signal`, by its number.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    Signal::try_from(signal).is_ok_and(sys::is_ignored)
}

/// A pipe, both ends of which are closed when a program is started.
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::sys("make a pipe", e))
}

/// Runs `interpreter` in a process of its own inside a new lab and returns its exit status.
///
/// Call it before any thread exists. `interpreter` gets whether the lab has all ids of the machine.
///
/// # Errors
/// When the kernel or its settings forbid a lab; the hint says which.
pub fn launch(launch: &Launch<'_>, interpreter: impl FnOnce() -> u8) -> Result<u8> {
    let terminal = Saved::now();
    let (alive, alive_end) = pipe()?;
    let (go, go_end) = pipe()?;
    let (working, working_end) = pipe()?;

    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // What `nohup`, or a shell for its background, wants ignored stays ignored.
        if !sys::is_ignored(signal) {
            signals.add(signal);
        }
    }
    sys::default_action(Signal::SIGCHLD); // ignored, it would take the statuses of our children away
    signals.add(Signal::SIGCHLD);
    signals.thread_block().map_err(|e| Error::sys("block signals", e))?;

    let namespaces = if launch.private {
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
    } else {
        CloneFlags::empty()
    };
    let Some(keeper) = sys::clone_process(namespaces).map_err(forbidden)? else {
        drop((alive_end, go_end));
        let keeper = Keeper {
            alive,
            go,
            working,
            terminal,
            private: launch.private,
            interactive: launch.interactive,
            cleanup: launch.cleanup,
        };
        sys::exit_now(i32::from(keeper::run(&keeper, working_end, interpreter)));
    };
    drop((alive, go, working_end));

    if launch.private {
        let mapped = idmap::write(keeper);
        match mapped {
            // The byte says whether all ids are mapped.
            Ok(all) => drop(fs::File::from(go_end).write(&[u8::from(all)])),
            Err(error) => {
                let _ = kill(keeper, Signal::SIGKILL);
                let _ = waitpid(keeper, None);
                return Err(explain(error));
            }
        }
    } else {
        drop(fs::File::from(go_end).write(&[1]));
    }
    let status = wait_for(keeper, &signals, launch.interactive);
    if !launch.private {
        // Once more: the keeper may have been killed before it could. Then its death ends the interpreter too.
        wait_for_end(&working);
        (launch.cleanup)();
    }
    drop(alive_end);
    terminal.restore();
    status
}

/// Waits until every process that has the other end of `working` is gone: the interpreter, and programs that it was
/// about to start.
pub(super) fn wait_for_end(working: &OwnedFd) {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(working.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) if !left.is_zero() => {}
            _ => return,
        }
    }
}

/// Waits for the keeper's end, passing on what a person wishes.
fn wait_for(keeper: Pid, signals: &SigSet, interactive: bool) -> Result<u8> {
    let wait_error = |e| Error::sys("wait for the lab", e);
    let events = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(wait_error)?;
    let mut patience: Option<Instant> = None;
    let mut killed_by: Option<u8> = None;
    loop {
        if let Some(status) = ended(keeper)? {
            return Ok(killed_by.unwrap_or(status));
        }
        let timeout = match patience {
            None => PollTimeout::NONE,
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    killed_by = Some(130);
                    patience = None;
                    let _ = kill(keeper, Signal::SIGKILL);
                    continue;
                }
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(wait_error(error)),
        }
        while let Ok(Some(event)) = events.read_signal() {
            match Signal::try_from(i32::try_from(event.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGINT) => {
                    // From the terminal it went to the whole foreground group; from kill(2) only to us.
                    if event.ssi_code <= 0 {
                        let _ = kill(keeper, Signal::SIGINT);
                    }
                    if !interactive {
                        let now = Instant::now();
                        patience = Some(patience.map_or(now + GRACE, |_| now));
                    }
                }
                Ok(signal) if signal != Signal::SIGCHLD => {
                    killed_by = Some(128 + u8::try_from(signal as i32).unwrap_or(0));
                    let _ = kill(keeper, Signal::SIGKILL);
                }
                _ => {} // a child ended: the loop looks
            }
        }
    }
}

fn ended(keeper: Pid) -> Result<Option<u8>> {
    match waitpid(keeper, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, status)) => Ok(Some(u8::try_from(status).unwrap_or(u8::MAX))),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(128 + u8::try_from(signal as i32).unwrap_or(0))),
        Ok(_) | Err(Errno::EINTR) => Ok(None),
        Err(error) => Err(Error::sys("wait for the lab", error)),
    }
}

fn forbidden(errno: Errno) -> Error {
    explain(Error::sys("make the namespaces of a lab", errno))
}

/// Adds which setting forbids unprivileged namespaces here, and the ways out.
#[must_use]
pub fn explain(error: Error) -> Error {
    let setting = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let hint = if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1): give nslab an AppArmor \
         profile with the `userns` permission, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        "unprivileged user namespaces are off (kernel.unprivileged_userns_clone = 0): \
         `sudo sysctl kernel.unprivileged_userns_clone=1`, or run nslab with sudo"
    } else if setting("/proc/sys/user/max_user_namespaces") == "0" {
        "no user namespace is allowed (user.max_user_namespaces = 0): \
         `sudo sysctl user.max_user_namespaces=15000`; root is bound by it too"
    } else if error.errno == Some(Errno::ENOSPC) || error.errno == Some(Errno::EUSERS) {
        "a limit of /proc/sys/user/max_*_namespaces, or 32 nested user namespaces, is reached: end some labs first"
    } else if fs::read_to_string("/proc/self/status").is_ok_and(|s| s.contains("Seccomp:\t2")) {
        "a seccomp filter is active, as in a container: start the container with \
         `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, or run nslab outside it"
    } else if error.errno == Some(Errno::EPERM) {
        "the kernel forbids it: in a chroot no user namespace can be made, and a container may mask /proc; \
         run nslab outside of them (or, for a container, with `--privileged`)"
    } else {
        "`nslab doctor` prints what this kernel and this user can do"
    };
    error.kind(Kind::Permission).hint(hint)
}

/// Writes an error of the launch for a person.
pub(crate) fn report(error: &Error) {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = &error.hint {
        text.push_str("hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    let _ = io::stderr().write_all(text.as_bytes());
}
