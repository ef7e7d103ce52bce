//! `nslab run`: runs a script, and on demand goes on in the REPL with its variables.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{foreign, launch, report};
use crate::console::{self, Console};
use crate::language::interpreter::{Interpreter, Stop};
use crate::language::sources::{Directory, Script, read_text};
use crate::repl;
use crate::session::Session;
use crate::status::Status;

#[derive(Args)]
pub(super) struct Arguments {
    /// Continue in the REPL with the script's variables.
    #[arg(short, long)]
    interactive: bool,

    /// Continue in the REPL when a `check` fails.
    #[arg(long)]
    pause_on_fail: bool,

    /// The script.
    script: PathBuf,

    /// The arguments that `args()` returns.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs the script. The status is the script's, or that of the REPL if it ends with another one.
pub(super) fn main(console: &Console, lab: launch::Options, arguments: &Arguments) -> Status {
    if let Some(program) = foreign::interpreter_of(&arguments.script) {
        return foreign::refuse(console, &program, &arguments.script);
    }
    let script = match read(&arguments.script) {
        Ok(script) => script,
        Err(text) => {
            console.error(&text);
            return Status::Failed;
        }
    };
    let may_continue = arguments.interactive || arguments.pause_on_fail;
    let interpreter = |lab: &std::sync::Arc<_>, directory| {
        Interpreter::new(std::sync::Arc::clone(lab), console.clone(), directory, &arguments.args)
    };
    launch::in_lab(console, lab, launch::typed_at(may_continue && console::is_interactive()), |lab| {
        if !may_continue {
            let outcome = interpreter(lab, script.directory.clone()).run(&script);
            return Ok(report(console, &outcome));
        }
        let mut session = Session::new(interpreter(lab, Directory::current()));
        let outcome = session.load(&script);
        let status = report(console, &outcome);
        let continues = match &outcome {
            Err(Stop::Exit(_) | Stop::OutputLost(_)) => false,
            Err(stop) => arguments.interactive || stop.is_check(),
            Ok(_) => arguments.interactive,
        };
        if !continues {
            return Ok(status);
        }
        let end = repl::resume(session, console, Some(script.name.clone()))?;
        Ok(if end.is_success() { status } else { end })
    })
}

/// Reads the script before the lab exists: in the lab, `/run` and the files in it are different ones.
fn read(path: &Path) -> Result<Script, String> {
    if path == Path::new("-") {
        let text = read_text(std::io::stdin()).map_err(|why| format!("cannot read standard input: {why}"))?;
        return Ok(Script::new("<stdin>", text, Directory::current()));
    }
    Script::read(path)
}
