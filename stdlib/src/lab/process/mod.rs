//! Programs in the lab: run to the end, or started in the background.

mod background;
mod given;
mod input;
mod output;
mod run;
mod tree;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::Resource;

use super::Lab;
pub use super::ended::Ended;
use super::host::TAG;
use crate::error::Result;
use crate::exec::handle::NsHandle;
use crate::exec::spawn::{Program, Streams, spawn};
use crate::exec::started::Started;
pub use background::{Inner, Process};
pub use given::run_given;
pub use run::{run, run_in_terminal};

/// A program and how it is started.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Its name or path, and its arguments.
    pub argv: Vec<String>,
    /// The text of its standard input; without one it is `/dev/null`.
    pub stdin: Option<String>,
    /// What its environment has other than what it inherits.
    pub environment: Vec<(String, String)>,
    /// Whether it inherits nothing of the environment.
    pub clear_environment: bool,
    /// Its working directory, if not that of the script.
    pub directory: Option<PathBuf>,
    /// Its resource limits, if not those of nslab.
    pub limits: Vec<(Resource, u64)>,
    /// Whether it changes its ids as the kernel allows it, also in a lab that pretends it.
    pub strict: bool,
}

impl Command {
    /// One that is started as the lab does it.
    #[must_use]
    pub fn of(argv: &[String]) -> Self {
        Self { argv: argv.to_vec(), ..Self::default() }
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
    let tag = lab.journal().map(|journal| (TAG.to_owned(), journal.tag()));
    let program = Program {
        argv: command.argv.iter().map(Into::into).collect(),
        streams,
        variables: command.environment.iter().cloned().chain(tag).collect(),
        inherits: !command.clear_environment,
        directory: command.directory.clone(),
        limits: command.limits.clone(),
        strict: command.strict,
    };
    let started = spawn(namespaces, program)?;
    if let Some(journal) = lab.journal() {
        journal.started(started.pid())?;
    }
    Ok(started)
}

/// The user's shell.
#[must_use]
pub fn shell() -> String {
    std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// A command as messages show it.
fn shown(argv: &[String]) -> String {
    crate::name::short(&argv.join(" "))
}
