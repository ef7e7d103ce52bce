//! The terminal's modes, saved by the processes that outlive the interpreter, so that its death leaves a usable terminal.

use std::fs::File;
use std::io::{self, Stdin};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp};

/// The modes of the terminal at the start.
pub(crate) struct Saved {
    terminal: Stdin,
    modes: Option<Termios>,
}

impl Saved {
    /// Saves the modes of standard input, if it is a terminal.
    pub(crate) fn now() -> Self {
        let terminal = io::stdin();
        let modes = tcgetattr(&terminal).ok();
        Self { terminal, modes }
    }

    /// Restores the modes and makes the caller's process group the foreground group again.
    pub(crate) fn restore(&self) {
        let Some(modes) = &self.modes else { return };
        take(&self.terminal);
        with_output_allowed(|| {
            if tcgetattr(&self.terminal).is_ok_and(|now| now != *modes) {
                let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, modes);
            }
        });
    }

    /// As [`Saved::restore`], unless a process group outside the lab has the terminal: then it is the shell's.
    ///
    /// A process group outside this pid namespace shows as 0. If the front led the session, its death has left the
    /// terminal without a foreground group.
    pub(crate) fn restore_if_ours(&self) {
        if tcgetpgrp(&self.terminal).ok().is_none_or(|owner| owner.as_raw() > 0) {
            self.restore();
        }
    }
}

/// Takes the terminal if its foreground process group has ended. A shell in the lab leads a group of its own, and cannot
/// give the terminal back to a group outside of its pid namespace.
pub(crate) fn take_from_the_dead() {
    let Ok(terminal) = File::open("/dev/tty") else { return };
    if tcgetpgrp(&terminal).is_ok_and(|owner| killpg(owner, None) == Err(Errno::ESRCH)) {
        take(&terminal);
    }
}

/// Makes the caller's process group the foreground group of the terminal.
pub(crate) fn take(terminal: &impl AsFd) {
    // The process group is 0 if it is one outside this pid namespace: then the terminal is its own already.
    if getpgrp().as_raw() > 0 {
        with_output_allowed(|| {
            let _ = tcsetpgrp(terminal, getpgrp());
        });
    }
}

/// Runs `change` with SIGTTOU blocked: the signal stops a background process group that changes the terminal.
fn with_output_allowed(change: impl FnOnce()) {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let mut before = SigSet::empty();
    if sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before)).is_err() {
        return; // `before` is unknown
    }
    change();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
}
