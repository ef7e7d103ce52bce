//! The terminal's modes, saved by those who outlive the interpreter, so that any death leaves it sane.

use std::io::{self, Stdin};
use std::os::fd::AsFd;

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
        let modes = tcgetattr(terminal.as_fd()).ok();
        Self { terminal, modes }
    }

    /// Puts the modes back and takes the terminal, which a program in the foreground may have had.
    pub(crate) fn restore(&self) {
        let Some(modes) = &self.modes else { return };
        // A background group that writes modes is stopped by SIGTTOU, unless it blocks the signal.
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTTOU);
        let mut before = SigSet::empty();
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before));
        let fd = self.terminal.as_fd();
        let _ = tcsetpgrp(fd, getpgrp());
        if tcgetattr(fd).is_ok_and(|now| now != *modes) {
            let _ = tcsetattr(fd, SetArg::TCSADRAIN, modes);
        }
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    }

    /// As [`Saved::restore`], but only while the terminal is still ours: afterwards it is the shell's.
    pub(crate) fn restore_if_ours(&self) {
        if tcgetpgrp(self.terminal.as_fd()).is_ok_and(|owner| owner == getpgrp()) {
            self.restore();
        }
    }
}
