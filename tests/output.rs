//! What reaches standard output and standard error: lost output, foreign text, what a script prints.

use crate::common::{NOBODY, Shell};

fn nslab(words: &[&str]) -> Shell {
    Shell::new().command(words.iter().copied())
}

/// Each way to write to standard output: arguments and standard input.
const WRITERS: [(&[&str], &str); 15] = [
    (&["--help"], ""),
    (&["--version"], ""),
    (&["run", "--help"], ""),
    (&["doctor"], ""),
    (&["reference"], ""),
    (&["gc"], ""),
    (&["-c", "1"], ""),
    (&["-c", "try { print(1); loop {} } catch { }"], ""),
    (&["run", "main.rhai"], ""),
    (&["run", "-i", "main.rhai"], ""),
    (&[], "1\nexit(7)"),
    (&[], "print(1)\nexit(7)"),
    (&[], ":help"),
    (&[], ":topo"),
    (&[], ":explain on\nlinks(); loop {}"),
];

/// Runs each writer, as root and unprivileged, below a shell that redirects its output.
fn every_writer(redirect: &str, status: i32, stderr: &str) {
    let users = if nix::unistd::geteuid().is_root() { &[None, Some(NOBODY)][..] } else { &[Some(NOBODY)] };
    for user in users {
        for (words, stdin) in WRITERS {
            if words == ["gc"] && user.is_some() {
                continue; // for root alone
            }
            let shell = Shell::new().file("main.rhai", "for n in 0..100000 { print(n); } exit(7);");
            let shell = shell.by(["sh", "-c", redirect]).command(words.iter().copied()).stdin(stdin);
            let shell = if let Some(user) = user { shell.user(*user) } else { shell };
            let outcome = shell.run();
            assert_eq!(outcome.errors(), stderr, "{words:?} {stdin:?} {user:?}");
            outcome.status(status);
        }
    }
}

#[trial]
fn output_that_cannot_be_written_is_an_error_of_its_own() {
    let message = "error: cannot write to standard output: No space left on device\n";
    every_writer("exec \"$0\" \"$@\" >/dev/full", 74, message);
    every_writer("exec \"$0\" \"$@\" >/dev/full 2>/dev/full", 74, "");
}

#[trial]
fn a_reader_that_closed_the_pipe_needs_no_message() {
    // A FIFO keeps its only reader open until it has a writer.
    let fifo = "d=$(mktemp -d) && mkfifo $d/f && exec 3<>$d/f 4>$d/f 3<&- && rm -r $d && exec \"$0\" \"$@\" >&4 4>&-";
    every_writer(fifo, 141, "");
    let head = Shell::new().script("for n in 0..100000 { print(n); } exit(7);");
    head.by(["sh", "-c", "\"$0\" \"$@\" | head -1"]).run().success().stdout("0\n");
}

#[trial]
fn a_lost_standard_error_spoils_only_a_success() {
    let lost = |words: &[&str]| nslab(words).by(["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"]).run();
    lost(&["-c", "1"]).status(0).stdout("1\n");
    lost(&["-c", "debug(1); 2"]).status(74).stdout("2\n");
    lost(&["-c", "check false"]).status(1);
    lost(&["frobnicate"]).status(2);
    lost(&["check", "nowhere.rhai"]).status(2);
}

/// Text from elsewhere reaches the terminal escaped, wherever nslab quotes it.
#[trial]
fn foreign_text_steers_no_terminal() {
    const FOREIGN: &str = "\u{1b}[31m\u{202e}\u{7}";
    for script in [
        "throw \"FOREIGN\";",
        "throw #{message: \"FOREIGN\", kind: \"own\", hint: \"FOREIGN\"};",
        "import \"FOREIGN\" as m;",
        "let m = #{}; m[\"FOREIGN\"].x;",
        "let m = #{}; m.get(\"FOREIGN\").x;",
        "Fn(\"FOREIGN\").call(1);",
        "open_netns(\"FOREIGN\");",
        "exec(\"FOREIGN\");",
        "/* FOREIGN */ frobnicate(); // FOREIGN",
        "let x = `FOREIGN",
        "FOREIGN",
        "check \"FOREIGN\" == 1;",
        "debug(\"FOREIGN\"); throw 1;",
        "fn f() { throw 1 } /* FOREIGN */ f();",
    ] {
        let script = script.replace("FOREIGN", FOREIGN);
        for name in ["main.rhai", &format!("{FOREIGN}.rhai")] {
            let outcome = Shell::new().file(name, &script).command(["run", name]).run();
            let errors = outcome.errors();
            assert!(errors.contains("\\u{1b}") || errors.contains("\\u{202e}"), "{script}: {errors}");
            assert!(!errors.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{script}: {errors:?}");
            outcome.status(if script.starts_with("check") { 1 } else { 2 });
        }
    }
    let nowhere = format!("{FOREIGN}.rhai");
    let option = format!("--{FOREIGN}");
    for words in [&["run", &nowhere][..], &["check", &nowhere], &[&option], &[FOREIGN]] {
        let outcome = nslab(words).run().status(2).stderr_contains("\\u{202e}");
        assert!(!outcome.errors().contains(['\u{1b}', '\u{202e}', '\u{7}']), "{words:?}: {:?}", outcome.errors());
    }
}

#[trial]
fn what_a_script_prints_goes_out_unchanged() {
    nslab(&["-c", "print(\"\\x1b[31m\")"]).run().success().stdout("\u{1b}[31m\n");
    nslab(&["-c", "\"\\x1b[31m\""]).run().success().stdout("\u{1b}[31m\n");
    // The value of an input is not printed but shown; the output of a program is the program's.
    nslab(&[]).stdin("\"\\x1b[31m\"").run().success().stdout("\\u{1b}[31m\n");
    nslab(&[]).stdin("exec([\"printf\", \"\\x1b[31m\"])").run().success().stdout("\u{1b}[31m\n");
}
