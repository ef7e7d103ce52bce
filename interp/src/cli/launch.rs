//! Starts the process that works in the lab, and gives it a thread with a large stack and Ctrl-C.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use stdlib::exec::boot::{self, Launch};
use stdlib::lab::{Journal, Lab, host};
use stdlib::{Error, Kind};

use crate::console::{Console, Lost};
use crate::language::engine::STACK;
use crate::status::Status;

/// Runs `work` in a new private lab, or with `host` on the machine's own namespaces, and returns its status. In an
/// interactive run Ctrl-C is an ordinary event.
///
/// The work runs in another process. What it writes to the console is written before this function returns.
pub(super) fn in_lab(
    console: &Console,
    host: bool,
    interactive: bool,
    work: impl FnOnce(&Arc<Lab>) -> Result<Status, Lost> + Send,
) -> Status {
    launch(console, host, interactive, work).unwrap_or_else(|error| forbidden(console, &error))
}

fn launch(
    console: &Console,
    host: bool,
    interactive: bool,
    work: impl FnOnce(&Arc<Lab>) -> Result<Status, Lost> + Send,
) -> Result<Status, Error> {
    let journal = if host { Some(open_journal()?) } else { None };
    // The lock lasts as long as a process that may still undo the journal.
    let _locked = journal.as_ref().map(Journal::keep_locked).transpose()?;
    let path = Journal::path_of_this_process();
    let cleanup = || {
        if host {
            for error in host::undo(&path) {
                console.error(&format!("while undoing: {error}"));
            }
        }
    };
    let launch = Launch { private: !host, interactive, cleanup: &cleanup };
    let code = boot::launch(&launch, || {
        let status = prepare(journal).and_then(|(lab, signals)| {
            evaluate(&lab, signals, || work(&lab).unwrap_or_else(Lost::status))
                .map_err(|error| Error::io("start a thread", &error))
        });
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

fn prepare(journal: Option<Journal>) -> Result<(Arc<Lab>, Signals), Error> {
    let lab = Lab::here(journal)?;
    // A signal that the parent process ignores stays ignored.
    let handled = if boot::is_ignored(SIGINT) { &[][..] } else { &[SIGINT][..] };
    let signals = Signals::new(handled).map_err(|error| Error::io("handle signals", &error))?;
    Ok((lab, signals))
}

/// Runs `work` on a thread with a large stack. This thread turns each Ctrl-C into an interrupt of the lab's executor.
fn evaluate(lab: &Arc<Lab>, mut signals: Signals, work: impl FnOnce() -> Status + Send) -> io::Result<Status> {
    let handle = signals.handle();
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("script".into()).stack_size(STACK).spawn_scoped(scope, || {
            let status = catch_unwind(AssertUnwindSafe(work));
            handle.close();
            status
        })?;
        for _ in &mut signals {
            lab.exec().interrupt();
        }
        match worker.join() {
            Ok(Ok(status)) => Ok(status),
            _ => Ok(Status::Defect), // a panic, which the panic hook has reported
        }
    })
}

/// Reports why there can be no lab.
pub(super) fn forbidden(console: &Console, error: &Error) -> Status {
    console.error_with_hint(error);
    Status::Forbidden
}
