//! A started process: its pipes, the descriptor that names it, and how it is waited for and ended.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};

use super::sys;

/// How long the kernel may take to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// A started process. The pidfd names it even after its PID is reused.
///
/// Dropping one that has not been waited for ends it, so no error leaves a process behind. A process that is not reaped
/// keeps its pid namespace alive.
pub(crate) struct Started {
    pid: Pid,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// The other ends of its standard streams, of those that are pipes.
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    is_reaped: bool,
}

impl Started {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd, stdin: None, stdout: None, stderr: None, is_reaped: false }
    }

    /// Its PID, which is also that of its process group.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits for its end, reaps it and returns its status.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Errno> {
        let status = sys::wait_for(self.pid, 0);
        self.is_reaped = true;
        status.and_then(|status| status.ok_or(Errno::ECHILD))
    }

    /// Waits for the end of a program that has the terminal. There is no job control, so a program that Ctrl-Z stops is
    /// continued at once.
    pub(crate) fn wait_in_the_foreground(self) -> Result<ExitStatus, Errno> {
        self.wait_for_stops(|pid| {
            let _ = killpg(pid, Signal::SIGCONT);
        })
    }

    /// Waits for the end of a program that has inherited the streams. If it stops in a process group of its own, as a shell
    /// that is suspended, the process group of nslab stops with it, which the shell that started nslab sees. In the same
    /// group the terminal has stopped both. The front passes on the SIGCONT that continues them.
    pub(crate) fn wait_as_part_of_the_job(self) -> Result<ExitStatus, Errno> {
        self.wait_for_stops(|pid| {
            if has_terminal() && getpgid(Some(pid)) != Ok(getpgrp()) {
                let _ = kill(Pid::from_raw(0), Signal::SIGSTOP);
            }
        })
    }

    /// Waits for its end, and calls `stopped` each time when it has stopped.
    fn wait_for_stops(mut self, stopped: impl Fn(Pid)) -> Result<ExitStatus, Errno> {
        loop {
            match sys::wait_for(self.pid, libc::WUNTRACED) {
                Ok(Some(status)) if libc::WIFSTOPPED(status.into_raw()) => stopped(self.pid),
                status => {
                    self.is_reaped = true;
                    return status.and_then(|status| status.ok_or(Errno::ECHILD));
                }
            }
        }
    }
}

impl Drop for Started {
    /// Kills the process with its process group. A PID that has been reaped may be another's.
    fn drop(&mut self) {
        if !self.is_reaped && matches!(sys::wait_for(self.pid, libc::WNOHANG), Ok(None)) {
            let _ = killpg(self.pid, Signal::SIGKILL);
            end(self.pid);
        }
    }
}

/// Whether this process has a terminal that controls it.
pub(super) fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Kills the child `pid`, which may have left its process group and has not been reaped, and reaps it. A process that
/// the kernel does not end in time, as one that waits for a dead disk, stays behind: the lab's first process reaps it.
pub(crate) fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    let end = Instant::now() + KILL_LIMIT;
    let mut pause = Duration::from_micros(50);
    while matches!(sys::wait_for(pid, libc::WNOHANG), Ok(None)) && Instant::now() < end {
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
