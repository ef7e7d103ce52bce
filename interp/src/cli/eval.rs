//! `nslab -c`: evaluates an expression and prints its value.

use stdlib::exec::boot::Foreground;

use super::{launch, report};
use crate::console::Console;
use crate::language::interpreter::Interpreter;
use crate::language::sources::{Directory, Script};
use crate::status::Status;

/// Prints the value as `print` would.
pub(super) fn main(console: &Console, lab: launch::Options, expression: &str) -> Status {
    let script = Script::new("<command line>", expression.to_owned(), Directory::current());
    launch::in_lab(console, lab, Foreground::Script, |lab| {
        let mut interpreter = Interpreter::new(lab.clone(), console.clone(), script.directory.clone(), &[]);
        let outcome = interpreter.run(&script);
        if let Ok(value) = &outcome
            && let Some(shown) = interpreter.show(value)
        {
            console.print(&shown)?;
        }
        Ok(report(console, &outcome))
    })
}
