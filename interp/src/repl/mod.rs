//! The REPL: reads an input, evaluates it, shows the value; an error or Ctrl-C costs nothing but the input.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};

use crate::interpreter::{Interpreter, Stop};
use crate::run::show;
use crate::session::Session;
use helper::LineHelper;

mod helper;
pub mod validate;

const WELCOME: &str = "nslab: a private lab. `:help` lists the functions, `:help NAME` explains one, Ctrl-D ends.";

/// Reads until the end and returns the exit status.
#[must_use]
pub fn main(interpreter: Interpreter) -> u8 {
    let mut session = Session::new(interpreter);
    if io::stdin().is_terminal() { with_editor(&mut session) } else { piped(&mut session) }
}

/// Input from a pipe: all of it is one script, but values are shown and an error ends it.
fn piped(session: &mut Session) -> u8 {
    let mut text = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut text) {
        crate::cli::complain(&format!("cannot read standard input: {error}"));
        return crate::cli::FAILED;
    }
    let validator = validate::Validator::default();
    let mut input = String::new();
    let mut status = 0;
    for line in text.lines() {
        input.push_str(line);
        input.push('\n');
        if validator.is_incomplete(&input) {
            continue;
        }
        if let Some(end) = evaluate(session, input.trim_end(), &mut status) {
            return end;
        }
        if status != 0 {
            return status;
        }
        input.clear();
    }
    if !input.trim().is_empty() {
        let _ = evaluate(session, &input, &mut status);
    }
    status
}

fn with_editor(session: &mut Session) -> u8 {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .auto_add_history(true)
        .bracketed_paste(true)
        .build();
    let mut editor = match Editor::<LineHelper, DefaultHistory>::with_config(config) {
        Ok(editor) => editor,
        Err(error) => {
            crate::cli::complain(&format!("cannot use this terminal: {error}"));
            return crate::cli::FAILED;
        }
    };
    editor.set_helper(Some(LineHelper::new(&session.interpreter)));
    let history = history_file();
    if let Some(file) = &history {
        let _ = editor.load_history(file); // none yet
    }
    let _ = writeln!(io::stdout(), "{WELCOME}");
    let mut status = 0;
    let end = loop {
        if let Some(helper) = editor.helper_mut() {
            helper.set_variables(session.variables());
        }
        match editor.readline("nslab> ") {
            Ok(input) => {
                if let Some(end) = evaluate(session, input.trim(), &mut status) {
                    break end;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break 0,
            Err(error) => {
                crate::cli::complain(&format!("cannot read the terminal: {error}"));
                break crate::cli::FAILED;
            }
        }
    };
    if let Some(file) = &history {
        let _ = save_history(&mut editor, file);
    }
    end
}

/// Evaluates one input; the exit status if the session ends with it.
fn evaluate(session: &mut Session, input: &str, status: &mut u8) -> Option<u8> {
    *status = 0;
    match input {
        "" => return None,
        ":quit" | ":q" | ":exit" => return Some(0),
        _ => {}
    }
    if let Some(topic) = input.strip_prefix(":help").or_else(|| input.strip_prefix('?')) {
        help(session, topic.trim());
        return None;
    }
    match session.evaluate(input) {
        Ok(value) => {
            if let Some(shown) = session.interpreter.show(&value) {
                let _ = writeln!(io::stdout(), "{shown}");
            }
        }
        Err(Stop::Exit(code)) => return Some(code),
        Err(stop) => {
            *status = stop.status();
            match stop {
                Stop::Failed(diagnostic) => show(&diagnostic),
                _ => {
                    let _ = writeln!(io::stderr(), "interrupted");
                }
            }
        }
    }
    None
}

fn help(session: &Session, topic: &str) {
    let catalog = &session.interpreter.catalog;
    let mut out = io::stdout().lock();
    if topic.is_empty() {
        let mut family = "";
        for function in &catalog.functions {
            if function.family != family {
                family = &function.family;
                let _ = writeln!(out, "\n{family}");
            }
            let _ = writeln!(out, "  {:<16} {}", function.name, function.summary().replace('\n', " "));
        }
        let _ = writeln!(out, "\n`:help NAME` explains one. `:quit` or Ctrl-D ends the lab.");
        return;
    }
    if let Some(function) = catalog.functions.iter().find(|function| function.name == topic) {
        let _ = writeln!(out, "{}\n\n{}", function.signature(), function.doc.trim());
        for key in function.parameters.iter().flat_map(|parameter| parameter.keys) {
            let _ = writeln!(out, "  {:<10} {}", key.name, key.doc);
        }
        return;
    }
    if let Some(of) = catalog.types.iter().find(|of| of.name == topic) {
        let _ = writeln!(out, "{}: {}", of.name, of.doc);
        for property in &of.properties {
            let _ = writeln!(
                out,
                "  .{:<12} {:<8} {}",
                property.name,
                property.returns,
                property.doc.trim().replace('\n', " ")
            );
        }
        return;
    }
    let names = catalog.functions.iter().map(|f| f.name.as_str()).chain(catalog.types.iter().map(|t| t.name.as_str()));
    let near = crate::suggest::nearest(topic, names);
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let _ = writeln!(out, "nothing is called `{topic}`{near}");
}

/// `$XDG_STATE_HOME/nslab/history`, or below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(folder.join("nslab/history"))
}

/// Saves the history for its owner alone.
fn save_history(editor: &mut Editor<LineHelper, DefaultHistory>, file: &std::path::Path) -> rustyline::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::File::options().create(true).append(true).mode(0o600).open(file)?;
    editor.save_history(file)
}
