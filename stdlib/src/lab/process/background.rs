//! Background processes: started, watched by a thread each, and kept as a handle.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::input::Input;
use super::output::{Capture, KEPT_IN_BACKGROUND, nonblocking, read_available};
use super::tree::{Tree, VARIABLE, new_mark};
use super::{Command, Ended, Output, launch, shown};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::NsInode;
use crate::exec::spawn::Streams;
use crate::exec::started::Started;
use crate::exec::thread_error;
use crate::exec::wait::{is_readable, readable};
use crate::lab::events::{Event, Listeners};
use crate::lab::{Lab, NetNs, Place};

/// How many lines of a program's output an error shows.
const LAST_LINES: usize = 5;

/// A process in the background. It ends with the lab, not with its handle.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

/// What all clones share with the thread that watches the process.
pub struct Inner {
    argv: Vec<String>,
    pid: u32,
    place: String,
    ns: (NsInode, Option<u64>),
    tree: Tree,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Open until the process has ended.
    pidfd: Option<Arc<OwnedFd>>,
    stdout: Capture,
    stderr: Capture,
    ended: Option<(Ended, Duration)>,
}

impl Process {
    /// Starts `command` at `place` and returns at once.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(lab: &Lab, place: &Place, command: &Command, log: Option<&Path>) -> Result<Self> {
        let log = log.map(open_log).transpose()?;
        let mark = new_mark();
        let mut marked = command.clone();
        marked.environment.push((VARIABLE.to_owned(), mark.clone()));
        let streams = Streams::Piped { stdin: command.stdin.is_some() };
        let mut started = launch(lab, place.namespaces(lab)?, &marked, streams)?;
        let pidfd = started.pidfd.try_clone().map_err(|e| Error::io("copy a descriptor", &e))?;
        let inner = Arc::new(Inner {
            argv: command.argv.clone(),
            pid: started.pid(),
            place: place.net.short(),
            ns: (place.net.inode(), place.net.unique_id()),
            tree: Tree::new(started.pid(), Some(mark)),
            started: Instant::now(),
            state: Mutex::new(State {
                pidfd: Some(Arc::new(pidfd)),
                stdout: Capture::new(KEPT_IN_BACKGROUND),
                stderr: Capture::new(KEPT_IN_BACKGROUND),
                ended: None,
            }),
            changed: Condvar::new(),
        });
        let watched = inner.clone();
        let input = Input::new(started.stdin.take(), command.stdin.as_ref());
        let input = input.map_err(|e| Error::io("connect the pipes of the program", &e))?;
        let listeners = lab.events().listeners().clone();
        // The thread reads, since a program stops while its pipe is full; and it waits for the end.
        thread::Builder::new()
            .name(format!("watch {}", inner.pid))
            .stack_size(128 << 10)
            .spawn(move || {
                watch(&mut started, input, log, &watched, |ended| publish_end(&watched, ended, &listeners));
            })
            .map_err(|e| thread_error("start the thread that watches a process", &e))?;
        let process = Self(inner);
        lab.started(&process);
        Ok(process)
    }

    /// Its PID in the lab.
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

    /// Whether it was started in the network namespace `ns`.
    #[must_use]
    pub fn is_of(&self, ns: &NetNs) -> bool {
        self.0.ns == (ns.inode(), ns.unique_id())
    }

    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> String {
        self.0.argv.join(" ")
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.lock().ended.map(|(ended, _)| ended)
    }

    /// What it has written so far: standard output and standard error.
    #[must_use]
    pub fn output(&self) -> (String, String) {
        let state = self.0.lock();
        (state.stdout.text(), state.stderr.text())
    }

    /// How many bytes it has written so far.
    pub(crate) fn written(&self) -> u64 {
        let state = self.0.lock();
        state.stdout.arrived() + state.stderr.arrived()
    }

    /// The last line of what it has written: to standard error, else to standard output.
    pub(crate) fn last_line(&self) -> String {
        let state = self.0.lock();
        let line = state.stderr.last_line();
        if line.is_empty() { state.stdout.last_line() } else { line }
    }

    /// The error of a wait for `what`, before which it has ended.
    pub(crate) fn ended_before(&self, what: &str) -> Error {
        let how = match self.ended() {
            Some(Ended { signal: Some(signal), .. }) => format!("was ended by signal {signal}"),
            ended => format!("ended with status {}", ended.map_or(0, |ended| ended.code)),
        };
        let text = format!("wait for {what}: `{}` (pid {}) {how}", shown(&self.0.argv), self.0.pid);
        let mut error = self.with_output(Error::plain(Kind::Ended, text));
        if let Some(hint) = crate::lab::tmpfiles::hint(&self.output().1) {
            error = error.hint(hint);
        }
        match self.last_lines() {
            lines if lines.is_empty() => error.detail("it has written nothing"),
            lines => error.detail(format!("its last lines:\n{lines}")),
        }
    }

    /// Adds what it has written to an error.
    pub(crate) fn with_output(&self, error: Error) -> Error {
        let (stdout, stderr) = self.output();
        error.partial("stdout", stdout).partial("stderr", stderr)
    }

    /// The last lines of what it has written: to standard error, else to standard output.
    fn last_lines(&self) -> String {
        let (stdout, stderr) = self.output();
        let text = if stderr.trim().is_empty() { stdout } else { stderr };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        last.map(|line| crate::name::short(line.trim_end())).collect::<Vec<_>>().join("\n")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// `Timeout` or `Interrupted`; the process runs on.
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
        // The process has ended, and its thread is about to store the status.
        let limit = Duration::from_secs(5);
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, limit, |state| state.ended.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let (ended, time) = state.ended.ok_or_else(|| Error::plain(Kind::Bug, what()))?;
        Ok(Output { argv: self.0.argv.clone(), ended, stdout: state.stdout.text(), stderr: state.stderr.text(), time })
    }

    /// Sends a signal. For a process that has ended it does nothing.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pidfd) = self.0.lock().pidfd.clone() else { return Ok(()) };
        match crate::exec::signal(pidfd.as_fd(), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Error::sys(format!("send {signal} to process {}", self.0.pid), errno)),
        }
    }
}

