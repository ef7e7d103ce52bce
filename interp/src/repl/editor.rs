//! The line editor: rustyline behind a small trait, fed by our completion, hints, colours and validation.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::Completer;
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

use super::assist::complete::{Candidate, World, complete};
use super::assist::{help, highlight, hint, validate};
use super::commands::{COMMANDS, Completes};
use super::history::HistoryFile;
use super::layout;
use super::world::Live;
use crate::text::scan;

/// What came of reading.
pub(super) enum Read {
    /// An input.
    Input(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-D.
    End,
    /// The terminal is gone.
    Failed(String),
}

/// Writes a line above the prompt, from any thread.
pub(super) type Above = Box<dyn FnMut(String) + Send>;

/// What the REPL needs of a line editor.
pub(super) trait LineEditor {
    /// Reads an input; `prompt` as it is, and as it is shown.
    fn read(&mut self, prompt: &str, coloured: &str) -> Read;
    /// Gives the editor a new view of the session.
    fn look(&mut self, live: Live);
    /// A way to write above the prompt, if the terminal allows it.
    fn above(&mut self) -> Option<Above>;
    /// Ends with saving the history.
    fn close(&mut self);
}

/// rustyline as our editor.
pub(super) struct Rustyline {
    editor: Editor<LineHelper, DefaultHistory>,
    history: Option<HistoryFile>,
}

impl Rustyline {
    pub(super) fn open(catalog: Arc<Catalog>, live: Live, colour: bool) -> Result<Self, String> {
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
            colour,
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
            let _ = file.with(|path| editor.load_history(path)); // none yet
        }
        Ok(Self { editor, history })
    }
}

impl LineEditor for Rustyline {
    fn read(&mut self, prompt: &str, coloured: &str) -> Read {
        match self.editor.readline(&(prompt, coloured)) {
            Ok(input) => Read::Input(input),
            Err(ReadlineError::Interrupted) => Read::Interrupted,
            Err(ReadlineError::Eof) => Read::End,
            Err(error) => Read::Failed(error.to_string()),
        }
    }

    fn look(&mut self, live: Live) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.live = live;
        }
    }

    fn above(&mut self) -> Option<Above> {
        let mut printer = self.editor.create_external_printer().ok()?;
        Some(Box::new(move |text| {
            let _ = printer.print(text);
        }))
    }

    fn close(&mut self) {
        if let Some(file) = &self.history {
            // A history that cannot be kept is no reason to fail.
            let _ = file.with(|path| {
                HistoryFile::prepare(path).and_then(|()| self.editor.append_history(path).map_err(io::Error::other))
            });
        }
    }
}

/// What rustyline asks while a line is typed.
struct LineHelper {
    catalog: Arc<Catalog>,
    live: Live,
    colour: bool,
    validator: validate::Validator,
}

impl Helper for LineHelper {}

/// Candidates of a command line.
fn complete_command(catalog: &Catalog, live: &Live, line: &str, pos: usize) -> Option<(usize, Vec<Candidate>)> {
    let text = &line[..pos];
    let matching = |found: Vec<Candidate>, typed: &str| -> Vec<Candidate> {
        found.into_iter().filter(|candidate| candidate.text.starts_with(typed)).collect()
    };
    let topics = || {
        let functions = catalog.functions.iter().map(|f| Candidate::new(&f.name, &f.name, f.summary()));
        let types = catalog.types.iter().map(|t| Candidate::new(&t.name, &t.name, &t.doc));
        let commands = COMMANDS.iter().map(|c| Candidate::new(format!(":{}", c.name), format!(":{}", c.name), c.doc));
        functions.chain(types).chain(commands).collect::<Vec<_>>()
    };
    if let Some(topic) = text.strip_prefix('?') {
        let start = pos - topic.trim_start_matches('?').len();
        return Some((start, matching(topics(), &text[start..])));
    }
    let rest = text.strip_prefix(':')?;
    let Some((name, args)) = rest.split_once(' ') else {
        let found = COMMANDS.iter().map(|c| Candidate::new(c.name, format!(":{} {}", c.name, c.args), c.doc));
        return Some((1, matching(found.collect(), rest)));
    };
    let command = COMMANDS.iter().find(|command| command.name == name)?;
    let start = pos - args.len();
    let found = match command.completes {
        Completes::Nothing => Vec::new(),
        Completes::Topics => topics(),
        Completes::Switch => ["on", "off"].map(Candidate::plain).to_vec(),
        Completes::Namespaces if args.contains(' ') => Vec::new(),
        Completes::Namespaces => {
            let variables = live.variables().into_iter().filter(|(_, of)| of == "NetNs").map(|(name, _)| name);
            let names: BTreeSet<String> = variables.chain(live.namespaces()).collect();
            names.into_iter().map(Candidate::plain).collect()
        }
        Completes::Files => {
            live.files(args).into_iter().collect::<BTreeSet<_>>().into_iter().map(Candidate::plain).collect()
        }
        Completes::Input => {
            let (from, found) = complete(catalog, live, args, args.len());
            return Some((start + from, found));
        }
    };
    Some((start, matching(found, args)))
}

impl Completer for LineHelper {
    type Candidate = rustyline::completion::Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Self::Candidate>)> {
        let (start, found) = match complete_command(&self.catalog, &self.live, line, pos) {
            Some(found) => found,
            None => complete(&self.catalog, &self.live, line, pos),
        };
        let (texts, rows): (Vec<_>, Vec<_>) = found.into_iter().map(|c| (c.text, (c.shown, c.doc))).unzip();
        // One column is left free: a line that fills the last one is followed by an empty one.
        let shown = layout::lines(&rows, width() - 1).into_iter();
        let pair = |(display, replacement)| rustyline::completion::Pair { display, replacement };
        Ok((start, shown.zip(texts).map(pair).collect()))
    }
}

/// What is shown behind the cursor.
enum Behind {
    /// A signature, which is never inserted.
    Signature(String),
    /// The rest of an earlier input; the right arrow takes it.
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
        if self.colour { highlight::highlight(&self.catalog, line).into() } else { line.into() }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.colour { format!("\x1b[1m{prompt}\x1b[0m").into() } else { prompt.into() }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colour {
            // The marks stay: the editor has counted their columns.
            format!("\x1b[90m{}\x1b[0m", hint.replace('‹', "‹\x1b[0;1m").replace('›', "\x1b[0;90m›")).into()
        } else {
            hint.into()
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.colour && kind != CmdKind::MoveCursor
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let more = self.validator.is_incomplete(text);
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// The columns of the terminal.
fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(columns, _)| usize::from(columns.0))
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
        // The function whose argument is being typed.
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
