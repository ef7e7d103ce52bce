//! Every script below `scripts/` is a trial, as this user and as an unprivileged one; and the scripts keep their form.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::common::{LEFT, NOBODY, NSLAB, Need, Script, Shell, Trial, User, is_recorded, rhai_files};

mod holes;
mod session;

use holes::with_holes;

/// The text that the walkthrough prints, in `tests/golden`.
const RECORDED: &str = "walkthrough.txt";

/// Each script succeeds as each kind of user, and leaves `/etc`, `/var` and `/run` of the machine as they were; the
/// walkthrough has trials of its own.
#[trials]
fn all() -> Vec<Trial> {
    let scripts = Script::all().into_iter().filter(|script| script.name != "walkthrough");
    let each = scripts.flat_map(|script| User::ALL.map(|user| (script.clone(), user)));
    let trials = each.map(|(script, user)| {
        let suffix = match user {
            User::Root => "",
            User::One => " without privileges",
            User::Range => " with a range of ids",
        };
        let needs = [script.needs(), user.needs()].concat();
        Trial::new(format!("scripts::{}{suffix}", script.name), needs, move || {
            script.shell(&["run"]).on_a_machine(user).run().status(0);
        })
    });
    trials.collect()
}

/// What is written to the machine is found.
#[trial(root, unshare, mount, setpriv)]
fn what_a_run_leaves_on_the_machine_is_found() {
    for leak in ["/etc/leak", "/var/lib/leak", "/run/leak", "/etc/hosts"] {
        let write = format!(r#"exec(["sh", "-c", "echo >> {leak}"])"#);
        let shell = Shell::new().command(["--host", "-c", &write]).on_a_machine(User::Root);
        shell.run().status(LEFT).stderr_contains(leak.trim_start_matches('/'));
    }
}

/// Runs the walkthrough, which must print the recorded text.
#[track_caller]
fn walk(shell: Shell) {
    is_recorded(RECORDED, &with_holes(shell.run().status(0).text()));
}

#[trial(lo_alone, hostname)]
fn the_walkthrough() {
    walk(Script::walkthrough().shell(&["run"]));
}

#[trial(lo_alone, hostname)]
fn the_walkthrough_without_privileges() {
    walk(Script::walkthrough().shell(&["run"]).user(NOBODY));
}

#[trial(lo_alone, hostname)]
fn the_walkthrough_with_an_empty_environment() {
    walk(Script::walkthrough().shell(&["run"]).env_clear().env("PATH", ""));
    walk(Script::walkthrough().shell(&["run"]).env_clear().env("PATH", "").user(NOBODY));
}

/// The walkthrough works with `--host` as well, and the machine is as before.
#[trial(pretend_host, lo_alone, hostname)]
fn the_walkthrough_with_host() {
    crate::common::sh("ip link set lo down");
    walk(Script::walkthrough().shell(&["run", "--host"]));
    assert_eq!(crate::common::sh("ls -A /run; ip -o link | wc -l"), "1\n");
}

/// The walkthrough starts only the programs that it names, and starts each of them.
#[trial(lo_alone, hostname, strace)]
fn the_walkthrough_starts_only_what_it_names() {
    let script = Script::walkthrough();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("execve");
    let strace = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", log.to_str().unwrap()];
    script.shell(&["run"]).by(strace).run().status(0);
    let log = fs::read_to_string(log).unwrap();
    let calls = log.lines().filter(|line| line.contains("execve(") || line.contains("execveat("));
    let started: BTreeSet<&str> = calls.map(|line| line.split('"').nth(1).unwrap_or(line)).collect();
    let named = script.words().into_iter().filter(|word| word.starts_with('/'));
    assert_eq!(started, named.chain([NSLAB, "/proc/self/exe"]).collect());
}

/// A script opens with what it is, its goal, and a drawing.
#[trial(anywhere)]
fn headers() {
    for Script { name, text } in Script::all() {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let first = header.first().is_some_and(|line| line.starts_with("//! ") && line.ends_with('.'));
        assert!(first, "{name}: no first sentence");
        assert!(header.iter().any(|line| line.starts_with("//! Goal: ")), "{name}: no `Goal:`");
        assert!(header.iter().any(|line| line.starts_with("//!     ")), "{name}: no drawing (lines with four spaces)");
        let needs = text.lines().filter(|line| line.starts_with("//! needs:")).count();
        let at_the_end = header.last().is_some_and(|line| line.starts_with("//! needs:"));
        assert!(needs == 0 || needs == 1 && at_the_end, "{name}: `needs:` is not the last line of the header");
    }
}

/// A script names the tools that it starts.
#[trial(anywhere)]
fn needs_are_named() {
    for script in Script::all() {
        let needs = script.needs();
        let is_named = |need: &Need| match need {
            Need::Tool(tool, _) => needs.contains(need) || needs.iter().any(|need| need.is_file_called(tool)),
            _ => true,
        };
        let missing: Vec<_> = Need::of_script(&script.text).into_iter().filter(|need| !is_named(need)).collect();
        assert!(missing.is_empty(), "{}: {missing:?} is not in `//! needs:`", script.name);
    }
}

/// The table in `scripts/README.md` lists every script with its needs, and no other.
#[trial(anywhere)]
fn the_table_is_complete() {
    let readme = fs::read_to_string(crate::root().join("scripts/README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| [")).map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let path = cells[0].split_once("](").and_then(|(_, link)| link.strip_suffix(')'));
        (path.unwrap_or_else(|| panic!("no link in {row:?}")).to_owned(), cells.last().unwrap().to_string())
    });
    let rows: Vec<_> = rows.collect();
    let listed: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(listed.len(), rows.len(), "a script is listed twice");
    let there = rhai_files().into_iter().map(|path| {
        let script = Script::at(&path);
        let words: Vec<String> = script.words().iter().map(|word| format!("`{word}`")).collect();
        (path.display().to_string(), if words.is_empty() { "–".to_owned() } else { words.join(" ") })
    });
    assert_eq!(listed, there.collect());
}

/// `docs/programs.md` lists the scripts below "Real programs" in the table, and no other.
#[trial(anywhere)]
fn the_page_of_programs_is_complete() {
    let read = |name: &str| fs::read_to_string(crate::root().join(name)).unwrap();
    let (readme, page) = (read("scripts/README.md"), read("docs/programs.md"));
    let section = readme.split("## Real programs").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let links = |text: &str, before: &str| -> BTreeSet<String> {
        text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(".rhai)")?.0.to_owned())).collect()
    };
    let listed = links(section, "](scenarios/");
    assert!(!listed.is_empty());
    assert_eq!(listed, links(&page, "](../scripts/scenarios/"));
}
