//! Inputs that are no script: commands, words of other tools, programs after the name of a namespace.

use super::state::{Flow, State};
use crate::status::Status;
use stdlib::suggest::nearest;
use table::{Action, COMMANDS, Command, FOREIGN_WORDS};

mod help;
mod lab;
pub(super) mod programs;
mod session;
pub mod table;

/// Runs the input if it is a command or a program; none if it is a script.
pub(super) fn run(state: &mut State, input: &str) -> Option<Flow> {
    // A habit from scripts: a `;` at the end.
    let input = input.trim_end_matches(';').trim_end();
    if let Some(topic) = input.strip_prefix("??") {
        return Some(help::source_of(state, topic.trim()));
    }
    if let Some(topic) = input.strip_prefix('?') {
        return Some(help::help(state, topic.trim()));
    }
    if let Some(rest) = input.strip_prefix(':') {
        let (name, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        return Some(named(state, name, args.trim()));
    }
    if let Some(topic) = input.strip_prefix("help ").filter(|_| state.session.variable("help").is_none()) {
        return Some(help::help(state, topic.trim()));
    }
    if state.session.variable(input).is_none() {
        if let Some((_, command)) = FOREIGN_WORDS.iter().find(|(word, _)| *word == input) {
            return run(state, command);
        }
        if input == "pingall" {
            return Some(lab::ping_all(state));
        }
    }
    programs::run(state, input)
}

fn named(state: &mut State, name: &str, args: &str) -> Flow {
    match table::find(name) {
        Some(command) if command.args.is_empty() && !args.is_empty() => {
            state.complain(&format!("`:{name}` takes no argument"));
            Flow::Continue
        }
        Some(command) if command.requires_argument() && args.is_empty() => {
            state.complain(&format!("`:{name}` requires an argument: `{}`", command.usage()));
            Flow::Continue
        }
        Some(command) => act(state, command, args),
        None => {
            let near = nearest(name, COMMANDS.iter().map(|command| command.name));
            let near = near.map_or(String::new(), |near| format!(" did you mean `:{near}`?"));
            state.complain(&format!("no command `:{name}`;{near} `:help` lists them"));
            Flow::Continue
        }
    }
}

fn act(state: &mut State, command: &Command, args: &str) -> Flow {
    match command.action {
        Action::Help => help::help(state, args),
        Action::Ns => lab::namespaces(state),
        Action::Links => lab::links(state, args),
        Action::Topo => lab::topo(state),
        Action::Vars => session::vars(state),
        Action::Time => session::time(state, args),
        Action::Load => session::load(state, args),
        Action::Reload => session::reload(state),
        Action::Save => session::save(state, args),
        Action::Edit => session::edit(state),
        Action::Reset => lab::reset(state),
        Action::Explain => lab::explain(state, args),
        Action::Log => session::log(state),
        Action::Enter => lab::enter(state, args),
        Action::Leave => lab::leave(state),
        Action::Sh => programs::sh(state, args),
        Action::Shell => programs::shell(state, args),
        Action::More => session::more(state),
        Action::Keep => session::keep(state, args),
        Action::Quit => Flow::End(Status::Ok),
    }
}
