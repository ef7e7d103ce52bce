//! Programs of the machine, run from the prompt: `ns1! ip addr`, `h1 ping h2`, `:sh`, `:shell`.

use stdlib::lab::{NetNs, Place, process};

use super::Flow;
use crate::repl::Repl;

/// Runs the input if it is a program after the name of a namespace.
pub(in crate::repl) fn run(repl: &mut Repl<'_>, input: &str) -> Option<Flow> {
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
    let is_script = crate::language::engine::for_syntax().set_strict_variables(false).compile(input).is_ok();
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
pub(in crate::repl) fn hint(repl: &Repl<'_>, input: &str) -> Option<String> {
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

/// `:sh NS CMD`.
pub(in crate::repl) fn sh(repl: &mut Repl<'_>, args: &str) -> Flow {
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

/// `:shell NS`.
pub(in crate::repl) fn shell(repl: &mut Repl<'_>, name: &str) -> Flow {
    let ns = if name.is_empty() { Some(repl.session.current()) } else { repl.namespace(name) };
    let Some(ns) = ns else {
        repl.no_namespace(name);
        return Flow::On;
    };
    let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    repl.say(&format!("{shell} in {}: `exit` or Ctrl-D comes back", ns.label()));
    terminal(repl, &ns, std::slice::from_ref(&shell));
    repl.session.ran(&ns, &shell, false);
    Flow::On
}

fn in_terminal(repl: &mut Repl<'_>, ns: &NetNs, command: &str) -> Flow {
    let succeeded = terminal(repl, ns, &["sh".into(), "-c".into(), command.into()]);
    repl.session.ran(ns, command, succeeded);
    Flow::On
}

/// Runs a program with the terminal; whether it ended well.
fn terminal(repl: &mut Repl<'_>, ns: &NetNs, argv: &[String]) -> bool {
    let lab = repl.session.interpreter.lab.clone();
    let ended = process::run_in_terminal(&lab, &Place::of(ns), argv);
    match &ended {
        Ok(ended) => match (ended.signal, ended.code) {
            // A Ctrl-C is what was asked for; a shell tells of it by 130.
            (Some(2), _) | (None, 0 | 130) => {}
            (Some(signal), _) => repl.complain(&format!("ended by signal {signal}")),
            (None, code) => repl.say(&format!("exit status {code}")),
        },
        Err(error) => repl.complain(&error.to_string()),
    }
    ended.is_ok_and(|ended| ended.code == 0)
}
