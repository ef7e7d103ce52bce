//! The commands of the REPL, in one table: name, arguments, text, what completes them, what they do.

use std::fs;
use std::io::Write;
use std::time::Instant;

use stdlib::lab::{NetNs, Place, process};

use super::complete::World;
use super::world::Live;
use super::{Repl, show, topology};
use crate::cli::FAILED;
use crate::interpreter::Stop;
use crate::sources::Script;
use crate::suggest::nearest;

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
    "load" "FILE" "Runs a script in this session; its variables stay." Files |repl, args| { repl.loaded = Some(args.to_owned()); load(repl, args); Flow::On };
    "reload" "" "Runs the last loaded script again." Nothing reload;
    "save" "FILE" "Saves the session as a script that means the same." Files save;
    "edit" "" "Opens the session's script in $EDITOR and runs what comes back." Nothing edit;
    "reset" "" "Forgets all variables and deletes all namespaces." Nothing reset;
    "explain" "on|off" "Shows the command of the shell that does what each call does." Switch explain;
    "log" "" "Shows the inputs so far, as `:save` would write them." Nothing |repl, _| {
        repl.show(repl.session.script());
        Flow::On
    };
    "enter" "NS" "Makes a namespace the current one." Namespaces enter;
    "leave" "" "Goes back to the lab's root." Nothing |repl, _| { repl.session.leave(); Flow::On };
    "sh" "NS CMD" "Runs a shell command in a namespace, with the terminal. `NS! CMD` does the same." Namespaces sh;
    "shell" "[NS]" "Opens an interactive shell in a namespace." Namespaces shell;
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
    if let Some((ns, command)) = bang(repl, input) {
        return Some(in_terminal(repl, &ns, command));
    }
    mininet_ping(repl, input).or_else(|| mininet_program(repl, input))
}

/// `ns1! ip addr`.
fn bang<'a>(repl: &Repl<'_>, input: &'a str) -> Option<(NetNs, &'a str)> {
    let (name, command) = input.split_once('!')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if !is_name || command.starts_with('=') || command.trim().is_empty() {
        return None;
    }
    Some((repl.namespace(name)?, command.trim()))
}

/// `h1 ping h2`, as in Mininet: never valid Rhai, so nothing collides.
fn mininet_ping(repl: &mut Repl<'_>, input: &str) -> Option<Flow> {
    let words: Vec<&str> = input.split_whitespace().collect();
    let [from, "ping", to] = words.as_slice() else { return None };
    let from = held(repl, from)?;
    let to = to.trim_matches('"');
    let target = match held(repl, to) {
        Some(ns) => match address(&ns) {
            Some(addr) => addr,
            None => {
                repl.complain(&format!("{} has no address to ping", ns.label()));
                return Some(Flow::On);
            }
        },
        None => to.to_owned(),
    };
    let _ = repl.finish(repl.session.interpreter.call("ping", (from, target)));
    Some(Flow::On)
}

/// `h1 iperf3 -c h2`, as in Mininet: the program runs in `h1`, and gets the address of `h2`.
fn mininet_program(repl: &mut Repl<'_>, input: &str) -> Option<Flow> {
    let (name, command) = input.split_once(' ')?;
    let ns = held(repl, name)?;
    let program = command.split_whitespace().next()?;
    // `h1 in list` looks so too, and a namespace may be called `for`.
    let is_script = crate::engine::for_syntax().set_strict_variables(false).compile(input).is_ok();
    if is_script || !program.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '.')) {
        return None;
    }
    let word = |word: &str| held(repl, word).and_then(|ns| address(&ns)).unwrap_or_else(|| word.to_owned());
    let words: Vec<String> =
        command.split(' ').enumerate().map(|(n, it)| if n == 0 { it.into() } else { word(it) }).collect();
    Some(in_terminal(repl, &ns, &words.join(" ")))
}

/// The namespace that a variable holds, or that has this name if no variable has it.
fn held(repl: &Repl<'_>, word: &str) -> Option<NetNs> {
    match repl.session.variable(word) {
        Some(value) => value.read_lock::<NetNs>().map(|ns| ns.clone()),
        None => repl.namespace(word).filter(|ns| !ns.is_root()),
    }
}

/// The first address of a namespace that others can reach.
fn address(ns: &NetNs) -> Option<String> {
    let addrs = ns.net().and_then(|net| net.addrs(None)).unwrap_or_default();
    addrs.iter().find(|addr| addr.scope == "global").map(|addr| addr.net.addr().to_string())
}

