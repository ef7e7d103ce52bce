//! The state of the REPL, which commands change: the session, the files, what was shown last.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rhai::Dynamic;
use stdlib::lab::NetNs;
use stdlib::name::{NsName, printable};

use super::events::Busy;
use super::show::{self, Screen, Text};
use crate::console::{self, Console};
use crate::language::interpreter::{Outcome, Stop};
use crate::session::Session;
use crate::status::Status;
use stdlib::suggest::nearest;

/// A session and its surroundings at the prompt.
pub struct State {
    /// The session.
    pub session: Session,
    /// The output.
    pub console: Console,
    /// Whether a person types.
    pub(super) is_interactive: bool,
    /// The file of the last `:load`.
    pub(super) loaded: Option<String>,
    /// The files that this session has saved.
    pub(super) saved: BTreeSet<PathBuf>,
    /// The text that `:edit` left and that does not compile.
    pub(super) edited: Option<String>,
    /// The last output, which may have been cut.
    last: Option<Last>,
    /// The status of the last input.
    pub(super) status: Status,
    /// Whether an input runs, or has just run.
    pub(super) busy: Busy,
}

/// The last output.
enum Last {
    Value(Dynamic),
    Text(Text),
}

/// Whether the session goes on after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It ends with this status.
    End(Status),
}

impl State {
    /// The state at the first prompt. The script in the file `loaded` has run in the session.
    pub(super) fn new(session: Session, console: Console, loaded: Option<String>) -> Self {
        Self {
            session,
            console,
            is_interactive: console::is_interactive(),
            loaded,
            saved: BTreeSet::new(),
            edited: None,
            last: None,
            status: Status::Ok,
            busy: Busy::default(),
        }
    }

    /// Writes lines of nslab's own.
    pub(super) fn say(&self, text: &str) {
        let _ = self.console.say(text); // the loop ends when the output is lost
    }

    /// Reports an error; the input has failed.
    pub(super) fn complain(&mut self, text: &str) {
        self.status = Status::Failed;
        self.console.error(text);
    }

    /// Shows a text, cut to the screen. `:more` shows it whole.
    pub(super) fn show(&mut self, text: Text) {
        self.write(&text, self.screen());
        self.last = Some(Last::Text(text));
    }

    /// Shows the last output whole.
    pub(super) fn show_whole(&self) {
        let screen = Screen { height: u16::MAX, ..self.screen() };
        match &self.last {
            Some(Last::Value(value)) => self.show_value(value, screen),
            Some(Last::Text(text)) => self.write(text, screen),
            None => {}
        }
    }

    fn show_value(&self, value: &Dynamic, screen: Screen) {
        if let Some(text) = show::value(&self.session.interpreter, value, screen) {
            self.write(&text, screen);
        }
    }

    fn write(&self, text: &Text, screen: Screen) {
        let _ = self.console.print(&text.on(screen)); // the loop ends when the output is lost
    }

    /// Shows the outcome of an input.
    pub(super) fn finish(&mut self, outcome: Outcome) -> Flow {
        let stop = match outcome {
            Ok(value) => {
                self.show_value(&value, self.screen());
                self.last = Some(Last::Value(value));
                return Flow::Continue;
            }
            Err(stop) => stop,
        };
        self.status = stop.status();
        match stop {
            Stop::Exit(_) => return Flow::End(self.status),
            Stop::Interrupted => self.console.note("interrupted"),
            Stop::OutputLost(_) => {}
            Stop::Failed(diagnostic) => diagnostic.report(&self.console),
        }
        Flow::Continue
    }

    /// Evaluates the expression that a command stands for, and keeps it out of the session's script.
    pub(super) fn evaluate_quietly(&mut self, text: &str) -> Flow {
        let outcome = self.session.run("<command>", text);
        self.finish(outcome)
    }

    /// The namespace that a word at the prompt names: a variable, or the name of a namespace.
    pub(super) fn namespace(&self, word: &str) -> Option<NetNs> {
        let variable = self.session.variable(word).and_then(|value| value.read_lock::<NetNs>().map(|ns| ns.clone()));
        let lab = &self.session.interpreter.lab;
        variable
            .or_else(|| NsName::new(word).and_then(|name| lab.open_netns(&name)).ok())
            .or_else(|| (word == "host").then(|| lab.root().clone()))
    }

    /// The expression for the namespace that a word names.
    pub(super) fn expression_of(&self, word: &str) -> Option<String> {
        let is_variable = self.session.variable(word).is_some_and(Dynamic::is::<NetNs>);
        if is_variable { Some(word.to_owned()) } else { self.session.expression_of(&self.namespace(word)?) }
    }

    /// Reports a word that names no namespace.
    pub(super) fn no_namespace(&mut self, word: &str) {
        let names = self.session.interpreter.lab.netns_names().unwrap_or_default();
        let near = nearest(word, names.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!(" did you mean `{near}`?"));
        self.complain(&format!("no namespace `{}`;{near} `:ns` lists them", printable(word)));
    }

    /// The screen. Output into a pipe is not cut.
    pub(super) fn screen(&self) -> Screen {
        let (width, height) = console::size().filter(|_| self.is_interactive).unwrap_or((100, u16::MAX));
        Screen { width, height, palette: self.console.palette() }
    }
}
