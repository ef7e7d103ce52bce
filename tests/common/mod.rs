//! What all trials are written with: the builder of a run, the pseudo-terminal, processes, recorded texts, scripts.

mod machine;
mod processes;
mod recorded;
mod reference;
mod script;
mod shell;
mod trials;
mod typed;

pub(crate) use machine::{LEFT, User};
pub(crate) use processes::*;
pub(crate) use recorded::{difference, is_recorded};
pub(crate) use reference::{Function, examples, functions};
pub(crate) use script::{Script, rhai_files};
pub(crate) use shell::{NOBODY, Outcome, Shell, passes, passes_for_all};
pub(crate) use trials::{Generator, Need, Registered, Trial, main};
pub(crate) use typed::Typed;
