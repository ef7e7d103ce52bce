//! `nslab check`: compiles scripts without running them.

use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use rhai::Scope;
use stdlib::catalog::Catalog;
use stdlib::exec::thread_error;

use crate::console::Console;
use crate::diagnostic::{Diagnostic, Known};
use crate::language::compile::parse;
use crate::language::engine::for_syntax;
use crate::language::sources::Script;
use crate::language::stack::TO_COMPILE;
use crate::status::Status;
use crate::text::escapes::literal_escapes;
use crate::text::sources::Sources;

#[derive(Args)]
pub(super) struct Arguments {
    /// The scripts.
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
}

/// Reports the first syntax error of each script, and what is valid but hardly meant; needs no lab.
pub(super) fn main(console: &Console, arguments: &Arguments) -> Status {
    let work = || {
        let wrong = arguments.scripts.iter().filter(|path| !is_correct(console, path)).count();
        if wrong == 0 { Status::Ok } else { Status::Failed }
    };
    thread::scope(|scope| {
        match thread::Builder::new().stack_size(TO_COMPILE).spawn_scoped(scope, work) {
            Ok(worker) => worker.join().unwrap_or(Status::Defect), // a panic, which the panic hook has reported
            Err(error) => {
                console.error_with_hint(&thread_error("start the thread of the compiler", &error));
                Status::Failed
            }
        }
    })
}

fn is_correct(console: &Console, path: &Path) -> bool {
    let script = match Script::read(path) {
        Ok(script) => script,
        Err(text) => {
            console.error(&text);
            return false;
        }
    };
    let Err(error) = parse(&for_syntax(), &Scope::new(), &script.text) else {
        warn(console, &script);
        return true;
    };
    let sources = Sources::default();
    sources.add(&script.name, &script.text);
    let known = Known { catalog: &Catalog::default(), sources: &sources, functions: Vec::new(), variables: Vec::new() };
    Diagnostic::of(&error.into(), &script.name, &known).report(console);
    false
}

/// Warns of what compiles and does something else than it seems to.
fn warn(console: &Console, script: &Script) {
    for at in literal_escapes(&script.text) {
        let before = &script.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let escape = &script.text[at..at + 2];
        console.note(&format!(
            "warning: {}:{line}:{column}: `{escape}` between backticks is a backslash and a letter; it is an escape \
             between double quotes",
            script.name
        ));
    }
}
