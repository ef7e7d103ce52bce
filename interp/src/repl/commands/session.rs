//! Commands on the session: its variables, its files, its log.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rhai::Dynamic;
use stdlib::lab::{Place, process};

use super::lab::reset;
use crate::console::describe;
use crate::language::sources::{Directory, Script};
use crate::repl::assist::complete::World as _;
use crate::repl::show::Text;
use crate::repl::state::{Flow, State};
use crate::repl::world::Live;

/// `:vars`
pub(super) fn vars(state: &mut State) -> Flow {
    let mut text = String::new();
    for (name, of) in Live::of(&state.session).variables() {
        let _ = writeln!(text, "{name:<16} {of}");
    }
    for function in state.session.interpreter.functions() {
        let _ = writeln!(text, "fn {}", function.signature);
    }
    state.show(Text::Plain(text.trim_end().to_owned()));
    Flow::Continue
}

/// `:time EXPR`
pub(super) fn time(state: &mut State, input: &str) -> Flow {
    let start = Instant::now();
    let flow = crate::repl::evaluate(state, input);
    state.say(&format!("{:.3} ms", start.elapsed().as_secs_f64() * 1000.0));
    flow
}

/// `:log`
pub(super) fn log(state: &mut State) -> Flow {
    state.show(Text::Plain(state.session.script()));
    Flow::Continue
}

/// `:more`
pub(super) fn more(state: &State) -> Flow {
    state.show_whole();
    Flow::Continue
}

/// `:load FILE`
pub(super) fn load(state: &mut State, file: &str) -> Flow {
    match Script::read_file(&path_of(file)) {
        Ok(script) => {
            state.loaded = Some(file.to_owned());
            run_script(state, &script)
        }
        Err(text) => {
            state.complain(&text);
            Flow::Continue
        }
    }
}

/// Runs a script in this session. Its last value is not shown, as with `nslab run`.
fn run_script(state: &mut State, script: &Script) -> Flow {
    let outcome = state.session.load(script).map(|_| Dynamic::UNIT);
    state.finish(outcome)
}

/// The path of a file as it is typed: `~/a.rhai`, or between quotes.
fn path_of(file: &str) -> PathBuf {
    let file = file.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(file);
    match (file.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => file.into(),
    }
}

/// `:reload`
pub(super) fn reload(state: &mut State) -> Flow {
    let Some(file) = state.loaded.clone() else {
        state.complain("no script was loaded yet: `:load FILE`");
        return Flow::Continue;
    };
    reset(state);
    load(state, &file)
}

/// `:save FILE`
pub(super) fn save(state: &mut State, file: &str) -> Flow {
    let path = path_of(file);
    // Only a file that this session has saved is overwritten.
    let is_ours = state.saved.contains(&path);
    let opened = fs::File::options().write(true).create_new(!is_ours).create(true).truncate(is_ours).open(&path);
    let script = state.session.script();
    match opened.and_then(|mut file| file.write_all(script.as_bytes())) {
        Ok(()) => {
            state.say(&format!("saved {} inputs to {}", state.session.inputs(), path.display()));
            state.saved.insert(path);
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            state.complain(&format!("`{}` already exists: choose another name", path.display()));
        }
        Err(error) => state.complain(&format!("cannot save to `{}`: {}", path.display(), describe(&error))),
    }
    Flow::Continue
}

/// `:edit`
pub(super) fn edit(state: &mut State) -> Flow {
    let before = state.edited.take().unwrap_or_else(|| state.session.script());
    match edited(state, &before) {
        Ok(after) if after == before => state.say("nothing was changed, nothing was run"),
        Ok(after) => {
            // A text that does not compile must not replace the session.
            let script = Script::new("<edited>", after.clone(), Directory::current());
            if let Err(stop) = state.session.interpreter.check(&script) {
                state.edited = Some(after);
                state.finish(Err(stop));
                state.say("nothing was run; `:edit` opens the text again");
                return Flow::Continue;
            }
            reset(state);
            return run_script(state, &script);
        }
        Err(text) => state.complain(&text),
    }
    Flow::Continue
}

/// The text after the user's editor has run on it.
fn edited(state: &State, text: &str) -> Result<String, String> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).unwrap_or_else(|_| "vi".into());
    let fail = |error: std::io::Error| format!("cannot write a file to edit: {}", describe(&error));
    let mut file = tempfile::Builder::new().prefix("nslab-").suffix(".rhai").tempfile().map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    let path = file.path().display().to_string();
    let command = ["sh".to_owned(), "-c".to_owned(), format!("{editor} \"$1\""), "sh".to_owned(), path];
    let command = process::Command::of(&command);
    let lab = &state.session.interpreter.lab;
    let ended = process::run_in_terminal(lab, &Place::of(lab.root()), &command).map_err(|error| error.to_string())?;
    if ended.code != 0 {
        return Err(format!("`{editor}` ended with {}: nothing was run", ended.code));
    }
    // Read the path again: an editor may have replaced the file.
    fs::read_to_string(file.path()).map_err(|error| format!("cannot read the edited file: {}", describe(&error)))
}
