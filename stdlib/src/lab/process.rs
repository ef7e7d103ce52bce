//! Processes: run to the end and look at the result, or start and keep a handle.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::host::TAG;
use super::{Lab, Place};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::NsHandle;
use crate::exec::readable;
use crate::exec::spawn::{Started, Streams, spawn};

/// How much of a background process's output is kept, bytes a stream; the oldest goes first.
const KEPT: usize = 1 << 20;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; 128 + signal if a signal ended it, as a shell counts.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Ended {
    fn of(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = status.signal();
        Self { code: status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)), signal }
    }
}

/// What a program left behind when it ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The words it was started with.
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

/// Starts `argv`, and writes it down where no kernel ends it with the lab.
fn launch(lab: &Lab, namespaces: &[NsHandle], argv: &[String], streams: Streams) -> Result<Started> {
    let Some(journal) = lab.journal() else { return spawn(namespaces, argv, streams, None) };
    let started = spawn(namespaces, argv, streams, Some((TAG, journal.tag())))?;
    journal.started(started.child.id())?;
    Ok(started)
}

/// Runs `argv` at `place` to its end.
///
/// # Errors
/// When it cannot be started, `Timeout`, `Interrupted`; in both of the last it is killed with its process group.
pub fn run(lab: &Lab, place: &Place, argv: &[String], stdin: Option<String>, timeout: Duration) -> Result<Output> {
    let started_at = Instant::now();
    let namespaces = place.namespaces(lab)?;
    let mut started = launch(lab, &namespaces, argv, Streams::Piped { stdin: stdin.is_some() })?;
    let done = lab.exec().block_on(timeout, async { collect(&mut started, stdin).await });
    if done.is_err() {
        started.kill_group();
        let _ = started.child.wait();
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
/// When it cannot be started.
pub fn run_in_terminal(lab: &Lab, place: &Place, argv: &[String]) -> Result<Ended> {
    let namespaces = place.namespaces(lab)?;
    let status = crate::exec::lending_the_terminal(|| {
        let started = launch(lab, &namespaces, argv, Streams::Terminal)?;
        Ok(started.wait_in_the_foreground())
    })?;
    lab.exec().resume(); // Ctrl-C was meant for the program
    status.map(Ended::of).map_err(|errno| Error::sys(format!("wait for `{}`", shown(argv)), errno))
}

fn shown(argv: &[String]) -> String {
    crate::name::short(&argv.join(" "))
}

/// Feeds and reads the process until it has ended and what it wrote is read. A child of its own that keeps the
/// pipe is not waited for.
async fn collect(started: &mut Started, stdin: Option<String>) -> Result<(Vec<u8>, Vec<u8>)> {
    let io_error = |e: io::Error| Error::io("talk to the program", &e);
    let mut out = receiver(started.child.stdout.take().map(OwnedFd::from)).map_err(io_error)?;
    let mut err = receiver(started.child.stderr.take().map(OwnedFd::from)).map_err(io_error)?;
    let writer = started.child.stdin.take().map(OwnedFd::from);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    {
        let talk = async {
            let feed = async {
                // A program may end without reading it all: that is its right.
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

fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(fd)
}

fn receiver(fd: Option<OwnedFd>) -> io::Result<Option<pipe::Receiver>> {
    fd.map(|fd| nonblocking(fd).and_then(pipe::Receiver::from_owned_fd)).transpose()
}

async fn drain(pipe: Option<&mut pipe::Receiver>, into: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        let _ = pipe.read_to_end(into).await;
    }
}

/// A process in the background. It ends with the lab, not with its handle.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

/// What all clones and the watcher share.
pub struct Inner {
    argv: Vec<String>,
    pid: u32,
    place: String,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Open until the process has ended.
    pidfd: Option<Arc<OwnedFd>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: Option<(Ended, Duration)>,
}

impl Process {
    /// Starts `argv` at `place` and returns at once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(lab: &Lab, place: &Place, argv: &[String]) -> Result<Self> {
        let mut started = launch(lab, &place.namespaces(lab)?, argv, Streams::Piped { stdin: false })?;
        let pidfd = started.pidfd.try_clone().map_err(|e| Error::io("copy a descriptor", &e))?;
        let inner = Arc::new(Inner {
            argv: argv.to_vec(),
            pid: started.child.id(),
            place: place.net.short(),
            started: Instant::now(),
            state: Mutex::new(State { pidfd: Some(Arc::new(pidfd)), ..State::default() }),
            changed: Condvar::new(),
        });
        let watched = inner.clone();
        let watcher = lab.watcher().cloned();
        // Somebody has to read, or the program stops when a pipe is full; and somebody has to wait for its end.
        thread::Builder::new()
            .name(format!("watch {}", inner.pid))
            .stack_size(128 << 10)
            .spawn(move || {
                watch(&mut started, &watched, |ended| {
                    if let Some(watcher) = watcher {
                        let stderr = String::from_utf8_lossy(&watched.lock().stderr).into_owned();
                        let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                        let said = crate::name::short(said.trim());
                        watcher.ended(watched.pid, &watched.argv.join(" "), ended, said);
                    }
                });
            })
            .map_err(|e| Error::io("start a thread", &e))?;
        let process = Self(inner);
        lab.started(&process);
        Ok(process)
    }

    /// Its number in the lab.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(Self)
    }

    /// Whether both are handles of the same process.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The short name of the namespace it was started in.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The words it was started with.
    #[must_use]
    pub fn command(&self) -> String {
        self.0.argv.join(" ")
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.lock().ended.map(|(ended, _)| ended)
    }

    /// What it wrote so far: standard output and standard error.
    #[must_use]
    pub fn output(&self) -> (String, String) {
        let state = self.0.lock();
        (String::from_utf8_lossy(&state.stdout).into_owned(), String::from_utf8_lossy(&state.stderr).into_owned())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// `Timeout` (it goes on), `Interrupted`.
    pub fn wait(&self, lab: &Lab, timeout: Duration) -> Result<Output> {
        let what = || format!("wait for `{}` (pid {})", shown(&self.0.argv), self.0.pid);
        let pidfd = self.0.lock().pidfd.clone();
        if let Some(pidfd) = pidfd {
            lab.exec().block_on(timeout, async { readable(pidfd.as_fd(), "wait for a process").await }).map_err(
                |error| match error.kind {
                    Kind::Timeout => Error::plain(Kind::Timeout, format!("{}: still alive after {timeout:?}", what()))
                        .hint("`kill(p)` ends it"),
                    _ => error,
                },
            )?;
        }
        let state = self.0.lock();
        // The watcher is about to take the status: it needs no more than the processor.
        let patience = Duration::from_secs(5);
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, patience, |state| state.ended.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let (ended, time) = state.ended.ok_or_else(|| Error::plain(Kind::Bug, what()))?;
        Ok(Output {
            argv: self.0.argv.clone(),
            ended,
            stdout: String::from_utf8_lossy(&state.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&state.stderr).into_owned(),
            time,
        })
    }

    /// Sends a signal. To a process that has ended it is no error: what was wanted is so.
    ///
    /// # Errors
    /// The kernel's.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pidfd) = self.0.lock().pidfd.clone() else { return Ok(()) };
        match crate::exec::signal(pidfd.as_fd(), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Error::sys(format!("send {signal} to process {}", self.0.pid), errno)),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what the process writes and waits for its end. When the end is told, all that it wrote is there; what its
/// children write goes on to be read.
fn watch(started: &mut Started, process: &Inner, tell: impl FnOnce(Ended)) {
    let file = |fd: Option<OwnedFd>| fd.and_then(|fd| nonblocking(fd).ok()).map(File::from);
    let mut stdout = file(started.child.stdout.take().map(OwnedFd::from));
    let mut stderr = file(started.child.stderr.take().map(OwnedFd::from));
    let mut tell = Some(tell);
    while tell.is_some() || stdout.is_some() || stderr.is_some() {
        let wanted = [Some(started.pidfd.as_fd()).filter(|_| tell.is_some())];
        let wanted = wanted.into_iter().chain([&stdout, &stderr].map(|stream| stream.as_ref().map(File::as_fd)));
        let mut fds: Vec<PollFd<'_>> = wanted.flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut fds, PollTimeout::NONE).is_err_and(|errno| errno != Errno::EINTR) {
            (stdout, stderr) = (None, None); // the kernel has no memory: what is left is to wait for the end
        }
        let ended = tell.is_some() && readable_now(started.pidfd.as_fd());
        keep(&mut stdout, process, |state| &mut state.stdout);
        keep(&mut stderr, process, |state| &mut state.stderr);
        if ended && let Some(tell) = tell.take() {
            let ended = started.child.wait().map_or(Ended { code: -1, signal: None }, Ended::of);
            let mut state = process.lock();
            state.ended = Some((ended, process.started.elapsed()));
            state.pidfd = None; // the handle may live on for long, and descriptors are few
            drop(state);
            process.changed.notify_all();
            tell(ended);
        }
    }
}

fn readable_now(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Keeps the end of what a stream brings, as far as it is there now.
fn keep(stream: &mut Option<File>, process: &Inner, buffer: impl Fn(&mut State) -> &mut Vec<u8>) {
    let Some(file) = stream else { return };
    let mut chunk = [0u8; 8192];
    // Not for ever: another process may write faster than we read.
    for _ in 0..KEPT / chunk.len() {
        match file.read(&mut chunk) {
            Ok(length @ 1..) => {
                let mut state = process.lock();
                let kept = buffer(&mut state);
                kept.extend_from_slice(&chunk[..length]);
                if kept.len() > 2 * KEPT {
                    kept.drain(..kept.len() - KEPT);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                *stream = None;
                return;
            }
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.ended() {
            None => "running".into(),
            Some(Ended { signal: Some(signal), .. }) => format!("ended by signal {signal}"),
            Some(Ended { code, .. }) => format!("ended with {code}"),
        };
        write!(f, "process {} in {}: {} ({state})", self.0.pid, self.0.place, shown(&self.0.argv))
    }
}