/// For an input that is no script but looks like a command of a shell: how to run it.
pub(super) fn hint_for_a_program(repl: &Repl<'_>, input: &str) -> Option<String> {
    let (program, rest) = input.split_once(' ').unwrap_or((input, ""));
    let is_word = program.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let is_ours = repl.session.variable(program).is_some()
        || repl.session.interpreter.catalog.functions.iter().any(|function| function.name == program);
    if !is_word || is_ours || rest.trim_start().starts_with(['=', '(', '.', '+', '*', ';']) {
        return None;
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).find(|folder| folder.join(program).is_file())?;
    let current = repl.session.current();
    let ns = if current.is_root() { "host".into() } else { current.short() };
    Some(format!("`{ns}! {input}` runs the program `{program}` here"))
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
    match topology::look(&repl.session.interpreter.lab) {
        Ok(nodes) => {
            let text = topology::draw(&nodes);
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
    repl.session.interpreter.lab.explain(on, move |twin| {
        let (dim, plain) = if colour { ("\x1b[90m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(std::io::stdout(), "{dim}# {twin}{plain}");
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

fn load(repl: &mut Repl<'_>, file: &str) {
    if file.is_empty() {
        repl.complain("`:load FILE` wants a file");
        return;
    }
    match Script::read(std::path::Path::new(file)) {
        Ok(script) => {
            let result = repl.session.load(&script);
            let _ = repl.finish(result);
        }
        Err(text) => repl.complain(&text),
    }
}

fn reload(repl: &mut Repl<'_>, _: &str) -> Flow {
    match repl.loaded.clone() {
        Some(file) => load(repl, &file),
        None => repl.complain("nothing was loaded yet: `:load FILE`"),
    }
    Flow::On
}

fn save(repl: &mut Repl<'_>, file: &str) -> Flow {
    if file.is_empty() {
        repl.complain("`:save FILE` wants a file");
        return Flow::On;
    }
    // What is there already is not ours to overwrite.
    let written = fs::File::options().write(true).create_new(true).open(file);
    match written.and_then(|mut file| file.write_all(repl.session.script().as_bytes())) {
        Ok(()) => repl.say(&format!("saved {} inputs to {file}", repl.session.log().len())),
        Err(error) => repl.complain(&format!("cannot save to `{file}`: {error}")),
    }
    Flow::On
}

fn edit(repl: &mut Repl<'_>, _: &str) -> Flow {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).unwrap_or_else(|_| "vi".into());
    let path = std::env::temp_dir().join(format!("nslab-{}.rhai", std::process::id()));
    let write = fs::File::options().write(true).create_new(true).open(&path);
    if let Err(error) = write.and_then(|mut file| file.write_all(repl.session.script().as_bytes())) {
        repl.complain(&format!("cannot write `{}`: {error}", path.display()));
        return Flow::On;
    }
    let command =
        ["sh".to_owned(), "-c".to_owned(), format!("{editor} \"$1\""), "sh".to_owned(), path.display().to_string()];
    let lab = repl.session.interpreter.lab.clone();
    let edited = process::run_in_terminal(&lab, &Place::of(lab.root()), &command);
    match edited {
        Ok(ended) if ended.code == 0 => {
            reset(repl, "");
            load(repl, &path.display().to_string());
        }
        Ok(ended) => repl.complain(&format!("`{editor}` ended with {}: nothing was run", ended.code)),
        Err(error) => repl.complain(&error.to_string()),
    }
    let _ = fs::remove_file(&path);
    Flow::On
}

fn reset(repl: &mut Repl<'_>, _: &str) -> Flow {
    repl.session.reset();
    let lab = repl.session.interpreter.lab.clone();
    for ns in lab.all().unwrap_or_default().into_iter().filter(|ns| !ns.is_root()) {
        if let Err(error) = lab.delete_netns(&ns) {
            repl.complain(&error.to_string());
        }
    }
    if let Ok(net) = lab.root().net() {
        for link in net.links().unwrap_or_default().into_iter().filter(|link| link.name != "lo") {
            // A cable into a namespace that just went goes by itself, perhaps meanwhile.
            if lab.is_private() {
                let _ =
                    stdlib::name::IfName::new(&link.name).map(|name| stdlib::lab::Link::new(lab.root(), name).delete());
            }
        }
    }
    Flow::On
}

fn enter(repl: &mut Repl<'_>, name: &str) -> Flow {
    match (repl.namespace(name), repl.expression_of(name)) {
        (Some(ns), Some(expression)) => repl.session.enter(&expression, &ns),
        _ => repl.no_namespace(name),
    }
    Flow::On
}

fn sh(repl: &mut Repl<'_>, args: &str) -> Flow {
    let (name, command) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    match repl.namespace(name) {
        Some(_) if command.trim().is_empty() => {
            repl.complain("`:sh NS CMD` wants a command");
            Flow::On
        }
        Some(ns) => in_terminal(repl, &ns, command.trim()),
        None => {
            repl.no_namespace(name);
            Flow::On
        }
    }
}

fn shell(repl: &mut Repl<'_>, name: &str) -> Flow {
    let ns = if name.is_empty() { Some(repl.session.current()) } else { repl.namespace(name) };
    let Some(ns) = ns else {
        repl.no_namespace(name);
        return Flow::On;
    };
    let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    repl.say(&format!("{shell} in {}: `exit` or Ctrl-D comes back", ns.label()));
    terminal(repl, &ns, &[shell]);
    Flow::On
}

fn in_terminal(repl: &mut Repl<'_>, ns: &NetNs, command: &str) -> Flow {
    terminal(repl, ns, &["sh".into(), "-c".into(), command.into()]);
    Flow::On
}

fn terminal(repl: &mut Repl<'_>, ns: &NetNs, argv: &[String]) {
    let lab = repl.session.interpreter.lab.clone();
    match process::run_in_terminal(&lab, &Place::of(ns), argv) {
        Ok(ended) => match (ended.signal, ended.code) {
            // A Ctrl-C is what was asked for; a shell tells of it by 130.
            (Some(2), _) | (None, 0 | 130) => {}
            (Some(signal), _) => repl.complain(&format!("ended by signal {signal}")),
            (None, code) => repl.say(&format!("exit status {code}")),
        },
        Err(error) => repl.complain(&error.to_string()),
    }
}

/// The status of an input that went wrong, for input from a pipe.
pub(super) fn status_of(stop: &Stop) -> u8 {
    match stop.status() {
        0 => FAILED,
        status => status,
    }
}
