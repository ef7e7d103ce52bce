//! Kept labs at a terminal.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Owner;
use crate::common::{NSLAB, TAG, Typed, stdout, tagged, wait_for};

/// A REPL on a terminal, whose processes have this tag.
fn typed(tag: &str, words: &[&str]) -> Typed {
    let mut command = Command::new(NSLAB);
    command.args(words).env(TAG, tag);
    Typed::of(command, tempfile::tempdir().unwrap(), "nslab> ")
}

/// Kills the front of [`typed`].
fn kill_front(tag: &str) {
    let is_front = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "nslab\n");
    let front = tagged(tag).into_iter().find(is_front).expect("a front");
    kill(Pid::from_raw(front), Signal::SIGKILL).unwrap();
}

#[trial]
fn two_attached_repls_see_each_others_changes() {
    let owner = Owner::new("two", None);
    owner.keep();
    let attached = |tag| typed(&format!("{tag}-{}", owner.name), &["attach", &owner.name]);
    let (mut first, mut second) = (attached("first"), attached("second"));
    first.line("let b = netns(\"b\")").prompt("nslab> ");
    second.line("let cable = veth(\"v0\", open_netns(\"b\"), \"v1\")").prompt("nslab> ");
    first.shows("links(b).map(|l| l.name)", "v1");
    second.line("delete(open_netns(\"b\"))").prompt("nslab> ");
    first.shows("netns_list().len", "1");
    // SIGKILL of one changes nothing for the lab and the other.
    let interpreters = || children_in(&owner);
    let before = interpreters().len();
    second.shows("let c = netns(\"c\"); 40 + 2", "42");
    kill_front(&format!("second-{}", owner.name));
    wait_for("the end of the killed REPL", || interpreters().len() == before - 1);
    first.shows("netns_list().len", "2");
    first.end();
    assert!(owner.keeper().is_some());
}

/// The interpreters of the lab.
fn children_in(owner: &Owner) -> Vec<String> {
    let list = stdout(&owner.output(&[
        "exec",
        "--lab",
        &owner.name,
        "--",
        "sh",
        "-c",
        "cat /proc/[0-9]*/comm 2>/dev/null; true",
    ]));
    list.lines().filter(|name| *name == "nslab-interp").map(str::to_owned).collect()
}

#[trial]
fn a_repl_keeps_its_lab_beyond_its_end_and_that_of_its_terminal() {
    let owner = Owner::new("typed", None);
    let keep = format!(":keep {}", owner.name);
    for end in ["ctrl-d", "hang-up", "kill"] {
        let mut repl = typed(&owner.name, &[]);
        repl.line("let a = netns(\"a\"); let nameless = netns(); let p = start(nameless, \"sleep 1000\");")
            .prompt("nslab> ");
        repl.line(&keep).expect("is kept until");
        repl.prompt("nslab> ");
        repl.shows(":keep again", "is kept as");
        let keeper = owner.keeper().expect("the lab is listed");
        match end {
            "ctrl-d" => drop(repl.end()),
            "hang-up" => drop(repl), // closes the terminal
            _ => {
                kill_front(&owner.name);
                drop(repl);
            }
        }
        wait_for("the end of the session", || {
            let stat = fs::read_to_string(format!("/proc/{keeper}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(3) == Some(&keeper.to_string()))
        });
        assert_eq!(owner.keeper(), Some(keeper), "{end}");
        assert_eq!(
            owner.attached(
                "netns_list().len + sh(\"cat /proc/[0-9]*/comm\").lines.filter(|name| name == \"sleep\").len"
            ),
            "2\n",
            "{end}"
        );
        owner.stop();
    }
}

#[trial]
fn an_attached_repl_ends_with_its_lab() {
    let owner = Owner::new("stopped", None);
    owner.keep();
    let mut repl = typed(&owner.name, &["attach", &owner.name]);
    repl.shows(":keep other", "only the session that has made a private lab can keep it");
    owner.stop();
    repl.expect(&format!("the lab `{}` has ended", owner.name));
    repl.pty.exp_eof().unwrap();
}
