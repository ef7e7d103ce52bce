//! Programs that run to their end: with pipes, or in the foreground of the terminal.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::output::{Capture, KEPT, nonblocking, read_available};
use super::{Command, Ended, Output, launch, shown};
use crate::error::{Error, Kind, Result};
use crate::exec::spawn::Streams;
use crate::exec::started::Started;
use crate::exec::wait::{For, is_readable, ready};
use crate::lab::{Lab, Place};

/// Runs `command` at `place` to its end.
///
/// # Errors
/// If it cannot be started, `Timeout` or `Interrupted`. The last two kill it with its process group; the error carries
/// what it had written.
pub fn run(lab: &Lab, place: &Place, command: &Command, stdin: Option<String>, timeout: Duration) -> Result<Output> {
    let started_at = Instant::now();
    let argv = &command.argv;
    let mut started = launch(lab, place.namespaces(lab)?, command, Streams::Piped { stdin: stdin.is_some() })?;
    let (mut stdout, mut stderr) = (Capture::new(KEPT), Capture::new(KEPT));
    let done = lab.exec().block_on(timeout, collect(&mut started, stdin, &mut stdout, &mut stderr));
    let status = match done {
        Ok(()) => started.wait().map_err(|e| Error::sys(format!("wait for `{}`", shown(argv)), e))?,
        Err(error) => {
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
    stdin: Option<String>,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<()> {
    let pipe = |fd: Option<OwnedFd>| {
        let pipe = fd.map(nonblocking).transpose().map_err(|e| Error::io("connect the pipes of the program", &e));
        pipe.map(|fd| fd.map(File::from))
    };
    let mut out = pipe(started.stdout.take())?;
    let mut err = pipe(started.stderr.take())?;
    let mut input = Input { pipe: pipe(started.stdin.take())?, text: stdin, written: 0 };
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
        let input = input.pipe.iter().map(|pipe| (pipe.as_fd(), For::Output));
        let pidfd = (started.pidfd.as_fd(), For::Input);
        let all: Vec<_> = outputs.chain(input).chain([pidfd]).collect();
        ready(&all, None, "wait for the program").await?;
    }
}

/// The standard input of a program, as far as it is not written yet.
struct Input {
    /// Closed when all is written, or when the program reads no more.
    pipe: Option<File>,
    text: Option<String>,
    written: usize,
}

impl Input {
    /// Writes as much as the pipe has room for.
    fn write_available(&mut self) {
        let text = self.text.as_deref().unwrap_or_default().as_bytes();
        while let Some(pipe) = &mut self.pipe {
            match pipe.write(&text[self.written..]) {
                Ok(length @ 1..) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All is written, or the program has ended without reading all of it, which is no error.
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }
}
