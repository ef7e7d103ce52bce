//! What the interpreter's process does: a script, an expression, the reference, or the REPL.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread;

use rhai::{Dynamic, Scope};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use stdlib::exec::boot;
use stdlib::lab::{Journal, Lab};

use super::reference;
use crate::console::complain;
use crate::diagnostic::Diagnostic;
use crate::language::engine::STACK;
use crate::language::interpreter::{Interpreter, Stop};
use crate::language::sources::{Folder, Script};
use crate::repl;
use crate::session::Session;
use crate::status::FAILED;

/// What to do.
pub(crate) enum Job {
    /// Run a script.
    Script {
        /// The script.
        script: Script,
        /// Its arguments.
        args: Vec<String>,
        /// What follows.
        after: After,
    },
    /// Evaluate and print.
    Expression(String),
    /// Print the reference.
    Reference,
    /// Read lines.
    Repl,
}

/// What follows a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The end.
    End,
    /// The REPL, with the script's variables.
    Stay,
    /// The REPL if a `check` failed.
    StayIfFailed,
}

impl Job {
    /// Whether somebody may be asked to type.
    #[must_use]
    pub(crate) fn is_interactive(&self) -> bool {
        match self {
            Self::Repl => true,
            Self::Script { after, .. } => *after != After::End,
            _ => false,
        }
    }
}

/// Does the job and returns the exit status.
pub(crate) fn main(job: &Job, journal: Option<Journal>) -> u8 {
    match prepare(journal).and_then(|(lab, signals)| evaluate(job, &lab, signals).map_err(|e| e.to_string())) {
        Ok(status) => status,
        Err(text) => {
            complain(&text);
            FAILED
        }
    }
}

fn prepare(journal: Option<Journal>) -> Result<(Arc<Lab>, Signals), String> {
    let lab = Lab::here(journal).map_err(|e| e.to_string())?;
    // What the program that started us wants ignored stays ignored.
    let wanted = if boot::is_ignored(SIGINT) { &[][..] } else { &[SIGINT][..] };
    let signals = Signals::new(wanted).map_err(|e| format!("cannot handle signals: {e}"))?;
    Ok((lab, signals))
}

/// Scripts run on a thread with a stack of their own; this one passes Ctrl-C on.
fn evaluate(job: &Job, lab: &Arc<Lab>, mut signals: Signals) -> io::Result<u8> {
    let handle = signals.handle();
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("script".into()).stack_size(STACK).spawn_scoped(scope, || {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| do_job(job, lab)));
            handle.close();
            status
        })?;
        for _ in &mut signals {
            lab.exec().interrupt();
        }
        match worker.join() {
            Ok(Ok(status)) => Ok(status),
            _ => Ok(70), // a panic, already reported: a defect of ours (EX_SOFTWARE)
        }
    })
}

fn do_job(job: &Job, lab: &Arc<Lab>) -> u8 {
    match job {
        Job::Script { script, args, after } => {
            if *after == After::End {
                let mut interpreter = Interpreter::new(lab.clone(), script.folder.clone(), args);
                return report(&whole(&mut interpreter, &script.name, &script.text).map(drop));
            }
            let mut session = Session::new(Interpreter::new(lab.clone(), Folder::current(), args));
            let result = session.load(script).map(drop);
            let status = report(&result);
            let failed = matches!(&result, Err(Stop::Failed(diagnostic)) if diagnostic.is_check);
            match (after, &result) {
                (_, Err(Stop::Exit(_))) => status,
                (After::StayIfFailed, _) if !failed => status,
                _ => match repl::resume(session, Some(script.name.clone())) {
                    0 => status,
                    other => other,
                },
            }
        }
        Job::Expression(text) => {
            let mut interpreter = Interpreter::new(lab.clone(), Folder::current(), &[]);
            let result = whole(&mut interpreter, "<command line>", text);
            if let Ok(Some(shown)) = result.as_ref().map(|value| interpreter.show(value)) {
                let _ = writeln!(io::stdout(), "{shown}");
            }
            report(&result.map(drop))
        }
        Job::Reference => {
            let interpreter = Interpreter::new(lab.clone(), None, &[]);
            let _ = write!(io::stdout(), "{}", reference::markdown(&interpreter.catalog));
            0
        }
        Job::Repl => repl::main(Interpreter::new(lab.clone(), Folder::current(), &[])),
    }
}

fn whole(interpreter: &mut Interpreter, name: &str, text: &str) -> Result<Dynamic, Stop> {
    let mut scope = Scope::new();
    let ast = interpreter.compile(&scope, name, text)?;
    interpreter.evaluate(&mut scope, &ast)
}

/// Shows what went wrong and returns the exit status.
fn report(result: &Result<(), Stop>) -> u8 {
    let Err(stop) = result else { return 0 };
    if let Stop::Failed(diagnostic) = stop {
        show(diagnostic);
    }
    stop.status()
}

/// Writes a diagnostic to standard error.
pub(crate) fn show(diagnostic: &Diagnostic) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = io::stdout().flush();
    let _ = io::stderr().write_all(diagnostic.render(colour).as_bytes());
}
