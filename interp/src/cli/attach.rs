//! `nslab attach`: a REPL in a lab that runs.

use clap::Args;
use stdlib::exec::labs;

use super::launch;
use crate::console::{self, Console};
use crate::language::interpreter::Interpreter;
use crate::language::sources::Directory;
use crate::repl;
use crate::status::Status;

#[derive(Args)]
pub(super) struct Arguments {
    /// The name or PID of a lab, as `nslab ps` shows it; without one the only kept lab.
    #[arg(value_name = "LAB")]
    lab: Option<String>,
}

/// Reads inputs, and evaluates them in the lab. Its end does not end the lab.
pub(super) fn main(console: &Console, options: launch::Options, arguments: &Arguments) -> Status {
    let lab = match options.refuse_for_a_running_lab().and_then(|()| labs::find(arguments.lab.as_deref())) {
        Ok(lab) => lab,
        Err(error) => {
            console.error_with_hint(&error);
            return Status::Failed;
        }
    };
    let name = lab.to_string();
    launch::in_running_lab(console, options, lab, launch::typed_at(console::is_interactive()), |inside| {
        if console::is_interactive() {
            console
                .say(&format!("nslab: the lab `{name}`, which goes on when this ends: `nslab stop {name}` ends it."))?;
        }
        repl::main(Interpreter::new(inside.clone(), console.clone(), Directory::current(), &[]), console)
    })
}
