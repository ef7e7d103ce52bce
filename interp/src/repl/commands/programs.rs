//! Programs that run from the prompt: `ns1! ip addr`, `h1 ping h2`, `:sh`, `:shell`.

use rhai::Scope;
use stdlib::lab::{NetNs, Place, process};

use crate::language::compile::parse;
use crate::language::engine::for_syntax;
use crate::repl::state::{Flow, State};

/// Runs the input if it is a program after the name of a namespace; none otherwise.
pub(super) fn run(state: &mut State, input: &str) -> Option<Flow> {
    if let Some((ns, command)) = bang(state, input) {
        return Some(in_terminal(state, &ns, command));
    }
    mininet_ping(state, input).or_else(|| mininet_program(state, input))
}

/// `ns1! ip addr`.
fn bang<'a>(state: &State, input: &'a str) -> Option<(NetNs, &'a str)> {
    let (name, command) = input.split_once('!')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if !is_name || command.starts_with('=') || command.trim().is_empty() {
        return None;
    }
    Some((state.namespace(name)?, command.trim()))
}

/// `h1 ping h2`, as in Mininet. It is never valid Rhai, so nothing collides.
fn mininet_ping(state: &mut State, input: &str) -> Option<Flow> {
    let words: Vec<&str> = input.split_whitespace().collect();
    let [from, "ping", to] = words.as_slice() else { return None };
    let from = held(state, from)?;
    let to = to.trim_matches('"');
    let target = match held(state, to) {
        Some(ns) => match address(&from, &ns) {
            Ok(addr) => addr,
            Err(error) => {
                state.complain(&format!("{} cannot ping {}: {error}", from.label(), ns.label()));
                return Some(Flow::Continue);
            }
        },
        None => to.to_owned(),
    };
    let outcome = state.session.interpreter.call("ping", (from, target));
    Some(state.finish(outcome))
}

/// `h1 iperf3 -c h2`, as in Mininet: the program runs in `h1` and gets the address of `h2`.
fn mininet_program(state: &mut State, input: &str) -> Option<Flow> {
    let (name, command) = input.split_once(' ')?;
    let ns = held(state, name)?;
    let program = command.split_whitespace().next()?;
    // `h1 in list` has the same form, and `for` is a valid name of a namespace.
    let is_script = parse(for_syntax().set_strict_variables(false), &Scope::new(), input).is_ok();
    if is_script || !program.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '.')) {
        return None;
    }
    let word = |word: &str| held(state, word).and_then(|to| address(&ns, &to).ok()).unwrap_or_else(|| word.to_owned());
    let words: Vec<String> =
        command.split(' ').enumerate().map(|(n, it)| if n == 0 { it.into() } else { word(it) }).collect();
    Some(in_terminal(state, &ns, &words.join(" ")))
}

/// The namespace that a variable holds; without such a variable, the namespace of that name.
fn held(state: &State, word: &str) -> Option<NetNs> {
    match state.session.variable(word) {
        Some(value) => value.read_lock::<NetNs>().map(|ns| ns.clone()),
        None => state.namespace(word).filter(|ns| !ns.is_root()),
    }
}

/// The address at which `from` reaches `to`.
fn address(from: &NetNs, to: &NetNs) -> Result<String, String> {
    let addresses = |ns: &NetNs| ns.addresses().map_err(|error| error.to_string());
    addresses(from)?.toward(&addresses(to)?).map(|addr| addr.to_string())
}

/// The way to run an input that failed as a script and begins with the name of a program.
pub(in crate::repl) fn hint(state: &State, input: &str) -> Option<String> {
    let (program, rest) = input.split_once(' ').unwrap_or((input, ""));
    let is_word = program.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let is_ours = state.session.variable(program).is_some()
        || state.session.interpreter.catalog.functions.iter().any(|function| function.name == program);
    if !is_word || is_ours || rest.trim_start().starts_with(['=', '(', '.', '+', '*', ';']) {
        return None;
    }
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).find(|directory| directory.join(program).is_file())?;
    let current = state.session.current();
    let ns = if current.is_root() { "host".into() } else { current.short() };
    Some(format!("`{ns}! {input}` runs the program `{program}` here"))
}

/// `:sh NS CMD`.
pub(super) fn sh(state: &mut State, args: &str) -> Flow {
    let (name, command) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    match state.namespace(name) {
        Some(_) if command.trim().is_empty() => {
            state.complain("`:sh` requires a command: `:sh NS CMD`");
            Flow::Continue
        }
        Some(ns) => in_terminal(state, &ns, command.trim()),
        None => {
            state.no_namespace(name);
            Flow::Continue
        }
    }
}

/// `:shell NS`.
pub(super) fn shell(state: &mut State, name: &str) -> Flow {
    let ns = if name.is_empty() { Some(state.session.current()) } else { state.namespace(name) };
    let Some(ns) = ns else {
        state.no_namespace(name);
        return Flow::Continue;
    };
    let shell = process::shell();
    state.say(&format!("{shell} in {}: `exit` or Ctrl-D returns", ns.label()));
    terminal(state, &ns, std::slice::from_ref(&shell));
    state.session.ran(&ns, &shell, false);
    Flow::Continue
}

fn in_terminal(state: &mut State, ns: &NetNs, command: &str) -> Flow {
    let succeeded = terminal(state, ns, &["sh".into(), "-c".into(), command.into()]);
    state.session.ran(ns, command, succeeded);
    Flow::Continue
}

/// Runs a program with the terminal. Returns whether it succeeded.
fn terminal(state: &mut State, ns: &NetNs, argv: &[String]) -> bool {
    let lab = state.session.interpreter.lab.clone();
    let ended = process::run_in_terminal(&lab, &Place::of(ns), &process::Command::of(argv));
    match &ended {
        Ok(ended) => match (ended.signal, ended.code) {
            // Ctrl-C is the user's wish; a shell reports it as 130.
            (Some(2), _) | (None, 0 | 130) => {}
            (Some(signal), _) => state.complain(&format!("ended by signal {signal}")),
            (None, code) => state.say(&format!("exit status {code}")),
        },
        Err(error) => state.complain(&error.to_string()),
    }
    ended.is_ok_and(|ended| ended.code == 0)
}
