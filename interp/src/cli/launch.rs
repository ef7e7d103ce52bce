//! Starts the process that works in the lab, and gives it a thread with a large stack and Ctrl-C.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use signal_hook::consts::SIGINT;
use stdlib::exec::boot::{self, Foreground, Launch};
use stdlib::exec::ids::Ids;
use stdlib::exec::{memory, thread_error};
use stdlib::lab::{Journal, Lab, host};
use stdlib::{Error, Kind, notation};

use crate::console::{Console, Lost};
use crate::language::stack;
use crate::status::Status;

/// How many milliseconds a Ctrl-C or the end of the script may stay unseen if the byte that announces it is lost.
const LOOK: u8 = 250;

/// The options of all commands that make a lab.
#[derive(Args, Clone, Copy)]
pub(super) struct Options {
    /// Work on the machine's own namespaces instead of a private lab (root only). Changes are journalled and undone at the
    /// end.
    #[arg(long, global = true)]
    host: bool,

    /// The user and group ids of the lab; if not given, all for root, else a range if there is one, else pretended ones.
    #[arg(long, global = true, value_name = "IDS", conflicts_with = "host")]
    ids: Option<Choice>,

    /// How much memory scripts may use, as in `64m` or `2g`; 512m if not given.
    #[arg(long, global = true, value_name = "SIZE", value_parser = budget)]
    memory: Option<usize>,
}

impl Options {
    /// Whether the command works on the machine's own namespaces.
    pub(super) fn is_on_the_host(self) -> bool {
        self.host
    }
}

/// What the terminal belongs to in a run that reads from standard input.
pub(super) fn typed_at(is_interactive: bool) -> Foreground<'static> {
    if is_interactive { Foreground::Repl } else { Foreground::Script }
}

/// What `--ids` chooses.
#[derive(ValueEnum, Clone, Copy)]
enum Choice {
    /// The user's own id, as root
    One,
    /// The user's own id, and the user's range in `/etc/subuid` and `/etc/subgid`
    Range,
    /// One id; programs may change to others, which has no effect
    Pretend,
}

impl From<Choice> for Ids {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::One => Self::One,
            Choice::Range => Self::Range,
            Choice::Pretend => Self::Pretend,
        }
    }
}

/// The bytes of a memory budget.
fn budget(text: &str) -> Result<usize, String> {
    let bytes = notation::size(text).and_then(memory::check);
    bytes.map_err(|error| match error.hint_text() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    })
}

/// Runs `work` in a new private lab, or with `--host` on the machine's own namespaces, and returns its status.
///
/// The work runs in another process. What it writes to the console is written before this function returns.
pub(super) fn in_lab(
    console: &Console,
    options: Options,
    foreground: Foreground<'_>,
    work: impl FnOnce(&Arc<Lab>) -> Result<Status, Lost> + Send,
) -> Status {
    launch(console, options, foreground, work).unwrap_or_else(|error| forbidden(console, &error))
}

fn launch(
    console: &Console,
    Options { host, ids, memory }: Options,
    foreground: Foreground<'_>,
    work: impl FnOnce(&Arc<Lab>) -> Result<Status, Lost> + Send,
) -> Result<Status, Error> {
    let journal = if host { Some(open_journal()?) } else { None };
    // The lock lasts as long as a process that may still undo the journal.
    let _locked = journal.as_ref().map(Journal::keep_locked).transpose()?;
    let path = Journal::path_of_this_process();
    let cleanup = |status| {
        let errors = if host { host::undo(&path) } else { Vec::new() };
        for error in &errors {
            console.error(&format!("not as before: {error}"));
            if let Some(hint) = error.hint_text() {
                console.note(&format!("hint: {hint}"));
            }
        }
        if errors.is_empty() || status != Status::Ok.code() { status } else { Status::Failed.code() }
    };
    let launch = Launch { private: !host, ids: ids.map(Into::into), foreground, cleanup: &cleanup };
    let code = boot::launch(&launch, || {
        let status =
            Lab::here(journal).and_then(|lab| evaluate(&lab, memory, || work(&lab).unwrap_or_else(Lost::status)));
        let status = status.unwrap_or_else(|error| {
            console.error_with_hint(&error);
            Status::Failed
        });
        console.conclude(status).code()
    })?;
    Ok(Status::Of(code))
}

fn open_journal() -> Result<Journal, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::plain(Kind::Permission, "`--host` needs root")
            .hint("without `--host` everything works in a private lab, as an ordinary user"));
    }
    Journal::create(&Journal::path_of_this_process())
}

/// Runs `work` on the thread of scripts. This thread turns each Ctrl-C into an interrupt of the lab's executor.
fn evaluate(lab: &Arc<Lab>, memory: Option<usize>, work: impl FnOnce() -> Status + Send) -> Result<Status, Error> {
    let pressed = Arc::new(AtomicBool::new(false));
    let prepare = || {
        let (wake, announce) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        // A signal that the parent process ignores stays ignored.
        if !boot::is_ignored(SIGINT) {
            signal_hook::flag::register(SIGINT, pressed.clone())?;
            signal_hook::low_level::pipe::register(SIGINT, announce.try_clone()?)?;
        }
        Ok((wake, announce))
    };
    let (mut wake, announce) = prepare().map_err(|e: io::Error| Error::io("handle Ctrl-C", &e))?;
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = stack::start(scope, memory, || {
            let status = catch_unwind(AssertUnwindSafe(work));
            has_ended.store(true, Ordering::Release);
            let _ = (&announce).write(&[0]); // if it is lost, the end is seen after a `LOOK`
            status
        });
        let worker = worker.map_err(|e| thread_error("start the thread of the script", &e))?;
        while !has_ended.load(Ordering::Acquire) {
            let waited = poll(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], LOOK);
            if waited.is_err_and(|errno| errno != Errno::EINTR) {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = wake.read(&mut [0; 64]);
            if pressed.swap(false, Ordering::AcqRel) {
                lab.exec().interrupt();
            }
        }
        match worker.join() {
            Ok(Some(Ok(status))) => Ok(status),
            _ => Ok(Status::Defect), // a panic, which the panic hook has reported
        }
    })
}

/// Reports why there can be no lab.
pub(super) fn forbidden(console: &Console, error: &Error) -> Status {
    console.error_with_hint(error);
    Status::Forbidden
}
