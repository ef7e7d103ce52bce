//! A REPL on a pseudo-terminal, as a person uses it.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};
use tempfile::TempDir;

use super::NSLAB;

/// The longest wait for a text: a machine under load is slow, a defect never ends.
const LIMIT_MS: u64 = 20_000;

/// A REPL with a home directory of its own.
pub(crate) struct Typed {
    pub(crate) pty: PtySession,
    pub(crate) home: TempDir,
}

impl Typed {
    /// Starts `nslab` with these arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::at_home(tempfile::tempdir().unwrap(), args)
    }

    /// The same, in a home directory that exists.
    pub(crate) fn at_home(home: TempDir, args: &[&str]) -> Self {
        let mut command = Command::new(NSLAB);
        command.args(args);
        Self::of(command, home, "nslab> ")
    }

    /// Starts any command that becomes a REPL with this prompt.
    pub(crate) fn of(mut command: Command, home: TempDir, prompt: &str) -> Self {
        command.env("NO_COLOR", "1").env("TERM", "xterm").env("HOME", home.path());
        command.env_remove("XDG_STATE_HOME").env_remove("SUDO_UID").env("SHELL", "/bin/sh");
        let pty = spawn_command(command, Some(LIMIT_MS)).unwrap();
        let mut typed = Self { pty, home };
        typed.prompt(prompt);
        typed
    }

    /// Waits for a new prompt: the editor draws the same text again at every key, but turns bracketed paste on once.
    #[track_caller]
    pub(crate) fn prompt(&mut self, prompt: &str) {
        self.expect("\x1b[?2004h");
        self.expect(prompt);
    }

    /// Waits for the text and returns what came before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        match self.pty.exp_string(text) {
            Ok(before) => before,
            Err(error) => panic!("no `{text}`: {error}"),
        }
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.pty.send_line(text).unwrap();
        self
    }

    /// Types a line and waits for a text, then for the next prompt.
    #[track_caller]
    pub(crate) fn shows(&mut self, line: &str, expected: &str) {
        self.line(line);
        self.expect(expected);
        self.prompt("> ");
    }

    /// Presses keys, without Enter.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.pty.send(keys).unwrap();
        self.pty.flush().unwrap();
    }

    /// Presses Ctrl and a key.
    pub(crate) fn control(&mut self, key: char) {
        self.pty.send_control(key).unwrap();
    }

    /// Ends the REPL with Ctrl-D; returns its home directory.
    #[track_caller]
    pub(crate) fn end(mut self) -> TempDir {
        self.control('d');
        self.pty.exp_eof().unwrap();
        self.home
    }
}
