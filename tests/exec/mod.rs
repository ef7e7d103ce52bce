//! `nslab exec`: a program in a lab gets the streams, the terminal, the signals and the arguments that it gets without nslab.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::common::{NOBODY, NSLAB, Shell, both, feed};

mod terminal;

/// `nslab exec WORDS`.
fn exec(words: &[&str]) -> Shell {
    Shell::new().command(["exec"]).args(words.iter().copied())
}

/// `nslab exec -- sh -c TEXT`.
fn sh(text: &str) -> Shell {
    exec(&["--", "sh", "-c", text])
}

#[trial]
fn the_status_is_that_of_the_program() {
    for (text, status) in
        [("true", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
    {
        sh(text).run().status(status).stdout("").stderr_is("");
    }
    sh("exit 7").user(NOBODY).run().status(7);
}

#[trial]
fn a_program_that_cannot_run_has_the_status_of_a_shell() {
    exec(&["nowhere"]).run().status(127).stderr_contains("error: run `nowhere`: No such file or directory");
    exec(&["./nowhere"]).run().status(127).stderr_contains("`./nowhere`");
    exec(&["./text"]).file("text", "exit 5").run().status(126).stderr_contains("Permission denied");
    exec(&["/"]).run().status(126);
}

#[trial]
fn a_script_without_a_first_line_is_one_of_the_shell() {
    let shell = exec(&["./script", "a b"]).file("script", "echo \"$1\"; exit 5");
    fs::set_permissions(shell.path().join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    shell.run().status(5).stdout("a b\n");
}

#[trial]
fn arguments_pass_as_they_are() {
    let words = ["printf", "[%s]", "", "a b", "-x", "--host", "--", "$HOME", "*"];
    exec(&words).run().success().stdout("[][a b][-x][--host][--][$HOME][*]");
    exec(&["--", "printf", "[%s]", "--summary"]).run().success().stdout("[--summary]");
    let bytes = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let output = Command::new(NSLAB).args(["exec", "printf", "%s"]).arg(bytes).stdin(Stdio::null()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"caf\xe9"[..]), "{}", both(&output));
}

#[trial]
fn the_standard_streams_are_those_of_nslab() {
    sh("cat; echo err >&2; echo out").stdin("in\n").run().status(0).stdout("in\nout\n").stderr_is("err\n");
    exec(&["cat"]).stdin(vec![0; 300_000]).run().success().stdout(&"\0".repeat(300_000));
    // What the program does not read is left for the next one.
    let rest = feed(Command::new("sh").args(["-c", "$0 exec sh -c 'read x; echo $x'; cat", NSLAB]), "1\n2\n");
    assert_eq!(String::from_utf8_lossy(&rest.stdout), "1\n2\n", "{}", both(&rest));
    let file = tempfile::tempdir().unwrap();
    let text = "$0 exec sh -c 'readlink /proc/self/fd/0 /proc/self/fd/1' <in >out; cat out";
    fs::write(file.path().join("in"), "").unwrap();
    let read = Command::new("sh").args(["-c", text, NSLAB]).current_dir(file.path()).output().unwrap();
    let path = file.path().display();
    assert_eq!(String::from_utf8_lossy(&read.stdout), format!("{path}/in\n{path}/out\n"), "{}", both(&read));
}

#[trial]
fn a_closed_stream_is_closed_for_the_program() {
    for (redirect, open) in [("<&-", "12"), (">&-", "02"), ("2>&-", "01"), ("", "012")] {
        let list = "for n in 0 1 2; do test -e /proc/$$/fd/$n && echo $n; done | tr -d '\\n'";
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("list.sh"), format!("({list}) >list\n")).unwrap();
        let text = format!("$0 exec sh list.sh {redirect}");
        let output = Command::new("sh").args(["-c", &text, NSLAB]).current_dir(directory.path()).output().unwrap();
        let list = fs::read_to_string(directory.path().join("list")).unwrap();
        assert_eq!(list, open, "{redirect}: {}", both(&output));
    }
}

#[trial(setsid)]
fn the_lab_ends_with_the_program() {
    // `finish` waits for every process of the run; none is left to print.
    sh("(sleep 1000; echo late) & setsid sleep 1000 & echo done").run().success().stdout("done\n");
    sh("trap '' HUP TERM INT; sleep 1000 & exit 3").run().status(3);
}

#[trial]
fn a_signal_to_nslab_reaches_the_program() {
    for (name, signal) in
        [("INT", Signal::SIGINT), ("TERM", Signal::SIGTERM), ("HUP", Signal::SIGHUP), ("USR1", Signal::SIGUSR1)]
    {
        let text = format!("trap 'echo {name}; exit 9' {name}; echo on; while :; do sleep 1000 & wait $!; done");
        sh(&text).start().wrote("on\n").signal(signal).finish().status(9).stdout(&format!("on\n{name}\n"));
    }
}

#[trial]
fn a_program_that_ignores_sigterm_ends_with_its_lab() {
    let run = sh("trap '' TERM; echo on; while :; do sleep 1000; done").start().wrote("on\n");
    run.signal(Signal::SIGTERM).finish().status(143);
    let run = sh("trap '' INT; echo on; read x; echo $x").stdin("word\n").start().wrote("on\n");
    run.signal(Signal::SIGINT).finish().status(0);
}

#[trial(setsid)]
fn a_signal_to_its_own_group_stays_in_the_lab() {
    let text = "trap 'echo caught; exit 9' TERM; kill 0; echo never";
    let outside = ["setsid", "--wait", "sh", "-c", r#""$0" "$@"; echo "outside: $?""#];
    exec(&["--", "sh", "-c", text]).by(outside).run().success().stdout("caught\noutside: 9\n");
}

#[trial(ip)]
fn the_summary_shows_what_the_lab_looked_like() {
    let text = "ip netns add h1 && ip link add eth0 type veth peer name eth1 netns h1 && ip link set eth0 up && \
                ip addr add 10.0.0.1/24 dev eth0 && echo out && exit 4";
    let run = exec(&["--summary", "--", "sh", "-c", text]).run().status(4).stdout("out\n");
    run.stderr_contains("host\n  lo ").stderr_contains("10.0.0.1/24").stderr_contains("── h1:eth1\nh1\n");
}

#[trial]
fn the_machines_namespaces_are_no_lab() {
    for words in [["--host", "exec", "true"], ["exec", "--host", "true"]] {
        Shell::new().command(words).run().status(2).stdout("").stderr_is(
            "error: `nslab exec` runs a program in a private lab; with `--host` there is none\n\
             hint: leave `--host` out, or run the program without nslab",
        );
    }
}

#[trial]
fn a_lab_in_a_lab_says_so() {
    let run = sh("/proc/$PPID/exe exec echo in").user(NOBODY).run().status(0).stdout("in\n");
    run.stderr_is("nslab: this lab is inside another lab\n");
}

#[trial]
fn system_programs_are_on_the_path_of_an_ordinary_user() {
    let run = sh("echo $PATH").user(NOBODY).env("PATH", "/usr/bin:/bin:/usr/sbin").run().success();
    run.stdout("/usr/bin:/bin:/usr/sbin:/usr/local/sbin:/usr/local/bin:/sbin\n");
}

#[trial]
fn the_working_directory_stays() {
    let root = Command::new("sh").args(["-c", "cd /run && $0 exec pwd -P", NSLAB]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&root.stdout), "/run\n", "{}", both(&root));
    exec(&["cat", "file"]).file("file", "text").run().success().stdout("text");
}

#[trial(anywhere)]
fn other_words_say_what_to_type() {
    let hint = |words: &[&str], hint: &str| {
        let shell = Shell::new().file("x.sh", "#!/bin/bash\n").file("y.sh", "true").file("z", "#!/usr/bin/env perl\n");
        let shell = shell.file("f.rhai", "").command(words.iter().copied());
        shell.run().status(2).stdout("").stderr_contains(&format!("hint: `nslab {hint}"));
    };
    hint(&["run", "x.sh"], "exec -- bash x.sh` runs it in a private lab\n");
    hint(&["run", "y.sh"], "exec -- sh y.sh` runs it");
    hint(&["run", "z"], "exec -- perl z` runs it");
    hint(&["x.sh"], "exec -- bash x.sh` runs the script in a private lab\n");
    hint(&["f.rhai"], "run f.rhai` runs the script\n");
    hint(&["sh", "-c", "true"], "exec -- sh …` runs the program in a private lab\n");
}

/// The same script on a machine of its own and in labs: what it prints, and its status. Labs run at the same time, with
/// equal names.
#[trial(pretend_host, bash, awk, ip, ping, sysctl)]
fn a_script_for_ip_netns_does_what_it_does_on_a_machine() {
    const SCRIPT: &str = include_str!("lan.sh");
    let state = || {
        let sh = |text| both(&Command::new("sh").args(["-c", text]).output().unwrap());
        sh("ip -br link; ip netns list; ls -R /run; cat /proc/self/mountinfo")
    };
    let start = || {
        let shell = Shell::new().file("lan.sh", SCRIPT).stdin("a b\nc\n");
        shell.command(["exec", "--", "bash", "lan.sh", "x", "y z"])
    };
    let before = state();
    let labs: Vec<_> = [start(), start().user(NOBODY), start()].into_iter().map(Shell::start).collect();
    let labs: Vec<_> = labs.into_iter().map(|lab| lab.finish().status(7)).collect();
    assert_eq!(state(), before);

    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lan.sh"), SCRIPT).unwrap();
    let mut machine = Command::new("bash");
    machine.args(["lan.sh", "x", "y z"]).current_dir(directory.path());
    let machine = feed(&mut machine, "a b\nc\n");
    assert_eq!(machine.status.code(), Some(7), "{}", both(&machine));
    let (stdout, stderr) = (String::from_utf8(machine.stdout).unwrap(), String::from_utf8(machine.stderr).unwrap());
    assert!(stdout.contains("asked two, answered TWO") && stdout.contains("left: 0 namespaces"), "{stdout}");
    for lab in labs {
        lab.stdout(&stdout).stderr_is(&stderr);
    }
}
