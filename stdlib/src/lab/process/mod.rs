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
use crate::exec::spawn::{Streams, spawn};
use crate::exec::started::Started;
pub use background::{Inner, Process};
pub use run::{run, run_in_terminal};

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

/// Starts `argv`. With `--host` it also records the process in the journal, since no kernel ends it with the lab.
fn launch(lab: &Lab, namespaces: &[NsHandle], argv: &[String], streams: Streams) -> Result<Started> {
    let Some(journal) = lab.journal() else { return spawn(namespaces, argv, streams, &[]) };
    let started = spawn(namespaces, argv, streams, &[(TAG, &journal.tag())])?;
    journal.started(started.pid())?;
    Ok(started)
}

/// A command as messages show it.
fn shown(argv: &[String]) -> String {
    crate::name::short(&argv.join(" "))
}
