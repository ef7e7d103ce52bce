//! `nslab exec`: runs a program, or the user's shell, in a private lab.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use nix::errno::Errno;
use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use stdlib::exec::boot::{self, Foreground};
use stdlib::lab::{Lab, Topology, process};
use stdlib::{Error, Result};

use super::launch;
use crate::console::{self, Console};
use crate::repl::draw;
use crate::status::Status;

#[derive(Args)]
pub(super) struct Arguments {
    /// Print the namespaces, links and addresses of the lab at the end, on standard error.
    #[arg(long)]
    summary: bool,

    /// The program and its arguments; your shell (`$SHELL`) if none is given.
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the program. The status is the program's: 128 + N after signal N, 127 if it does not exist, 126 if it cannot be
/// executed.
pub(super) fn main(console: &Console, lab: launch::Options, arguments: &Arguments) -> Status {
    if lab.is_on_the_host() {
        console.error("`nslab exec` runs a program in a private lab; with `--host` there is none");
        console.note("hint: leave `--host` out, or run the program without nslab");
        return Status::Failed;
    }
    let (signals, to_program) = match io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => {
            console.error_with_hint(&Error::io("make a pipe", &error));
            return Status::Failed;
        }
    };
    if boot::is_in_lab() {
        console.note("nslab: this lab is inside another lab");
    }
    let shell = [OsString::from(process::shell())];
    let command = if arguments.command.is_empty() { &shell } else { &*arguments.command };
    if arguments.command.is_empty() && console::is_interactive() {
        console.note(&format!("{} in a private lab: `exit` or Ctrl-D ends it", shell[0].display()));
    }
    launch::in_lab(console, lab, Foreground::Program(std::os::fd::AsFd::as_fd(&to_program)), |lab| {
        let ended = stay().and_then(|()| process::run_given(command, signals.into()));
        if arguments.summary {
            summarize(console, lab);
        }
        Ok(match ended {
            Ok(ended) => Status::Of(u8::try_from(ended.code).unwrap_or(u8::MAX)),
            Err(error) => {
                console.error_with_hint(&error);
                let is_missing = matches!(error.errno, Some(Errno::ENOENT | Errno::ENOTDIR));
                Status::Of(if is_missing { NOT_FOUND } else { NOT_EXECUTABLE })
            }
        })
    })
}

/// The status of a shell when a program does not exist.
const NOT_FOUND: u8 = 127;

/// The status of a shell when a program cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// Lets this process outlive the signals that the terminal, or the program itself, sends to its process group: they are
/// the program's. A handler, unlike an ignored signal, is not inherited by the program.
fn stay() -> Result<()> {
    for signal in [SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        if !boot::is_ignored(signal) {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
                .map_err(|e| Error::io("handle signals", &e))?;
        }
    }
    Ok(())
}

/// Prints what the lab looks like.
fn summarize(console: &Console, lab: &Lab) {
    match Topology::of(lab) {
        Ok(topology) => console.note(&draw::draw(&topology)),
        Err(error) => console.error_with_hint(&error),
    }
}