impl Process {
    /// Ends it with all processes that it has started: SIGTERM, and after `grace` SIGKILL. Returns when none is left.
    ///
    /// # Errors
    /// If some do not end, or `Interrupted`.
    pub fn end(&self, lab: &Lab, grace: Duration) -> Result<()> {
        let what = || format!("stop `{}`", shown(&self.0.argv));
        self.0.tree.end(lab.exec(), grace).map_err(|error| match error.kind {
            Kind::Timeout => error.during(what()),
            _ => error,
        })?;
        self.wait(lab, END_LIMIT).map(drop)
    }
}

/// How long the thread that watches a process may take to see its end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Opens a file to which the output of a program is appended.
fn open_log(path: &Path) -> Result<File> {
    let opened = File::options().append(true).create(true).open(path);
    opened.map_err(|e| Error::io(format!("open log `{}`", crate::name::short(&path.to_string_lossy())), &e))
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes the end of a process to the listeners of the lab.
fn publish_end(process: &Inner, ended: Ended, listeners: &Listeners) {
    if listeners.is_empty() {
        return;
    }
    let last_error = crate::name::short(&process.lock().stderr.last_line());
    listeners.publish(&Event::ProcessEnded { pid: process.pid, command: process.argv.join(" "), ended, last_error });
}

/// Reads what the process writes, copies it to the log, and writes what it reads. Stores its status when it ends: by then
/// all that it wrote is kept. Then calls `on_end`, and goes on for its children.
fn watch(started: &mut Started, mut input: Input, mut log: Option<File>, process: &Inner, on_end: impl FnOnce(Ended)) {
    let file = |fd: Option<OwnedFd>| fd.and_then(|fd| nonblocking(fd).ok()).map(File::from);
    let mut stdout = file(started.stdout.take());
    let mut stderr = file(started.stderr.take());
    let mut on_end = Some(on_end);
    while on_end.is_some() || stdout.is_some() || stderr.is_some() {
        input.write_available();
        let wanted = [Some(started.pidfd.as_fd()).filter(|_| on_end.is_some())];
        let wanted = wanted.into_iter().chain([&stdout, &stderr].map(|stream| stream.as_ref().map(File::as_fd)));
        let wanted = wanted.flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let input = input.pipe().map(|fd| PollFd::new(fd, PollFlags::POLLOUT));
        let mut fds: Vec<PollFd<'_>> = wanted.chain(input).collect();
        if poll(&mut fds, PollTimeout::NONE).is_err_and(|errno| errno != Errno::EINTR) {
            (stdout, stderr) = (None, None); // the kernel is out of memory: only wait for the end
        }
        let ended = on_end.is_some() && is_readable(started.pidfd.as_fd());
        let mut full = None;
        let mut copy = |bytes: &[u8]| {
            if let Some(Err(error)) = log.as_mut().map(|log| log.write_all(bytes)) {
                (log, full) = (None, Some(error));
            }
        };
        read_available(&mut stdout, |bytes| {
            copy(bytes);
            process.lock().stdout.push(bytes);
        });
        read_available(&mut stderr, |bytes| {
            copy(bytes);
            process.lock().stderr.push(bytes);
        });
        if let Some(error) = full {
            process.lock().stderr.push(format!("[nslab cannot write the log: {error}]\n").as_bytes());
        }
        if ended && let Some(on_end) = on_end.take() {
            let ended = started.wait().map_or(Ended { code: -1, signal: None }, Ended::of);
            let mut state = process.lock();
            state.ended = Some((ended, process.started.elapsed()));
            state.pidfd = None; // the handle may live on, and descriptors are limited
            drop(state);
            process.changed.notify_all();
            on_end(ended);
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
