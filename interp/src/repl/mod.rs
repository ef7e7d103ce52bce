//! The REPL: reads inputs, evaluates each, and shows its value. An error or Ctrl-C costs only that input.

use rhai::Dynamic;
use stdlib::name::printable;

use crate::console::{Console, Lost};
use crate::language::interpreter::{Interpreter, Stop};
use crate::language::sources::{read_text, without_shebang};
use crate::session::Session;
use crate::status::Status;
use assist::validate::Validator;
use editor::{LineEditor, Read, Rustyline};
use input::Input;
use state::{Flow, State};
use world::Live;

pub mod assist;
pub mod commands;
pub mod draw;
mod editor;
mod events;
mod history;
mod input;
pub mod layout;
pub mod show;
pub mod state;
pub mod world;

const PRIVATE: &str = "nslab: a private lab. Tab completes, `:help` lists functions and commands, Ctrl-D ends.";
const HOST: &str = "nslab: this machine's own network. Your changes are undone at the end; `:help` lists functions and \
                    commands, Ctrl-D ends.";

/// Reads inputs to their end and returns the exit status.
///
/// # Errors
/// When the output is lost.
pub fn main(interpreter: Interpreter, console: &Console) -> Result<Status, Lost> {
    resume(Session::new(interpreter), console, None)
}

/// Continues a session, in which the script in the file `loaded` has run.
///
/// # Errors
/// When the output is lost.
pub fn resume(session: Session, console: &Console, loaded: Option<String>) -> Result<Status, Lost> {
    let mut state = State::new(session, console.clone(), loaded);
    let status = if state.is_interactive { typed(&mut state) } else { piped(&mut state) };
    let status = crate::kept::end(console, status);
    console.lost().map_or(Ok(status), Err)
}

/// Evaluates the inputs of a pipe. The first error ends it.
fn piped(state: &mut State) -> Status {
    let exec = state.session.interpreter.lab.exec();
    let text = match read_text(Input::new(exec)) {
        Ok(text) => text,
        Err(_) if exec.is_interrupted() => return Status::Interrupted,
        Err(why) => {
            state.complain(&format!("cannot read standard input: {why}"));
            return state.status;
        }
    };
    for input in Validator::default().inputs(&without_shebang(text)) {
        if let Flow::End(status) = evaluate(state, &input) {
            return status;
        }
        if !state.status.is_success() {
            break;
        }
    }
    state.status
}

/// Evaluates the inputs of a terminal.
fn typed(state: &mut State) -> Status {
    let catalog = state.session.interpreter.catalog.clone();
    let mut editor = match Rustyline::open(catalog, Live::of(&state.session), state.console.palette()) {
        Ok(editor) => editor,
        Err(text) => {
            state.complain(&text);
            return state.status;
        }
    };
    state.say(if state.session.interpreter.lab.is_private() { PRIVATE } else { HOST });
    let lab = &state.session.interpreter.lab;
    if let Some(above) = editor.above()
        && let Err(error) = events::show(lab, state.console.palette(), state.busy.clone(), above)
    {
        state.complain(&format!("no events will be shown: {error}"));
    }
    let end = loop {
        editor.update(Live::of(&state.session));
        match editor.read(&prompt(state)) {
            Read::Input(text) => {
                state.busy.start();
                let flow = evaluate_all(state, text.trim());
                state.busy.end();
                if let Flow::End(status) = flow {
                    break status;
                }
            }
            Read::Interrupted => {}
            Read::End => break Status::Ok,
            Read::Failed(text) => {
                state.complain(&format!("cannot read the terminal: {text}"));
                break state.status;
            }
        }
    };
    editor.close();
    end
}

/// `nslab> `; `nslab netns1> ` in another current namespace; `nslab --host> ` on the machine's own namespaces.
fn prompt(state: &State) -> String {
    let lab = if state.session.interpreter.lab.is_private() { "nslab" } else { "nslab --host" };
    let current = state.session.current();
    if current.is_root() { format!("{lab}> ") } else { format!("{lab} {}> ", printable(&current.short())) }
}

/// Evaluates a text that was typed or pasted: a script as a whole, anything else input by input up to the first error.
fn evaluate_all(state: &mut State, text: &str) -> Flow {
    let validator = Validator::default();
    if !text.contains('\n') || validator.is_script(text) {
        return evaluate(state, text);
    }
    let inputs = validator.inputs(text);
    for (n, input) in inputs.iter().enumerate() {
        if let Flow::End(status) = evaluate(state, input) {
            return Flow::End(status);
        }
        let left = inputs.len() - n - 1;
        if !state.status.is_success() && left > 0 {
            state.console.note(&format!("not run: the {left} inputs that were pasted after this one"));
            break;
        }
    }
    Flow::Continue
}

/// Evaluates one input: a command, a program or a script.
fn evaluate(state: &mut State, input: &str) -> Flow {
    state.status = Status::Ok;
    if input.is_empty() {
        return Flow::Continue;
    }
    let flow = commands::run(state, input).unwrap_or_else(|| interpret(state, input));
    // Ctrl-C interrupts this input only, and neither completion nor events after it.
    state.session.interpreter.lab.exec().resume();
    state.console.lost().map_or(flow, |lost| Flow::End(lost.status()))
}

fn interpret(state: &mut State, input: &str) -> Flow {
    let mut outcome = state.session.evaluate(input);
    if let Err(Stop::Failed(diagnostic)) = &mut outcome
        && let Some(hint) = commands::programs::hint(state, input)
    {
        diagnostic.hint = Some(hint);
    }
    // A `;` at the end discards the value.
    let is_discarded = input.ends_with(';');
    state.finish(outcome.map(|value| if is_discarded { Dynamic::UNIT } else { value }))
}
