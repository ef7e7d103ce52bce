//! `exec`, `start`, `wait`, `kill`, `alive`.

use crate::common::{NOBODY, Shell, passes, passes_for_all};

#[trial]
fn words_are_split_as_a_shell_does_and_no_shell_runs() {
    passes_for_all(
        r#"
        check exec("echo 'a  b' \"c d\" e\\ f $HOME *").stdout == "a  b c d e f $HOME *\n";
        check exec(["printf", "%s|", "a b", "", "$x", "'q'"]).stdout == "a b||$x|'q'|";
        for bad in ["", "  ", "'open"] { check expect_error(|| exec(bad)).kind == "usage"; }
        check expect_error(|| exec([])).kind == "usage";
        let e = expect_error(|| exec("ip link | wc -l"));
        check e.kind == "usage" && e.hint.contains("\"sh\", \"-c\"");
        check exec("echo 'a|b'").stdout == "a|b\n";
        "#,
    );
}

#[trial]
fn exit_codes_and_signals() {
    passes_for_all(
        r#"
        check exec("true").ok && exec("true").code == 0 && exec("true").signal == ();
        check exec("false").code == 1 && !exec("false").ok;
        let r = exec(["sh", "-c", "echo out; echo err >&2; exit 7"]);
        check r.code == 7 && r.stdout == "out\n" && r.stderr == "err\n" && r.lines == ["out"] && r.time > 0.0;
        let r = exec(["sh", "-c", "kill -TERM $$"]);
        check r.signal == 15 && r.code == 143 && !r.ok;
        let r = exec(["sh", "-c", "kill -KILL $$"]);
        check r.signal == 9 && r.code == 137;
        "#,
    );
}

#[trial]
fn a_program_that_is_not_there_says_so() {
    passes(
        r#"
        let e = expect_error(|| exec("no-such-program -x"));
        check e.kind == "not_found" && e.errno == 2 && e.message.contains("`no-such-program`") && e.hint != "";
        let e = expect_error(|| start("/nowhere/at-all"));
        check e.kind == "not_found" && e.message.contains("/nowhere/at-all");
        let e = expect_error(|| exec("/etc/passwd"));
        check e.kind == "permission" && e.errno == 13;
        "#,
    );
}

#[trial(mount)]
fn a_program_is_looked_for_in_its_own_mounts_along_the_path() {
    let script = r##"
        let made = `mount -t tmpfs none /run
            mkdir /run/a /run/b /run/c /run/a/both && printf 'echo no' > /run/a/plain
            printf '#!/bin/sh\necho b' > /run/b/plain && printf '#!/bin/sh\necho b' > /run/b/both && chmod +x /run/b/*
            printf '#!/run/nowhere\n' > /run/c/stale && printf 'echo no' > /run/c/bare && chmod +x /run/c/*`;
        let box = unshare(["mount"]);
        check exec(box, ["sh", "-c", made]).ok;
        // In the lab's own mounts there is no such program.
        for program in ["/run/b/plain", "plain", "both"] { check expect_error(|| exec(program)).errno == 2; }
        check exec(box, "/run/b/plain").stdout == "b\n";
        // A file that cannot be executed and a directory do not end the search.
        check exec(box, "plain").stdout == "b\n" && exec(box, "both").stdout == "b\n";
        let e = expect_error(|| exec(box, "/run/a/plain"));
        check e.kind == "permission" && e.errno == 13;
        // The file is there, its interpreter is not; the file has no interpreter.
        let e = expect_error(|| exec(box, "stale"));
        check e.errno == 2 && e.object == "stale" && e.hint == "";
        check expect_error(|| exec(box, "bare")).errno == 8 && expect_error(|| exec(box, "/run/c/bare")).errno == 8;
        check expect_error(|| exec(box, "/run/b/plain/x")).errno == 20;
        check expect_error(|| exec(box, "no-such-program")).hint.contains("on the PATH");
    "##;
    let path = format!("/run/a:/run/b:/run/c:{}", std::env::var("PATH").unwrap());
    for shell in [Shell::new(), Shell::new().user(NOBODY)] {
        shell.script(script).env("PATH", &path).run().success();
    }
}

#[trial]
fn a_list_of_arguments_that_is_too_long_says_so() {
    passes(
        r#"
        let big = "x"; big.pad(300000, "x");
        let e = expect_error(|| exec(["echo", big]));
        check e.errno == 7 && e.op == "run" && e.object == "echo";
        "#,
    );
}

#[trial]
fn a_program_starts_with_default_signals_and_none_blocked() {
    passes_for_all(
        r#"
        for box in [host(), unshare(["mount"]), unshare(["user"]), unshare(["pid", "mount"])] {
            let status = exec(box, "cat /proc/self/status").lines;
            check "SigBlk:\t0000000000000000" in status && "SigCgt:\t0000000000000000" in status;
            // nslab itself ignores SIGPIPE.
            check exec(box, ["sh", "-c", "kill -PIPE $$"]).signal == 13;
        }
        "#,
    );
}

