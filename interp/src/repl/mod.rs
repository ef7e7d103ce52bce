//! The REPL: reads an input, evaluates it, shows the value; an error or Ctrl-C costs nothing but the input.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read as _, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rhai::Dynamic;
use stdlib::lab::NetNs;
use stdlib::lab::events::Event;
use stdlib::name::NsName;

use crate::console::complain;
use crate::language::interpreter::{Interpreter, Stop};
use crate::language::sources::without_shebang;
use crate::session::Session;
use crate::status::FAILED;
use assist::{help, validate};
use commands::{Flow, programs};
use editor::{Above, LineEditor, Read, Rustyline};
use show::Screen;
use world::Live;

pub mod assist;
pub mod commands;
pub mod draw;
mod editor;
mod history;
pub mod layout;
pub mod show;
pub mod world;

/// Longer than anything takes.
const WHILE_IT_LASTS: Duration = Duration::from_secs(86_400);
/// How long the kernel may take to tell what an input did.
const AFTERMATH: Duration = Duration::from_millis(100);

const PRIVATE: &str = "nslab: a private lab. Tab completes, `:help` lists functions and commands, Ctrl-D ends.";
const HOST: &str = "nslab: this machine's own network. What you make is removed at the end; `:help` lists functions and \
                    commands, Ctrl-D ends.";

/// A session with somebody, or something, that types.
pub struct Repl<'a> {
    session: Session,
    colour: bool,
    interactive: bool,
    /// The file of the last `:load`.
    loaded: Option<String>,
    /// The files that this session has saved.
    saved: BTreeSet<PathBuf>,
    /// What `:edit` left that does not compile.
    edited: Option<String>,
    last: Option<Last>,
    status: u8,
    /// Until when what happens is the last input's doing.
    busy: Arc<Mutex<Option<Instant>>>,
    out: &'a mut dyn Write,
}

/// What was shown last, and may have been cut.
enum Last {
    Value(Dynamic),
    Text(String),
}

/// Reads until the end and returns the exit status.
#[must_use]
pub fn main(interpreter: Interpreter) -> u8 {
    resume(Session::new(interpreter), None)
}

/// Goes on with a session that the script in the file `loaded` has begun.
#[must_use]
pub fn resume(session: Session, loaded: Option<String>) -> u8 {
    let interactive = io::stdin().is_terminal();
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = io::stdout();
    let mut repl = Repl {
        session,
        colour,
        interactive,
        loaded,
        saved: BTreeSet::new(),
        edited: None,
        last: None,
        status: 0,
        busy: Arc::default(),
        out: &mut out,
    };
    if interactive { repl.with_editor() } else { repl.piped() }
}

