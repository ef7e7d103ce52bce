//! Conventions that a machine can check: what a file begins with, how long it may be, which phrases it avoids.

use std::fs;
use std::path::PathBuf;

/// All Rust sources, by their path in the repository.
fn sources() -> Vec<(String, String)> {
    let root = crate::root();
    let all = ["interp", "stdlib", "tests"].into_iter().flat_map(|part| crate::files(&root.join(part), ".rs"));
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    let sources: Vec<_> = all.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect();
    assert!(sources.len() > 60, "{}", sources.len());
    sources
}

/// The lines of a source without its comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[trial(anywhere)]
fn every_file_begins_with_a_sentence_about_it() {
    for (name, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        if first == "#![doc = include_str!(\"../README.md\")]" {
            continue;
        }
        assert!(first.starts_with("//! ") && first.len() > 20, "{name}: {first}");
        let head: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        assert!(head.contains(['.', ':', '?']), "{name}: no sentence in {head:?}");
    }
}

#[trial(anywhere)]
fn only_bindings_and_interpreter_know_the_language() {
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("stdlib/src")) {
        if name.starts_with("stdlib/src/bindings/") {
            continue;
        }
        let user = code(&text).find(|line| line.contains("rhai::") || line.contains("use rhai"));
        assert_eq!(user, None, "{name}");
    }
}

#[trial(anywhere)]
fn only_the_console_writes_and_asks_what_the_terminal_can_do() {
    let calls =
        ["::stdout()", "::stderr()", "is_terminal()", "terminal_size::", "NO_COLOR", "print!(", "println!(", "\\x1b["];
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("interp/src/")) {
        let text = text.split("#[cfg(test)]").next().unwrap();
        let caller = code(text).find(|line| calls.iter().any(|call| line.contains(call)));
        let may = name.starts_with("interp/src/console/") || name.ends_with("/tests.rs");
        assert!(may || caller.is_none(), "{name}: {caller:?}");
    }
}

#[trial(anywhere)]
fn only_the_executor_enters_namespaces_and_makes_processes() {
    let calls = [
        "sched::clone",
        "sched::setns",
        "sched::unshare",
        "unistd::fork",
        "libc::fork",
        "libc::setns",
        "Command::new(",
        "pre_exec(",
    ];
    for (name, text) in sources() {
        let here = name.starts_with("stdlib/src/exec/") || !name.contains("/src/") || name.ends_with("/tests.rs");
        // Tests of a module, and benchmarks, may start what they compare with.
        let text = text.split("#[cfg(test)]").next().unwrap();
        let caller = code(text).find(|line| {
            calls.iter().any(|call| {
                let at = line.find(call);
                // A function of that name for scripts is no system call.
                at.is_some_and(|at| {
                    !line[..at].ends_with("fn ") && !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            })
        });
        assert!(here || caller.is_none(), "{name}: {caller:?}");
    }
}

#[trial(anywhere)]
fn unsafe_code_is_in_three_places() {
    for (name, text) in sources().into_iter().filter(|(name, _)| name.contains("/src/")) {
        let found = code(&text)
            .any(|line| line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"));
        // System calls; the child that becomes a program; and the allocator, a trait that is unsafe to implement.
        let places = ["sys.rs", "vfork/", "memory.rs"].map(|place| format!("stdlib/src/exec/{place}"));
        let may = places.iter().any(|place| name.starts_with(place));
        assert!(may || !found, "{name}");
    }
}

#[trial(anywhere)]
fn no_file_is_too_long_to_read() {
    // A flat list of rules with their outcomes is a table.
    const TABLES: [&str; 1] = ["tests/firewall/trials.rs"];
    for (name, text) in sources().into_iter().filter(|(name, _)| !TABLES.contains(&name.as_str())) {
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 400, "{name}: {lines} lines");
    }
}

#[trial(anywhere)]
fn nothing_names_a_machine() {
    let root = crate::root();
    let endings = [".rs", ".toml", ".md", ".rhai", "run", ".yml", ".txt"];
    let homes = [["/", "home/"].concat(), ["/", "tmp/c"].concat(), ["/", "work/"].concat()];
    for path in endings.iter().flat_map(|ending| crate::files(&root, ending)) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let line = text.lines().find(|line| homes.iter().any(|home| line.contains(home)));
        assert_eq!(line, None, "{}", path.display());
    }
}

#[trial(anywhere)]
fn every_allowance_has_a_reason() {
    for (name, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[allow(") || line.trim_start().starts_with("#![allow(") {
                let whole: String = text.lines().skip(at).take(8).collect();
                assert!(whole.split(")]").next().unwrap().contains("reason"), "{name}:{}", at + 1);
            }
        }
    }
}

/// Phrases that technical English has a better word for: the phrase, the word, and the files that may have it.
const PHRASES: &[(&str, &str, &[&str])] = &[
    ("folder", "directory", &[]),
    ("process number", "PID", &[]),
    ("kind of namespace", "namespace type", &[]),
    ("kinds of namespace", "namespace types", &[]),
    ("complaint", "ICMP error", &[]),
    ("twin", "equivalent command", &[]),
    ("anew", "again", &[]),
    ("what came of", "the result", &[]),
    ("sort of", "kind of", &[]),
    ("somebody", "the actor by name", &[]),
    ("whoever", "the actor by name", &[]),
    ("is no prefix", "is not a valid prefix", &[]),
    ("is no signal", "unknown signal", &[]),
    ("its number in", "interface index", &[]),
    ("doomed", "what it is", &[]),
];

#[trial(anywhere)]
fn no_phrase_is_used_that_has_a_better_word() {
    let root = crate::root();
    let texts = [".rs", ".md", ".rhai", ".txt"].iter().flat_map(|ending| crate::files(&root, ending));
    for path in texts.filter(|path| !path.ends_with("tests/tidy.rs")) {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for (phrase, better, exceptions) in PHRASES {
            let found = text.lines().enumerate().find(|(_, line)| has_words(line, phrase));
            if let Some((at, line)) = found.filter(|_| !exceptions.contains(&name.as_str())) {
                panic!("{name}:{}: `{phrase}`: write {better}\n{line}", at + 1);
            }
        }
    }
}

/// Whether a line has the phrase as whole words.
fn has_words(line: &str, phrase: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(phrase)
        .any(|(at, found)| outside(line[..at].chars().next_back()) && outside(line[at + found.len()..].chars().next()))
}
