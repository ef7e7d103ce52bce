//! `nslab exec` typed into a shell with job control, on a pseudo-terminal.

use std::process::Command;

use crate::common::{NSLAB, Typed};

/// A shell in which `$N` is nslab. Words are typed with quotes inside, so that the echo of a line is not taken for its
/// output.
fn terminal() -> Typed {
    let mut command = Command::new("bash");
    command.args(["--norc", "-i"]).env("PS1", "$ ").env_remove("PROMPT_COMMAND").env("N", NSLAB);
    Typed::of(command, tempfile::tempdir().unwrap(), "$ ")
}

impl Typed {
    /// Waits for the text, then makes sure that the shell outside has its terminal again.
    #[track_caller]
    fn ends_with(mut self, text: &str) {
        self.expect(text);
        self.line("echo pid $((BASHPID == $$)) $(test -e /run/netns || echo out''side)");
        self.expect("pid 1");
        self.end();
    }
}

#[trial(bash, ip)]
fn the_shell_of_the_user_has_the_terminal_and_job_control() {
    let mut typed = terminal();
    typed.line("SHELL=$(command -v bash) $N exec; echo \"sta\"\"tus $?\"");
    typed.expect("bash in a private lab: `exit` or Ctrl-D ends it");
    typed.line("ip link show lo | wc -l; echo in''side $$");
    typed.expect("inside ");
    typed.line("echo wai''ting; sleep 1000");
    typed.expect("waiting");
    typed.control('z');
    typed.expect("Stopped");
    typed.line("kill %1; wait; echo wai''ting; sleep 1000; echo \"sle\"\"ep $?\"");
    typed.expect("waiting");
    typed.control('c');
    typed.line("exit 5");
    typed.ends_with("status 5");
}

#[trial(bash)]
fn ctrl_c_is_the_programs() {
    let mut typed = terminal();
    typed.line("$N exec sh -c 'echo o''n; sleep 1000'; echo \"sta\"\"tus $?\"").expect("on\r\n");
    typed.control('c');
    typed.expect("status 130");
    typed
        .line("$N exec bash -c 'trap \"echo cau\"\"ght; exit 9\" INT; echo rea\"\"dy; read x'; echo \"sta\"\"tus $?\"");
    typed.expect("ready");
    typed.control('c');
    typed.expect("caught");
    typed.ends_with("status 9");
}

#[trial(bash)]
fn ctrl_z_stops_the_program_and_fg_continues_it() {
    let mut typed = terminal();
    typed.line("$N exec sh -c 'echo rea\"\"dy; read x; echo got-$x'").expect("ready");
    typed.control('z');
    typed.expect("Stopped");
    typed.line("echo o''n; fg").expect("on\r\n");
    typed.line("word");
    typed.ends_with("got-word");
}

#[trial(bash)]
fn a_shell_that_is_suspended_gives_the_terminal_back() {
    let mut typed = terminal();
    typed.line("$N exec bash --norc").prompt("$ ");
    typed.line("suspend").expect("Stopped");
    typed.line("echo o''n; fg").expect("on\r\n");
    typed.prompt("$ ");
    typed.line("test $$ -lt 100 && echo in''side; exit").expect("inside");
    typed.ends_with("exit");
}

#[trial(bash, stty)]
fn a_new_size_of_the_terminal_is_signalled() {
    let mut typed = terminal();
    let script = "trap \"stty size; exit 3\" WINCH; stty rows 33 cols 44; while :; do :; done";
    typed.line(&format!("$N exec bash -c '{script}'; echo \"sta\"\"tus $?\"")).expect("33 44");
    typed.ends_with("status 3");
}

#[trial(bash)]
fn a_pager_behind_it_keeps_the_terminal() {
    let mut typed = terminal();
    typed.line("$N exec seq 3 | sh -c 'cat; echo rea\"\"dy; read x </dev/tty; echo got-$x'").expect("ready");
    typed.line("word");
    typed.ends_with("got-word");
}

#[trial(bash)]
fn in_the_background_it_leaves_the_terminal_alone() {
    let mut typed = terminal();
    typed.line("$N exec true & wait; echo \"sta\"\"tus $?\"");
    typed.ends_with("status 0");
}

/// Without job control outside, no shell takes the terminal back.
#[trial(bash)]
fn the_terminal_is_taken_from_a_shell_that_has_ended() {
    let mut typed = terminal();
    typed.line("sh -c '$N exec bash --norc; echo ou\"\"ter; read x; echo got-$x'").prompt("$ ");
    typed.line("exit").expect("outer");
    typed.line("word");
    typed.ends_with("got-word");
}
