//! Programs that run to their end: with pipes, or in the foreground of the terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::output::nonblocking;
use super::{Ended, Output, launch, shown};
use crate::error::{Error, Kind, Result};
use crate::exec::readable;
use crate::exec::spawn::{Started, Streams};
use crate::lab::{Lab, Place};

/// Runs `argv` at `place` to its end.
///
/// # Errors
/// If it cannot be started, `Timeout` or `Interrupted`. The last two kill it with its process group.
pub fn run(lab: &Lab, place: &Place, argv: &[String], stdin: Option<String>, timeout: Duration) -> Result<Output> {
    let started_at = Instant::now();
    let namespaces = place.namespaces(lab)?;
    let mut started = launch(lab, &namespaces, argv, Streams::Piped { stdin: stdin.is_some() })?;
    let done = lab.exec().block_on(timeout, async { collect(&mut started, stdin).await });
    if done.is_err() {
        started.kill_group();
        let _ = started.child.wait(); // the error is reported, not the status
    }
    let (stdout, stderr) = done.map_err(|error| match error.kind {
        Kind::Timeout => {
            Error::plain(Kind::Timeout, format!("run `{}`: not done within {timeout:?}; it was killed", shown(argv)))
                .within(place.net.label())
                .hint("give it longer with `#{timeout: \"1m\"}`, or run it in the background with `start`")
        }
        _ => error,
    })?;
    let status = started.child.wait().map_err(|e| Error::io(format!("wait for `{}`", shown(argv)), &e))?;
    Ok(Output {
        argv: argv.to_vec(),
        ended: Ended::of(status),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        time: started_at.elapsed(),
    })
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
async fn collect(started: &mut Started, stdin: Option<String>) -> Result<(Vec<u8>, Vec<u8>)> {
    let io_error = |e: io::Error| Error::io("connect the pipes of the program", &e);
    let mut out = receiver(started.child.stdout.take().map(OwnedFd::from)).map_err(io_error)?;
    let mut err = receiver(started.child.stderr.take().map(OwnedFd::from)).map_err(io_error)?;
    let writer = started.child.stdin.take().map(OwnedFd::from);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
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
            tokio::join!(drain(out.as_mut(), &mut stdout), drain(err.as_mut(), &mut stderr), feed);
        };
        tokio::pin!(talk);
        tokio::select! {
            biased;
            () = &mut talk => readable(started.pidfd.as_fd(), "wait for the program").await?,
            ended = readable(started.pidfd.as_fd(), "wait for the program") => ended?,
        }
    }
    for (pipe, bytes) in [(&out, &mut stdout), (&err, &mut stderr)] {
        let mut chunk = [0u8; 8192];
        while let Some(Ok(length @ 1..)) = pipe.as_ref().map(|pipe| pipe.try_read(&mut chunk)) {
            bytes.extend_from_slice(&chunk[..length]);
        }
    }
    Ok((stdout, stderr))
}

fn receiver(fd: Option<OwnedFd>) -> io::Result<Option<pipe::Receiver>> {
    fd.map(|fd| nonblocking(fd).and_then(pipe::Receiver::from_owned_fd)).transpose()
}

async fn drain(pipe: Option<&mut pipe::Receiver>, into: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        let _ = pipe.read_to_end(into).await;
    }
}
