//! Programs that run to their end: with pipes, or in the foreground of the terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::output::{Capture, KEPT, nonblocking};
use super::{Ended, Output, launch, shown};
use crate::error::{Error, Kind, Result};
use crate::exec::readable;
use crate::exec::spawn::{Started, Streams};
use crate::lab::{Lab, Place};

/// The most that a pipe can hold for an ordinary user (`/proc/sys/fs/pipe-max-size`).
const PIPE: usize = 1 << 20;

/// Runs `argv` at `place` to its end.
///
/// # Errors
/// If it cannot be started, `Timeout` or `Interrupted`. The last two kill it with its process group; the error carries
/// what it had written.
pub fn run(lab: &Lab, place: &Place, argv: &[String], stdin: Option<String>, timeout: Duration) -> Result<Output> {
    let started_at = Instant::now();
    let namespaces = place.namespaces(lab)?;
    let mut started = launch(lab, &namespaces, argv, Streams::Piped { stdin: stdin.is_some() })?;
    let (mut stdout, mut stderr) = (Capture::new(KEPT), Capture::new(KEPT));
    let done = lab.exec().block_on(timeout, collect(&mut started, stdin, &mut stdout, &mut stderr));
    let status = match done {
        Ok(()) => started.child.wait().map_err(|e| Error::io(format!("wait for `{}`", shown(argv)), &e))?,
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
    Ok(Output { argv: argv.to_vec(), ended, stdout, stderr, time: started_at.elapsed() })
}

/// Runs `argv` in the foreground of the terminal.
///
/// # Errors
/// If it cannot be started.
pub fn run_in_terminal(lab: &Lab, place: &Place, argv: &[String]) -> Result<Ended> {
    let namespaces = place.namespaces(lab)?;
    let status = crate::exec::lending_the_terminal(|| {
        let started = launch(lab, &namespaces, argv, Streams::Terminal)?;
        Ok(started.wait_in_the_foreground())
    })?;
    lab.exec().resume(); // Ctrl-C went to the program
    status.map(Ended::of).map_err(|errno| Error::sys(format!("wait for `{}`", shown(argv)), errno))
}

/// Writes the process's standard input and reads its output until it has ended. Does not wait for children of it that
/// keep the pipes open.
async fn collect(
    started: &mut Started,
    stdin: Option<String>,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<()> {
    let io_error = |e: io::Error| Error::io("connect the pipes of the program", &e);
    let mut out = receiver(started.child.stdout.take().map(OwnedFd::from)).map_err(io_error)?;
    let mut err = receiver(started.child.stderr.take().map(OwnedFd::from)).map_err(io_error)?;
    let writer = started.child.stdin.take().map(OwnedFd::from);
    {
        let talk = async {
            let feed = async {
                // A program may end without reading all of it, so an error here is none.
                if let (Some(fd), Some(text)) = (writer, stdin)
                    && let Ok(mut pipe) = nonblocking(fd).and_then(pipe::Sender::from_owned_fd)
                {
                    let _ = pipe.write_all(text.as_bytes()).await;
                }
            };
            tokio::join!(drain(out.as_mut(), stdout), drain(err.as_mut(), stderr), feed);
        };
        tokio::pin!(talk);
        tokio::select! {
            biased;
            () = &mut talk => readable(started.pidfd.as_fd(), "wait for the program").await?,
            ended = readable(started.pidfd.as_fd(), "wait for the program") => ended?,
        }
    }
    // What a program has written before its end is in the pipes. A child of it may write on, so read no more than that.
    for (pipe, kept) in [(&out, stdout), (&err, stderr)] {
        let mut chunk = [0u8; 8192];
        for _ in 0..PIPE / chunk.len() {
            match pipe.as_ref().map(|pipe| pipe.try_read(&mut chunk)) {
                Some(Ok(length @ 1..)) => kept.push(&chunk[..length]),
                _ => break,
            }
        }
    }
    Ok(())
}

fn receiver(fd: Option<OwnedFd>) -> io::Result<Option<pipe::Receiver>> {
    fd.map(|fd| nonblocking(fd).and_then(pipe::Receiver::from_owned_fd)).transpose()
}

/// Reads a stream to its end.
async fn drain(pipe: Option<&mut pipe::Receiver>, kept: &mut Capture) {
    let Some(pipe) = pipe else { return };
    let mut chunk = [0u8; 8192];
    // `read` yields from time to time, so that a program that never stops writing does not outrun the deadline.
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        kept.push(&chunk[..length]);
    }
}
