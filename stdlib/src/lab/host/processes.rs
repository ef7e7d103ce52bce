//! Programs that a session started: found again by number and start time, or by the tag in their environment.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::TAG;
use crate::exec::{directory, sys};

/// How long a killed program may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a process started, in ticks since boot (`proc_pid_stat(5)`, field 22).
pub(super) fn start_of(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Ends the process `pid` if it is still the one that `is_it` says, and waits for its end.
fn end_if(pid: i32, is_it: impl Fn() -> bool) -> bool {
    let Ok(process) = sys::pidfd_open(Pid::from_raw(pid)) else { return false };
    // Held now, so the look cannot be overtaken by a reuse of the number.
    if !is_it() || sys::pidfd_send_signal(process.as_fd(), Signal::SIGKILL).is_err() {
        return false;
    }
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    let _ = poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout);
    true
}

/// Ends one program that the journal names.
pub(super) fn end_started(pid: i32, start: u64) {
    end_if(pid, || start_of(pid) == Some(start));
}

/// Ends every process that has the session's tag in its environment: what the session's programs have started
/// themselves.
pub(super) fn end_tagged(tag: &str) {
    let wanted = format!("{TAG}={tag}");
    let end = Instant::now() + PATIENCE;
    let tagged = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    // Once more as long as there were some: they may have had children meanwhile.
    while Instant::now() < end {
        let Ok(pids) = directory::numbers::<i32>(Path::new("/proc")) else { return };
        let ours = pids.into_iter().filter(|pid| tagged(*pid)).collect::<Vec<_>>();
        if ours.iter().filter(|pid| end_if(**pid, || tagged(**pid))).count() == 0 {
            return;
        }
    }
}
