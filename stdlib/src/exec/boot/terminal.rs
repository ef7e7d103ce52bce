//! The terminal's modes, saved by those who outlive the interpreter, so that any death leaves it sane.

use std::io::{self, Stdin};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp};

/// What the terminal was like at the start.
pub(crate) struct Saved {
    terminal: Stdin,
    modes: Option<Termios>,
}

impl Saved {
    /// Remembers the modes of the terminal on standard input, if it is one.
    pub(crate) fn now() -> Self {
        let terminal = io::stdin();
        let modes = tcgetattr(&terminal).ok();
        Self { terminal, modes }
    }

    /// Puts the modes back and takes the terminal, which a program in the foreground may have had.
    pub(crate) fn restore(&self) {
        let Some(modes) = &self.modes else { return };
        take(&self.terminal);
        with_output_allowed(|| {
            if tcgetattr(&self.terminal).is_ok_and(|now| now != *modes) {
                let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, modes);
            }
        });
    }

    /// As [`Saved::restore`], but only while a process group of the lab has the terminal, or nobody: else it is the
    /// shell's.
    ///
    /// A group outside of our pid namespace has no number here, and shows as 0. Nobody has it when the front led the
    /// session: then its death has taken the terminal from all.
    pub(crate) fn restore_if_ours(&self) {
        if tcgetpgrp(&self.terminal).ok().is_none_or(|owner| owner.as_raw() > 0) {
            self.restore();
        }
    }
}

/// Makes the caller's process group the foreground group of the terminal.
pub(crate) fn take(terminal: &Stdin) {
    // In a script that shares the group of the program that started us there is nothing to take, nor a number for it.
    if getpgrp().as_raw() > 0 {
        with_output_allowed(|| {
            let _ = tcsetpgrp(terminal, getpgrp());
        });
    }
}

/// Runs `change` while SIGTTOU is blocked, which would stop a background group that changes the terminal.
fn with_output_allowed(change: impl FnOnce()) {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let mut before = SigSet::empty();
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before));
    change();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
}
