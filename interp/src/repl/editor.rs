//! The line editor: rustyline behind a small trait, with nslab's completion, hints, colours and validation.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler,
    ExternalPrinter, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use stdlib::catalog::Catalog;

use super::assist::{command_line, complete, help, highlight, hint, validate};
use super::history::HistoryFile;
use super::layout;
use super::world::Live;
use crate::console::{self, Palette, Style};
use crate::text::scan;

/// The result of reading.
pub(super) enum Read {
    /// An input.
    Input(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-D.
    End,
    /// The terminal cannot be read.
    Failed(String),
}

/// Writes a line above the prompt, from any thread.
pub(super) type Above = Box<dyn FnMut(String) + Send>;

/// What the REPL requires of a line editor.
pub(super) trait LineEditor {
    /// Reads an input after a prompt.
    fn read(&mut self, prompt: &str) -> Read;
    /// Sets the view of the session.
    fn update(&mut self, live: Live);
    /// A way to write above the prompt, if the terminal allows it.
    fn above(&mut self) -> Option<Above>;
    /// Saves the history.
    fn close(&mut self);
}

/// rustyline as the line editor.
pub(super) struct Rustyline {
    editor: Editor<LineHelper, DefaultHistory>,
    history: Option<HistoryFile>,
}

impl Rustyline {
    pub(super) fn open(catalog: Arc<Catalog>, live: Live, palette: Palette) -> Result<Self, String> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .auto_add_history(true)
            .bracketed_paste(true)
            .max_history_size(10_000)
            .map_err(|e| e.to_string())?
            .build();
        let mut editor = Editor::with_config(config).map_err(|e| format!("cannot use this terminal: {e}"))?;
        editor.set_helper(Some(LineHelper {
            catalog: catalog.clone(),
            live,
            palette,
            validator: validate::Validator::default(),
        }));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        if let Ok(printer) = editor.create_external_printer() {
            let printer = Mutex::new(Box::new(printer) as Box<dyn ExternalPrinter + Send>);
            let f1 = EventHandler::Conditional(Box::new(HelpKey { catalog, printer }));
            editor.bind_sequence(Event::from(KeyEvent(KeyCode::F(1), Modifiers::NONE)), f1);
        }
        let history = HistoryFile::find();
        if let Some(file) = &history {
            let _ = file.with(|path| editor.load_history(path)); // the first session has none
        }
        Ok(Self { editor, history })
    }
}

impl LineEditor for Rustyline {
    fn read(&mut self, prompt: &str) -> Read {
        match self.editor.readline(prompt) {
            Ok(input) => Read::Input(input),
            Err(ReadlineError::Interrupted) => Read::Interrupted,
            Err(ReadlineError::Eof) => Read::End,
            Err(error) => Read::Failed(error.to_string()),
        }
    }

    fn update(&mut self, live: Live) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.live = live;
        }
    }

    fn above(&mut self) -> Option<Above> {
        let mut printer = self.editor.create_external_printer().ok()?;
        Some(Box::new(move |text| {
            let _ = printer.print(text); // the editor has gone, and the prompt with it
        }))
    }

    fn close(&mut self) {
        if let Some(file) = &self.history {
            // A history that cannot be saved does not fail the session.
            let _ = file.with(|path| {
                HistoryFile::prepare(path).and_then(|()| self.editor.append_history(path).map_err(io::Error::other))
            });
        }
    }
}

/// The callbacks of rustyline while a line is typed.
struct LineHelper {
    catalog: Arc<Catalog>,
    live: Live,
    palette: Palette,
    validator: validate::Validator,
}

impl Helper for LineHelper {}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = command_line::complete(&self.catalog, &self.live, line, pos)
            .unwrap_or_else(|| complete::complete(&self.catalog, &self.live, line, pos));
        let (texts, rows): (Vec<_>, Vec<_>) = found.into_iter().map(|c| (c.text, (c.shown, c.doc))).unzip();
        // One column stays free: rustyline writes an empty line after a line that fills the last one.
        let shown = layout::lines(&rows, width() - 1).into_iter();
        let pair = |(display, replacement)| Pair { display, replacement };
        Ok((start, shown.zip(texts).map(pair).collect()))
    }
}

/// The text after the cursor.
enum Behind {
    /// A signature, which is never inserted.
    Signature(String),
    /// The rest of an earlier input. The right arrow inserts it.
    Earlier(String),
}

impl Hint for Behind {
    fn display(&self) -> &str {
        match self {
            Self::Signature(text) | Self::Earlier(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match self {
            Self::Signature(_) => None,
            Self::Earlier(text) => Some(text),
        }
    }
}

impl Hinter for LineHelper {
    type Hint = Behind;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<Behind> {
        if line.ends_with('\n') {
            return None;
        }
        let signature =
            if line.starts_with([':', '?']) { None } else { hint::signature(&self.catalog, &self.live, line, pos) };
        signature.map(Behind::Signature).or_else(|| {
            let earlier = HistoryHinter {}.hint(line, pos, context)?;
            (!earlier.contains('\n')).then_some(Behind::Earlier(earlier))
        })
    }
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.palette.is_coloured() {
            return line.into();
        }
        highlight::highlight(&self.catalog, self.palette, line).into()
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.palette.paint(Style::Strong, prompt).into()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        // The marks around the current argument stay: the editor has counted their columns.
        let Some((before, (current, after))) =
            hint.split_once('‹').and_then(|(before, rest)| Some((before, rest.split_once('›')?)))
        else {
            return self.palette.paint(Style::Dim, hint).into();
        };
        let before = self.palette.paint(Style::Dim, &format!("{before}‹"));
        let current = self.palette.paint(Style::Strong, current);
        let after = self.palette.paint(Style::Dim, &format!("›{after}"));
        [before, current, after].concat().into()
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.palette.is_coloured() && kind != CmdKind::MoveCursor
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let more = self.validator.is_incomplete(context.input());
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// The columns of the terminal.
fn width() -> usize {
    console::size().map_or(80, |(columns, _)| usize::from(columns))
}

/// F1: the help of the word under the cursor, above the prompt.
struct HelpKey {
    catalog: Arc<Catalog>,
    printer: Mutex<Box<dyn ExternalPrinter + Send>>,
}

impl ConditionalEventHandler for HelpKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let (line, pos) = (context.line(), context.pos());
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = line[..pos].rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        let end = line[pos..].find(|c| !is_word(c)).map_or(line.len(), |at| pos + at);
        let mut word = &line[start..end];
        // The word of an argument that is no function: the help of the called function.
        let call = scan::context(line, pos).call;
        if let Some(call) = call.as_ref().filter(|_| !self.catalog.functions.iter().any(|f| f.name == word)) {
            word = &call.name;
        }
        if word.is_empty() {
            return Some(Cmd::Noop);
        }
        let text = help::explain(&self.catalog, word, width()).unwrap_or_else(|why| why);
        let _ = self.printer.lock().unwrap_or_else(PoisonError::into_inner).print(text + "\n");
        Some(Cmd::Noop)
    }
}
