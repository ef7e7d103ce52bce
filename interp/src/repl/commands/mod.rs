//! The commands of the REPL, in one table: name, arguments, text, what completes them, what they do.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rhai::Dynamic;
use stdlib::lab::{Lab, Link, Place, Topology, process};
use stdlib::name::IfName;

use super::assist::complete::World;
use super::world::Live;
use super::{Repl, draw, show};
use crate::language::interpreter::Stop;
use crate::language::sources::{Folder, Script};
use crate::status::FAILED;
use stdlib::suggest::nearest;

pub(super) mod programs;

/// What completes the arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing.
    Nothing,
    /// Functions and types.
    Topics,
    /// Namespaces.
    Namespaces,
    /// Scripts.
    Files,
    /// `on` or `off`.
    Switch,
    /// Anything an input may contain.
    Input,
}

/// One command.
pub struct Command {
    /// Its name, without the colon.
    pub name: &'static str,
    /// What it takes.
    pub args: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What completes its arguments.
    pub completes: Completes,
    run: fn(&mut Repl<'_>, &str) -> Flow,
}

/// Whether the session goes on.
pub enum Flow {
    /// It does.
    On,
    /// It ends with this status.
    End(u8),
}

macro_rules! commands {
    ($($name:literal $args:literal $doc:literal $completes:ident $run:expr;)*) => {
        /// The commands, in the order in which `:help` lists them.
        pub const COMMANDS: &[Command] = &[$(Command {
            name: $name, args: $args, doc: $doc, completes: Completes::$completes, run: $run,
        }),*];
    };
}

commands! {
    "help" "[NAME]" "Lists functions and commands, or explains one; `:help all` has a sentence on each." Topics |repl, args| { repl.help(args); Flow::On };
    "ns" "" "Lists the namespaces." Nothing |repl, _| { repl.evaluate_quietly("netns_list()"); Flow::On };
    "links" "[NS]" "Lists the links of the current namespace, or of another." Namespaces links;
    "topo" "" "Draws the lab: namespaces, links, where each cable ends, addresses, states." Nothing topo;
    "vars" "" "Lists the variables with their types." Nothing vars;
    "time" "EXPR" "Evaluates and says how long it took." Input time;
    "load" "FILE" "Runs a script in this session; its variables stay." Files load;
    "reload" "" "Resets, and runs the last loaded script again." Nothing reload;
    "save" "FILE" "Saves the session as a script that means the same." Files save;
    "edit" "" "Opens the session's script in $EDITOR; if it was changed, resets and runs it." Nothing edit;
    "reset" "" "Ends all programs, deletes all namespaces and links, forgets variables, functions and imports; settings and filter rules of the lab's root stay." Nothing reset;
    "explain" "on|off" "Shows the command of the shell that does what each call does." Switch explain;
    "log" "" "Shows the inputs so far, as `:save` would write them." Nothing |repl, _| {
        repl.show(repl.session.script());
        Flow::On
    };
    "enter" "NS" "Makes a namespace the current one." Namespaces enter;
    "leave" "" "Goes back to the lab's root." Nothing |repl, _| { repl.session.leave(); Flow::On };
    "sh" "NS CMD" "Runs a shell command in a namespace, with the terminal. `NS! CMD` does the same." Namespaces programs::sh;
    "shell" "[NS]" "Opens an interactive shell in a namespace." Namespaces programs::shell;
    "more" "" "Shows what was shown last without cutting it." Nothing |repl, _| { repl.more(); Flow::On };
    "quit" "" "Ends the lab; so does Ctrl-D." Nothing |_, _| Flow::End(0);
}

/// Words that Mininet users have in their fingers, and what they mean here.
const MININET: [(&str, &str); 9] = [
    ("nodes", ":ns"),
    ("net", ":topo"),
    ("dump", ":topo"),
    ("links", ":links"),
    ("help", ":help"),
    ("exit", ":quit"),
    ("quit", ":quit"),
    ("help()", ":help"),
    ("quit()", ":quit"),
];

/// Other words for commands.
const ALIASES: [(&str, &str); 5] = [("q", "quit"), ("exit", "quit"), ("h", "help"), ("?", "help"), ("l", "load")];

/// Runs the input if it is a command; none if it is for the interpreter.
pub(super) fn run(repl: &mut Repl<'_>, input: &str) -> Option<Flow> {
    // Whoever writes scripts ends lines so.
    let input = input.trim_end_matches(';').trim_end();
    if let Some(topic) = input.strip_prefix("??") {
        repl.source_of(topic.trim());
        return Some(Flow::On);
    }
    if let Some(topic) = input.strip_prefix('?') {
        repl.help(topic.trim());
        return Some(Flow::On);
    }
    if let Some(rest) = input.strip_prefix(':') {
        let (name, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
        return Some(match COMMANDS.iter().find(|command| command.name == name) {
            Some(command) if command.args.is_empty() && !args.trim().is_empty() => {
                repl.complain(&format!("`:{name}` takes no argument"));
                Flow::On
            }
            Some(command) => (command.run)(repl, args.trim()),
            None => {
                let near = nearest(name, COMMANDS.iter().map(|command| command.name));
                let near = near.map_or(String::new(), |near| format!(" did you mean `:{near}`?"));
                repl.complain(&format!("no command `:{name}`;{near} `:help` lists them"));
                Flow::On
            }
        });
    }
    if let Some(topic) = input.strip_prefix("help ").filter(|_| repl.session.variable("help").is_none()) {
        repl.help(topic.trim());
        return Some(Flow::On);
    }
    if repl.session.variable(input).is_none() {
        if let Some((_, command)) = MININET.iter().find(|(word, _)| *word == input) {
            return run(repl, command);
        }
        if input == "pingall" {
            repl.ping_all();
            return Some(Flow::On);
        }
    }
    programs::run(repl, input)
}

fn links(repl: &mut Repl<'_>, name: &str) -> Flow {
    if name.is_empty() {
        repl.evaluate_quietly("links()");
    } else if let Some(expression) = repl.expression_of(name) {
        repl.evaluate_quietly(&format!("links({expression})"));
    } else {
        repl.no_namespace(name);
    }
    Flow::On
}

fn topo(repl: &mut Repl<'_>, _: &str) -> Flow {
    match Topology::of(&repl.session.interpreter.lab) {
        Ok(topology) => {
            let text = draw::draw(&topology);
            repl.show(if repl.colour { show::colour(&text) } else { text });
        }
        Err(error) => repl.complain(&error.to_string()),
    }
    Flow::On
}

fn vars(repl: &mut Repl<'_>, _: &str) -> Flow {
    let mut text = String::new();
    for (name, of) in Live::of(&repl.session).variables() {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{name:<16} {of}\n"));
    }
    for function in repl.session.interpreter.functions() {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("fn {}\n", function.signature));
    }
    repl.show(text.trim_end().to_owned());
    Flow::On
}

fn explain(repl: &mut Repl<'_>, switch: &str) -> Flow {
    let on = match switch {
        "on" | "" => true,
        "off" => false,
        _ => {
            repl.complain("`:explain on` or `:explain off`");
            return Flow::On;
        }
    };
    let colour = repl.colour;
    repl.session.interpreter.lab.explain(on, move |command| {
        let (dim, plain) = if colour { ("\x1b[90m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(std::io::stdout(), "{dim}# {command}{plain}");
    });
    Flow::On
}

fn time(repl: &mut Repl<'_>, input: &str) -> Flow {
    let start = Instant::now();
    let end = repl.evaluate(input);
    let took = start.elapsed();
    repl.say(&format!("{:.3} ms", took.as_secs_f64() * 1000.0));
    end.map_or(Flow::On, Flow::End)
}

fn load(repl: &mut Repl<'_>, file: &str) -> Flow {
    if file.is_empty() {
        repl.complain("`:load FILE` wants a file");
        return Flow::On;
    }
    match Script::read(&path_of(file)) {
        Ok(script) => {
            repl.loaded = Some(file.to_owned());
            run_script(repl, &script)
        }
        Err(text) => {
            repl.complain(&text);
            Flow::On
        }
    }
}

/// Runs a script in this session. Its last value is not shown, as `nslab run` does not show it.
fn run_script(repl: &mut Repl<'_>, script: &Script) -> Flow {
    let result = repl.session.load(script).map(|_| Dynamic::UNIT);
    repl.finish(result).map_or(Flow::On, Flow::End)
}

/// A file as it is typed: `~/a.rhai`, or with quotes around it.
fn path_of(file: &str) -> PathBuf {
    let file = file.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(file);
    match (file.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => file.into(),
    }
}

fn reload(repl: &mut Repl<'_>, _: &str) -> Flow {
    match repl.loaded.clone() {
        Some(file) => {
            reset(repl, "");
            load(repl, &file)
        }
        None => {
            repl.complain("nothing was loaded yet: `:load FILE`");
            Flow::On
        }
    }
}

fn save(repl: &mut Repl<'_>, file: &str) -> Flow {
    if file.is_empty() {
        repl.complain("`:save FILE` wants a file");
        return Flow::On;
    }
    let path = path_of(file);
    // What is there already is not ours to overwrite, unless we wrote it.
    let is_ours = repl.saved.contains(&path);
    let opened = fs::File::options().write(true).create_new(!is_ours).create(true).truncate(is_ours).open(&path);
    let script = repl.session.script();
    match opened.and_then(|mut file| file.write_all(script.as_bytes())) {
        Ok(()) => {
            repl.say(&format!("saved {} inputs to {}", repl.session.inputs(), path.display()));
            repl.saved.insert(path);
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            repl.complain(&format!("`{}` is there already: choose another name", path.display()));
        }
        Err(error) => repl.complain(&format!("cannot save to `{}`: {error}", path.display())),
    }
    Flow::On
}

fn edit(repl: &mut Repl<'_>, _: &str) -> Flow {
    let before = repl.edited.take().unwrap_or_else(|| repl.session.script());
    match edited(repl, &before) {
        Ok(after) if after == before => repl.say("nothing was changed, nothing was run"),
        Ok(after) => {
            // Only what compiles takes the place of what there is.
            let script = Script::new("<edited>", after.clone(), Folder::current());
            if let Err(stop) = repl.session.interpreter.check(&script) {
                let _ = repl.finish(Err(stop));
                repl.edited = Some(after);
                repl.say("nothing was run; `:edit` opens the text again");
                return Flow::On;
            }
            reset(repl, "");
            return run_script(repl, &script);
        }
        Err(text) => repl.complain(&text),
    }
    Flow::On
}

/// What the user's editor makes of the text.
fn edited(repl: &Repl<'_>, text: &str) -> Result<String, String> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).unwrap_or_else(|_| "vi".into());
    let fail = |error: io::Error| format!("cannot write a file to edit: {error}");
    let mut file = tempfile::Builder::new().prefix("nslab-").suffix(".rhai").tempfile().map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    let path = file.path().display().to_string();
    let command = ["sh".to_owned(), "-c".to_owned(), format!("{editor} \"$1\""), "sh".to_owned(), path];
    let lab = &repl.session.interpreter.lab;
    let ended = process::run_in_terminal(lab, &Place::of(lab.root()), &command).map_err(|error| error.to_string())?;
    if ended.code != 0 {
        return Err(format!("`{editor}` ended with {}: nothing was run", ended.code));
    }
    // An editor may have put another file in its place.
    fs::read_to_string(file.path()).map_err(|error| format!("cannot read what was edited: {error}"))
}

/// Ends programs, deletes namespaces and links, and forgets variables, functions and imports.
fn reset(repl: &mut Repl<'_>, _: &str) -> Flow {
    repl.session.reset();
    let lab = repl.session.interpreter.lab.clone();
    let mut failed = Vec::new();
    for process in lab.processes() {
        let ended = process.signal(Signal::SIGKILL).and_then(|()| process.wait(&lab, Duration::from_secs(5)));
        failed.extend(ended.err());
    }
    let namespaces = lab.all().unwrap_or_else(|error| {
        failed.push(error);
        Vec::new()
    });
    for ns in namespaces.into_iter().filter(|ns| !ns.is_root()) {
        failed.extend(lab.guard().delete_netns(&ns).err());
    }
    if lab.is_private() {
        failed.extend(clear_root(&lab).err());
    }
    for error in failed {
        repl.complain(&error.to_string());
    }
    Flow::On
}

/// Takes the links out of the lab's root, and the addresses off its `lo`.
fn clear_root(lab: &Arc<Lab>) -> stdlib::Result<()> {
    let root = lab.root();
    let net = root.net()?;
    for link in net.links()? {
        let link = Link::new(root, IfName::new(&link.name)?);
        if link.name().as_str() == "lo" {
            for addr in net.addrs(None)?.iter().filter(|addr| addr.scope == "global") {
                link.delete_addr(&lab.guard(), addr.net)?;
            }
        } else {
            // A cable into a namespace that just went goes by itself, perhaps meanwhile; a fallback device stays.
            let _ = link.delete(&lab.guard());
        }
    }
    Ok(())
}

fn enter(repl: &mut Repl<'_>, name: &str) -> Flow {
    match (repl.namespace(name), repl.expression_of(name)) {
        (Some(ns), Some(expression)) => repl.session.enter(&expression, &ns),
        _ => repl.no_namespace(name),
    }
    Flow::On
}

/// The status of an input that went wrong, for input from a pipe.
pub(super) fn status_of(stop: &Stop) -> u8 {
    match stop.status() {
        0 => FAILED,
        status => status,
    }
}
