//! Programs in the lab: run to the end, or started in the background.

mod background;
mod output;
mod run;

use std::fmt;
use std::time::Duration;

use super::Lab;
pub use super::ended::Ended;
use super::host::TAG;
use crate::error::Result;
use crate::exec::handle::NsHandle;
use crate::exec::spawn::{Program, Streams, spawn};
use crate::exec::started::Started;
pub use background::{Inner, Process};
pub use run::{run, run_in_terminal};

/// A program and how it is started.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its name or path, and its arguments.
    pub argv: Vec<String>,
    /// Whether it changes its ids as the kernel allows it, also in a lab that pretends it.
    pub strict: bool,
}

impl Command {
    /// One that is started as the lab does it.
    #[must_use]
    pub fn of(argv: &[String]) -> Self {
        Self { argv: argv.to_vec(), strict: false }
    }
}

/// The result of a program that has ended. Prints as what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub time: Duration,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stdout.trim_end_matches('\n'))?;
        if !self.stderr.is_empty() {
            if !self.stdout.is_empty() {
                writeln!(f)?;
            }
            f.write_str(self.stderr.trim_end_matches('\n'))?;
        }
        Ok(())
    }
}

/// Starts `command`. With `--host` it also records the process in the journal, since no kernel ends it with the lab.
fn launch(lab: &Lab, namespaces: Vec<NsHandle>, command: &Command, streams: Streams) -> Result<Started> {
    let Command { argv, strict } = command.clone();
    let Some(journal) = lab.journal() else {
        return spawn(namespaces, Program { argv, streams, variables: Vec::new(), strict });
    };
    let variables = vec![(TAG, journal.tag())];
    let started = spawn(namespaces, Program { argv, streams, variables, strict })?;
    journal.started(started.pid())?;
    Ok(started)
}

/// A command as messages show it.
fn shown(argv: &[String]) -> String {
    crate::name::short(&argv.join(" "))
}
