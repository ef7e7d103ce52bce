//! The command line: what may be asked, and the exit status of each answer.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use stdlib::Error;
use stdlib::exec::boot::{self, FORBIDDEN, Launch};
use stdlib::lab::{Journal, host};

use crate::console::complain;
use crate::language::sources::{Folder, Script};
use crate::status::FAILED;
use run::{After, Job};

mod check;
mod doctor;
mod gc;
mod reference;
pub(crate) mod run;

/// A scriptable shell for Linux namespace labs.
///
/// Without a command it reads lines from the terminal (or from standard input). Everything happens in a private lab
/// that the kernel removes when nslab ends, however it ends.
#[derive(Parser)]
#[command(name = "nslab", version, max_term_width = 100)]
#[command(after_help = "Exit status: 0 ok; 1 a check failed; 2 a script or usage error; 3 the environment forbids a \
                        lab (see `nslab doctor`); 130 interrupted; a script's exit(N): N.")]
struct Cli {
    /// Evaluate EXPR, print its value, and end.
    #[arg(short = 'c', value_name = "EXPR")]
    command: Option<String>,

    /// Work on the machine's own namespaces instead of a private lab (root only). What is made is journalled and removed at the end.
    #[arg(long, global = true)]
    host: bool,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a script (`-` is standard input).
    Run {
        /// Stay in the REPL with the script's variables.
        #[arg(short, long)]
        interactive: bool,

        /// Stop in the REPL when a `check` fails.
        #[arg(long)]
        pause_on_fail: bool,

        /// The script.
        script: PathBuf,

        /// What the script gets from `args()`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Look for mistakes in scripts without running them.
    Check {
        /// The scripts.
        #[arg(required = true)]
        scripts: Vec<PathBuf>,
    },
    /// Print what this kernel and this user can do, row by row.
    Doctor,
    /// Print the reference of all functions and types, as Markdown.
    Reference,
    /// Undo what `--host` sessions that were killed have left.
    Gc,
}

/// Does what the command line asks and returns the exit status.
#[must_use]
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(FAILED);
        }
    };
    if cli.verb.is_some() && cli.command.is_some() {
        let _ = Cli::command().error(ErrorKind::ArgumentConflict, "`-c EXPR` goes with no other command").print();
        return FAILED;
    }
    let job = match (cli.verb, cli.command) {
        (Some(Verb::Doctor), _) => return doctor::main(),
        (Some(Verb::Gc), _) => return gc::main(),
        (Some(Verb::Check { scripts }), _) => return check::main(&scripts),
        (Some(Verb::Reference), _) => Ok(Job::Reference),
        (Some(Verb::Run { interactive, pause_on_fail, script, args }), _) => {
            let after = match (interactive, pause_on_fail) {
                (true, _) => After::Stay,
                (false, true) => After::StayIfFailed,
                (false, false) => After::End,
            };
            read(&script).map(|script| Job::Script { script, args, after })
        }
        (None, Some(text)) => Ok(Job::Expression(text)),
        (None, None) => Ok(Job::Repl),
    };
    match job {
        Ok(job) => launch(&job, cli.host),
        Err(text) => {
            complain(&text);
            FAILED
        }
    }
}

/// Reads the script before the lab is made: there `/run`, and perhaps the file in it, is another.
fn read(path: &Path) -> Result<Script, String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| format!("cannot read standard input: {e}"))?;
        return Ok(Script::new("<stdin>", text, Folder::current()));
    }
    Script::read(path)
}

fn launch(job: &Job, host: bool) -> u8 {
    let journal = match open_journal(host) {
        Ok(journal) => journal,
        Err(error) => return forbidden(&error),
    };
    // The lock on it lasts as long as a process that may still undo it.
    let _locked = match journal.as_ref().map(Journal::keep_locked).transpose() {
        Ok(locked) => locked,
        Err(error) => return forbidden(&error),
    };
    let path = Journal::path_of_this_process();
    let cleanup = |status| {
        let errors = if host { host::undo(&path) } else { Vec::new() };
        for error in &errors {
            complain(&format!("not as before: {error}"));
            if let Some(hint) = error.hint_text() {
                let _ = writeln!(std::io::stderr(), "hint: {hint}");
            }
        }
        if errors.is_empty() || status != 0 { status } else { FAILED }
    };
    let interactive = job.is_interactive() && std::io::stdin().is_terminal();
    let launch = Launch { private: !host, interactive, cleanup: &cleanup };
    let status = boot::launch(&launch, || run::main(job, journal));
    status.unwrap_or_else(|error| forbidden(&error))
}

fn open_journal(host: bool) -> Result<Option<Journal>, Error> {
    if !host {
        return Ok(None);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::plain(stdlib::Kind::Permission, "`--host` needs root")
            .hint("without `--host` everything works in a private lab, as an ordinary user"));
    }
    Journal::create(&Journal::path_of_this_process()).map(Some)
}

fn forbidden(error: &Error) -> u8 {
    complain(&error.to_string());
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(std::io::stderr(), "hint: {hint}");
    }
    FORBIDDEN
}