impl Repl<'_> {
    /// Input from a pipe: an error ends it.
    fn piped(&mut self) -> u8 {
        let mut text = String::new();
        if let Err(error) = io::stdin().read_to_string(&mut text) {
            complain(&format!("cannot read standard input: {error}"));
            return FAILED;
        }
        let text = without_shebang(text);
        for input in validate::Validator::default().inputs(&text) {
            if let Some(end) = self.evaluate(&input) {
                return end;
            }
            if self.status != 0 {
                break;
            }
        }
        self.status
    }

    fn with_editor(&mut self) -> u8 {
        let catalog = self.session.interpreter.catalog.clone();
        let mut editor = match Rustyline::open(catalog, Live::of(&self.session), self.colour) {
            Ok(editor) => editor,
            Err(text) => {
                complain(&text);
                return FAILED;
            }
        };
        self.say(if self.session.interpreter.lab.is_private() { PRIVATE } else { HOST });
        self.tell_events(editor.above());
        let end = loop {
            editor.look(Live::of(&self.session));
            let prompt = self.prompt();
            match editor.read(&prompt, &prompt) {
                Read::Input(input) => {
                    self.busy_for(WHILE_IT_LASTS);
                    let end = self.typed(input.trim());
                    self.busy_for(AFTERMATH);
                    if let Some(end) = end {
                        break end;
                    }
                }
                Read::Interrupted => {}
                Read::End => break 0,
                Read::Failed(text) => {
                    complain(&format!("cannot read the terminal: {text}"));
                    break FAILED;
                }
            }
        };
        editor.close();
        end
    }

    /// What happens to links and names within this time is the input's doing, and no news.
    fn busy_for(&self, time: Duration) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    /// `nslab> `, `nslab netns1> ` in a namespace that was entered, `nslab --host> ` on the machine itself.
    fn prompt(&self) -> String {
        let lab = if self.session.interpreter.lab.is_private() { "nslab" } else { "nslab --host" };
        let current = self.session.current();
        if current.is_root() { format!("{lab}> ") } else { format!("{lab} {}> ", current.short()) }
    }

    /// Shows what happens while nobody asks, above the prompt.
    fn tell_events(&mut self, above: Option<Above>) {
        let Some(above) = above else { return };
        let above = Arc::new(Mutex::new(above));
        let lab = self.session.interpreter.lab.clone();
        let (colour, busy) = (self.colour, self.busy.clone());
        let listened = lab.listen(move |event| {
            let worth_it = match event {
                // What an input does, its author knows.
                Event::LinkState { .. } | Event::LinkGone { .. } | Event::NameGone { .. }
                    if busy.lock().is_ok_and(|until| until.is_some_and(|until| Instant::now() < until)) =>
                {
                    false
                }
                Event::LinkState { state, .. } => matches!(*state, "DOWN" | "LOWERLAYERDOWN"),
                Event::LinkGone { .. } | Event::ProcessEnded { .. } | Event::NameGone { .. } => true,
            };
            if worth_it {
                let text = if colour { format!("\x1b[90m[{event}]\x1b[0m\n") } else { format!("[{event}]\n") };
                above.lock().unwrap_or_else(PoisonError::into_inner)(text);
            }
        });
        if let Err(error) = listened {
            self.complain(&format!("no events will be shown: {error}"));
        }
    }

    /// Evaluates what was typed or pasted: a script as a whole, anything else line by line until one goes wrong.
    fn typed(&mut self, text: &str) -> Option<u8> {
        if !text.contains('\n') {
            return self.evaluate(text);
        }
        let validator = validate::Validator::default();
        if validator.is_script(text) {
            return self.evaluate(text);
        }
        let inputs = validator.inputs(text);
        for (n, input) in inputs.iter().enumerate() {
            let end = self.evaluate(input);
            if end.is_some() {
                return end;
            }
            let left = inputs.len() - n - 1;
            if self.status != 0 && left > 0 {
                self.complain_plainly(&format!("not run: the {left} inputs that were pasted after this one"));
                return None;
            }
        }
        None
    }

    /// Evaluates one input, a command or a script; the exit status if the session ends with it.
    fn evaluate(&mut self, input: &str) -> Option<u8> {
        self.status = 0;
        if input.is_empty() {
            return None;
        }
        let end = self.obey_or_evaluate(input);
        // Ctrl-C was meant for this input, and what completion and events ask from here on is none of it.
        self.session.interpreter.lab.exec().resume();
        end
    }

    fn obey_or_evaluate(&mut self, input: &str) -> Option<u8> {
        match commands::run(self, input) {
            Some(Flow::On) => return None,
            Some(Flow::End(status)) => return Some(status),
            None => {}
        }
        let mut result = self.session.evaluate(input);
        if let Err(Stop::Failed(diagnostic)) = &mut result
            && let Some(hint) = programs::hint(self, input)
        {
            diagnostic.hint = Some(hint);
        }
        // A `;` at the end says that the value is not wanted.
        let quiet = input.ends_with(';');
        self.finish(result.map(|value| if quiet { Dynamic::UNIT } else { value }))
    }

    /// Evaluates what a command stands for; it is not part of the session's script.
    fn evaluate_quietly(&mut self, text: &str) {
        let result = self.session.run("<command>", text);
        let _ = self.finish(result);
    }

    /// Shows what came of an input; the exit status if the session ends with it.
    fn finish(&mut self, result: Result<Dynamic, Stop>) -> Option<u8> {
        match result {
            Ok(value) => {
                if let Some(text) = show::render(&self.session.interpreter, &value, self.screen()) {
                    self.say(&text);
                }
                self.last = Some(Last::Value(value));
                None
            }
            Err(Stop::Exit(code)) => Some(code),
            Err(stop) => {
                self.status = commands::status_of(&stop);
                match stop {
                    Stop::Failed(diagnostic) => crate::cli::run::show(&diagnostic),
                    _ => self.complain_plainly("interrupted"),
                }
                None
            }
        }
    }

    /// Shows a text, and cuts it if it is longer than the screen.
    fn show(&mut self, text: String) {
        let shown = show::cut(&text, self.screen());
        self.say(&shown);
        self.last = Some(Last::Text(text));
    }

    /// Shows what was cut.
    fn more(&mut self) {
        let screen = Screen { height: u16::MAX, ..self.screen() };
        let text = match &self.last {
            Some(Last::Value(value)) => show::render(&self.session.interpreter, value, screen),
            Some(Last::Text(text)) => Some(text.clone()),
            None => None,
        };
        if let Some(text) = text {
            self.say(&text);
        }
    }

    /// Pings between all namespaces that have an address.
    fn ping_all(&mut self) {
        let lab = self.session.interpreter.lab.clone();
        let has_address = |ns: &NetNs| {
            let addrs = ns.net().and_then(|net| net.addrs(None)).unwrap_or_default();
            addrs.iter().any(|addr| addr.scope == "global")
        };
        let nodes: Vec<Dynamic> =
            lab.all().unwrap_or_default().into_iter().filter(has_address).map(Dynamic::from).collect();
        let _ = self.finish(self.session.interpreter.call("pingall", (nodes,)));
    }

    fn help(&mut self, topic: &str) {
        let catalog = self.session.interpreter.catalog.clone();
        let width = usize::from(self.screen().width);
        match topic {
            "" => self.show(help::overview(&catalog, width)),
            "all" => self.show(help::all(&catalog, width)),
            _ => match help::explain(&catalog, topic, width) {
                Ok(text) => self.show(text),
                Err(text) => match self.own(topic) {
                    Some(text) => self.show(text),
                    None => self.complain(&text),
                },
            },
        }
    }

    /// What a variable of the session is, or the source of a function.
    fn own(&self, name: &str) -> Option<String> {
        let interpreter = &self.session.interpreter;
        if let Some(value) = self.session.variable(name) {
            let of = interpreter.engine.map_type_name(value.type_name());
            let about = help::explain(&interpreter.catalog, of, usize::from(self.screen().width));
            return Some(format!("{name} is a variable\n\n{}", about.unwrap_or_else(|_| of.to_owned())));
        }
        let functions = interpreter.functions().iter().filter(|known| known.name == name);
        let texts: Vec<&str> = functions.map(|known| known.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// `??name`: the source of a function of the session.
    fn source_of(&mut self, name: &str) {
        match self.own(name).filter(|_| self.session.variable(name).is_none()) {
            Some(text) => self.show(text),
            None => self.help(name),
        }
    }

    /// The namespace that a word at the prompt means: a variable, or a name.
    fn namespace(&self, word: &str) -> Option<NetNs> {
        let variable = self.session.variable(word).and_then(|value| value.read_lock::<NetNs>().map(|ns| ns.clone()));
        let lab = &self.session.interpreter.lab;
        variable
            .or_else(|| NsName::new(word).and_then(|name| lab.open_netns(&name)).ok())
            .or_else(|| (word == "host").then(|| lab.root().clone()))
    }

    /// The expression for the namespace that a word means.
    fn expression_of(&self, word: &str) -> Option<String> {
        let is_variable = self.session.variable(word).is_some_and(Dynamic::is::<NetNs>);
        if is_variable { Some(word.to_owned()) } else { self.session.expression_of(&self.namespace(word)?) }
    }

    fn no_namespace(&mut self, word: &str) {
        let names = self.session.interpreter.lab.netns_names().unwrap_or_default();
        let near = stdlib::suggest::nearest(word, names.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!(" did you mean `{near}`?"));
        self.complain(&format!("no namespace `{}`;{near} `:ns` lists them", stdlib::name::printable(word)));
    }

    fn screen(&self) -> Screen {
        // Into a pipe nothing is cut.
        let size = terminal_size::terminal_size().filter(|_| self.interactive);
        let (width, height) = size.map_or((100, u16::MAX), |(columns, lines)| (columns.0, lines.0));
        Screen { width, height, colour: self.colour }
    }

    fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    fn complain(&mut self, text: &str) {
        self.status = FAILED;
        complain(text);
    }

    fn complain_plainly(&mut self, text: &str) {
        let _ = self.out.flush();
        let _ = writeln!(io::stderr(), "{text}");
    }
}