#[trial]
fn stdin_is_given_and_otherwise_empty() {
    passes(
        r#"
        check exec("cat", #{stdin: "hello"}).stdout == "hello";
        check exec("cat").stdout == "";
        check exec(["sh", "-c", "readlink /proc/self/fd/0"]).stdout == "/dev/null\n";
        let big = "x"; big.pad(3000000, "x");
        check exec("wc -c", #{stdin: big}).stdout == "3000000\n";
        // A program that does not read it is no error.
        check exec("true", #{stdin: big}).ok;
        "#,
    );
}

#[trial]
fn much_output_is_captured_whole() {
    passes_for_all(
        r#"
        let r = exec(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; head -c 2000000 /dev/zero | tr '\\0' y >&2"]);
        check r.stdout.len() == 3000000 && r.stderr.len() == 2000000;
        "#,
    );
}

#[trial]
fn of_an_output_beyond_the_limit_the_beginning_and_the_end_are_kept() {
    passes_for_all(
        r#"
        let much = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last";
        let r = exec(["sh", "-c", much + "; (" + much + ") >&2"]);
        for text in [r.stdout, r.stderr] {
            check text.starts_with("first\nxxx") && text.ends_with("xxx\nlast\n");
            check text.contains("xxx\n[… 3222796 bytes cut …]\nxxx");
        }
        check r.lines.len() == 5;
        let p = start(["sh", "-c", much]);
        let r = wait(p);
        check r.stdout == p.stdout && r.stdout.contains("\n[… 18951436 bytes cut …]\n");
        check r.stdout.starts_with("first\nxxx") && r.stdout.ends_with("xxx\nlast\n");
        "#,
    );
}

#[trial]
fn a_program_that_never_stops_writing_ends_at_the_deadline() {
    passes(
        r#"
        let e = expect_error(|| exec("yes", #{timeout: "500ms"}));
        check e.kind == "timeout" && e.stdout.starts_with("y\ny\n") && e.stdout.contains("bytes cut") && e.stderr == "";
        "#,
    );
}

#[trial]
fn a_timeout_carries_what_was_written_before_it() {
    passes(
        r#"
        let e = expect_error(|| exec(["sh", "-c", "echo out; echo err >&2; sleep 60"], #{timeout: "1s"}));
        check e.kind == "timeout" && e.stdout == "out\n" && e.stderr == "err\n";
        "#,
    );
}

#[trial(ps)]
fn a_captured_program_leads_a_session_that_ends_with_it() {
    passes_for_all(
        r#"
        let own = ["sh", "-c", "ps -o pid= -o pgid= -o sid= -p $$"];
        for box in [host(), unshare(["mount"]), unshare(["user"])] {
            let ids = exec(box, own).stdout.split();
            check ids.len == 3 && ids[0] == ids[1] && ids[0] == ids[2];
        }
        // A timeout ends the whole group, a signal the program alone.
        let e = expect_error(|| exec(["sh", "-c", "sleep 3603 & sleep 3604; true"], #{timeout: "200ms"}));
        check e.kind == "timeout";
        let p = start(["sh", "-c", "sleep 3605 & echo $!; exec sleep 3606"]);
        wait_until(|| p.stdout != "");
        check wait(kill(p)).signal == 15;
        wait_until(|| !bash(host(), "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout.contains("sleep 3604"));
        let left = bash(host(), "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout;
        check left.contains("sleep 3605") && !left.contains("sleep 3603") && !left.contains("sleep 3606");
        "#,
    );
}

#[trial(perl)]
fn a_program_that_leaves_its_process_group_is_killed_too() {
    passes(
        r#"
        let leave = "if (!($c = fork)) { setpgrp(0, 0); sleep 60; exit } 1 until setpgrp(0, $c); sleep 60";
        check expect_error(|| exec(["perl", "-e", leave], #{timeout: "1s"})).kind == "timeout";
        "#,
    );
}

/// A limit, or a container's seccomp filter, may refuse the system call.
#[trial(strace)]
fn a_refused_clone_is_an_error_and_leaves_no_process_behind() {
    let refused =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:error=EAGAIN:when=2+"];
    // Each thread is counted: the first call of the script's thread is not refused.
    let script = r#"
        check exec("true").ok;
        for f in [|| exec("sleep 60"), || start("sleep 60")] {
            let e = expect_error(f);
            check e.errno == 11 && e.op == "run" && e.object == "sleep" && e.hint.contains("limit");
        }
    "#;
    Shell::new().script(script).by(refused).run().success();
}

#[trial]
fn output_that_is_no_text_does_not_harm() {
    passes(
        r#"
        let r = exec(["printf", "\\377\\376a\\000b"]);
        check r.ok && r.stdout.contains("a");
        "#,
    );
}

#[trial]
fn a_timeout_ends_the_whole_process_group() {
    passes_for_all(
        r#"
        let e = expect_error(|| exec(["sh", "-c", "sleep 3601 & sleep 3602; true"], #{timeout: "200ms"}));
        check e.kind == "timeout" && e.message.contains("200ms") && e.hint.contains("start");
        wait_until(|| !bash(host(), "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout.contains("sleep 360"));
        "#,
    );
}

#[trial]
fn a_grandchild_that_keeps_the_pipe_is_not_waited_for() {
    passes_for_all(
        r#"
        let began = timestamp();
        let r = exec(["sh", "-c", "sleep 50 & echo done"]);
        check r.ok && r.stdout == "done\n";
        check began.elapsed < 20.0;
        "#,
    );
}

#[trial(ip)]
fn a_program_sees_its_namespace_and_no_descriptor_of_ours() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        veth("veth0", ns1, "veth1");
        check exec(ns1, "ip netns identify").lines == ["netns1"];
        check exec(ns1, "ls /sys/class/net").lines.filter(|name| name.contains("veth")) == ["veth1"];
        check exec("ls /sys/class/net").lines.filter(|name| name.contains("veth")) == ["veth0"];
        // 3 is the directory that ls reads.
        check exec("ls /proc/self/fd").lines == ["0", "1", "2", "3"];
        check exec(ns1, "ls /proc/self/fd").lines == ["0", "1", "2", "3"];
        let p = start(ns1, ["sh", "-c", "ls /proc/self/fd; sleep 60"]);
        wait_until(|| p.stdout == "0\n1\n2\n3\n");
        "#,
    );
}

#[trial(ip)]
fn start_returns_at_once_with_a_handle() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        check p.alive && alive(p) && p.code == () && p.command == "sleep 60";
        check same_ns(p.pid, ns1) && !same_ns(p.pid, 1);
        check exec("ip netns pids netns1").lines == [`${p.pid}`];
        check exec(["cat", `/proc/${p.pid}/comm`]).stdout == "sleep\n";
        let e = expect_error(|| wait(p, #{timeout: "20ms"}));
        check e.kind == "timeout" && alive(p) && e.hint.contains("kill");
        check kill(p).pid == p.pid;
        let r = wait(p);
        check r.signal == 15 && r.code == 143 && !alive(p) && !p.alive && p.code == 143;
        // A second time is no error: the process has ended.
        kill(p);
        kill(p, "KILL");
        check wait(p).signal == 15;
        check exec("ip netns pids netns1").stdout == "";
        "#,
    );
}

#[trial]
fn what_a_background_program_writes_is_kept() {
    passes(
        r#"
        let p = start(["sh", "-c", "echo one; echo two >&2; read x; echo three"]);
        let r = wait(p);
        check r.code == 0 && r.stdout == "one\nthree\n" && r.stderr == "two\n" && p.stdout == "one\nthree\n" && p.stderr == "two\n";
        // A pipe holds 64 KiB: nslab reads it and keeps the last MiB.
        let p = start(["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo end"]);
        check wait(p).code == 0;
        wait_until(|| p.stdout.ends_with("end\n"));
        check p.stdout.len() >= 1048576 && p.stdout.len() <= 2 * 1048576 + 8192;
        "#,
    );
}

#[trial]
fn signals_have_names() {
    passes(
        r#"
        for pair in [["TERM", 15], ["SIGKILL", 9], ["INT", 2], ["hup", 1], ["USR1", 10]] {
            let p = start("sleep 60");
            kill(p, pair[0]);
            check wait(p).signal == pair[1];
        }
        let p = start("sleep 60");
        let e = expect_error(|| kill(p, "NOPE"));
        check e.kind == "usage" && p.alive;
        let e = expect_error(|| kill(p.pid));
        check e.kind == "usage";
        // STOP and CONT: it goes on living.
        kill(p, "STOP");
        wait_until(|| exec(["cat", `/proc/${p.pid}/stat`]).stdout.contains(") T "));
        kill(p, "CONT");
        check p.alive;
        "#,
    );
}

#[trial]
fn zombies_do_not_stay() {
    passes(
        r#"
        for n in 0..50 { start("true"); }
        for n in 0..20 { exec(["sh", "-c", "(sleep 0.01 &) ; true"]); }
        wait_until(|| !bash(host(), "cat /proc/[0-9]*/stat").stdout.contains(") Z "), #{timeout: "10s"});
        "#,
    );
}

#[trial(setsid)]
fn everything_ends_with_the_script() {
    // `run` waits until no process with its tag is left.
    Shell::new()
        .script(
            r#"start("sleep 1000"); start(netns("a"), ["sh", "-c", "sleep 1001 & setsid sleep 1002 & sleep 1003"]);"#,
        )
        .run()
        .success();
}

#[trial]
fn output_prints_what_the_program_wrote() {
    Shell::new()
        .script(r#"print(exec(["sh", "-c", "echo a; echo b >&2"])); print(exec("true"));"#)
        .run()
        .success()
        .stdout("a\nb\n\n");
}
