//! The command line: its grammar and the choice of the subcommand. Each subcommand is a file.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use crate::console::{self, Console, Lost};
use crate::language::interpreter::{Interpreter, Outcome, Stop};
use crate::language::sources::Directory;
use crate::repl;
use crate::status::{self, Status};

mod check;
mod doctor;
mod eval;
mod exec;
mod foreign;
mod gc;
mod launch;
mod reference;
mod run;

/// A scriptable shell for Linux namespace labs.
///
/// Without a command it reads inputs from the terminal, or from standard input. Everything happens in a private lab that
/// the kernel removes when nslab ends, however it ends.
#[derive(Parser)]
#[command(name = "nslab", version, max_term_width = 100, after_help = status::HELP)]
struct Cli {
    /// Evaluate EXPR, print its value, and exit.
    #[arg(short = 'c', value_name = "EXPR")]
    expression: Option<String>,

    #[command(flatten)]
    lab: launch::Options,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a script (`-` is standard input).
    Run(run::Arguments),
    /// Run a program, such as a shell script that uses `ip netns`, in a private lab; without CMD your shell.
    Exec(exec::Arguments),
    /// Check the syntax of scripts without running them.
    Check(check::Arguments),
    /// Print what this kernel and this user can do, row by row.
    Doctor,
    /// Print the reference of all functions and types, as Markdown.
    Reference,
    /// Undo what killed `--host` sessions left behind.
    Gc,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> Status {
    let console = Console::standard();
    let status = dispatch(&console).unwrap_or_else(Lost::status);
    console.conclude(status)
}

fn dispatch(console: &Console) -> Result<Status, Lost> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(console, &error),
    };
    match (cli.verb, cli.expression) {
        (Some(_), Some(_)) => {
            let conflict = "`-c EXPR` cannot be used with a command";
            usage(console, &Cli::command().error(ErrorKind::ArgumentConflict, conflict))
        }
        (Some(Verb::Run(arguments)), None) => Ok(run::main(console, cli.lab, &arguments)),
        (Some(Verb::Exec(arguments)), None) => Ok(exec::main(console, cli.lab, &arguments)),
        (Some(Verb::Check(arguments)), None) => Ok(check::main(console, &arguments)),
        (Some(Verb::Doctor), None) => doctor::main(console),
        (Some(Verb::Reference), None) => Ok(reference::main(console, cli.lab)),
        (Some(Verb::Gc), None) => gc::main(console),
        (None, Some(expression)) => Ok(eval::main(console, cli.lab, &expression)),
        (None, None) => Ok(launch::in_lab(console, cli.lab, launch::typed_at(console::is_interactive()), |lab| {
            repl::main(Interpreter::new(lab.clone(), console.clone(), Directory::current(), &[]), console)
        })),
    }
}

/// Prints the help or the version, or reports a usage error.
fn usage(console: &Console, error: &clap::Error) -> Result<Status, Lost> {
    let text = error.render();
    if error.use_stderr() {
        // The text quotes the arguments, so it goes out escaped and in our own colour.
        let text = text.to_string();
        console.error(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
            && let Some(hint) = foreign::instead_of(word)
        {
            console.note(&format!("hint: {hint}"));
        }
        return Ok(Status::Failed);
    }
    let text = if console.palette().is_coloured() { text.ansi().to_string() } else { text.to_string() };
    console.print(text.trim_end())?;
    Ok(Status::Ok)
}

/// Reports the error of an outcome, if it has one, and returns its exit status.
fn report(console: &Console, outcome: &Outcome) -> Status {
    let Err(stop) = outcome else { return Status::Ok };
    if let Stop::Failed(diagnostic) = stop {
        diagnostic.report(console);
    }
    stop.status()
}
