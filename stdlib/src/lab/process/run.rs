//! Programs that run to their end: with pipes, or in the foreground of the terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::input::Input;
use super::output::{Capture, KEPT, nonblocking, read_available};
use super::tree::Tree;
use super::{Command, Ended, Output, launch, shown};
use crate::error::{Error, Kind, Result};
use crate::exec::spawn::Streams;
use crate::exec::started::Started;
use crate::exec::wait::{For, is_readable, ready};
use crate::lab::{Lab, Place};

/// Runs `command` at `place` to its end.
///
/// # Errors
/// If it cannot be started, `Timeout` or `Interrupted`. The last two kill it with all that it started; the error carries
/// what it had written.
pub fn run(lab: &Lab, place: &Place, command: &Command, timeout: Duration) -> Result<Output> {
    let started_at = Instant::now();
    let argv = &command.argv;
    let mut started = launch(lab, place.namespaces(lab)?, command, Streams::Piped { stdin: command.stdin.is_some() })?;
    let (mut stdout, mut stderr) = (Capture::new(KEPT), Capture::new(KEPT));
    let done = lab.exec().block_on(timeout, collect(&mut started, command.stdin.as_ref(), &mut stdout, &mut stderr));
    let status = match done {
        Ok(()) => started.wait().map_err(|e| Error::sys(format!("wait for `{}`", shown(argv)), e))?,
        Err(error) => {
            let left = Tree::new(started.pid(), None).kill().err(); // before its children lose it
            drop(started);
            let error = match error.kind {
                Kind::Timeout => {
                    let what = format!("run `{}`: not done within {timeout:?}; it was killed", shown(argv));
                    Error::plain(Kind::Timeout, what)
                        .within(place.net.label())
                        .hint("give it longer with `#{timeout: \"1m\"}`, or run it in the background with `start`")
                }
                _ => error,
            };
            let error = left.into_iter().fold(error, |error, left| error.hint(left.to_string()));
            return Err(error.partial("stdout", stdout.text()).partial("stderr", stderr.text()));
        }
    };
    let (ended, stdout, stderr) = (Ended::of(status), stdout.text(), stderr.text());
    Ok(Output { argv: argv.clone(), ended, stdout, stderr, time: started_at.elapsed() })
}

/// Runs `command` in the foreground of the terminal.
///
/// # Errors
/// If it cannot be started.
pub fn run_in_terminal(lab: &Lab, place: &Place, command: &Command) -> Result<Ended> {
    let namespaces = place.namespaces(lab)?;
    let status = crate::exec::lending_the_terminal(|| {
        let started = launch(lab, namespaces, command, Streams::Terminal)?;
        Ok(started.wait_in_the_foreground())
    })?;
    lab.exec().resume(); // Ctrl-C went to the program
    status.map(Ended::of).map_err(|errno| Error::sys(format!("wait for `{}`", shown(&command.argv)), errno))
}

/// Writes the process's standard input and reads its output until it has ended. Does not wait for children of it that
/// keep the pipes open.
async fn collect(
    started: &mut Started,
    stdin: Option<&String>,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<()> {
    let failed = |e: io::Error| Error::io("connect the pipes of the program", &e);
    let pipe = |fd: Option<OwnedFd>| fd.map(nonblocking).transpose().map(|fd| fd.map(File::from)).map_err(failed);
    let mut out = pipe(started.stdout.take())?;
    let mut err = pipe(started.stderr.take())?;
    let mut input = Input::new(started.stdin.take(), stdin).map_err(failed)?;
    loop {
        // Before the pipes are read: what a program has written before its end is in them. A child of it may write on.
        let has_ended = is_readable(started.pidfd.as_fd());
        read_available(&mut out, |bytes| stdout.push(bytes));
        read_available(&mut err, |bytes| stderr.push(bytes));
        if has_ended {
            return Ok(());
        }
        input.write_available();
        let outputs = [&out, &err].into_iter().flatten().map(|pipe| (pipe.as_fd(), For::Input));
        let input = input.pipe().map(|pipe| (pipe, For::Output));
        let pidfd = (started.pidfd.as_fd(), For::Input);
        let all: Vec<_> = outputs.chain(input).chain([pidfd]).collect();
        ready(&all, None, "wait for the program").await?;
    }
}
