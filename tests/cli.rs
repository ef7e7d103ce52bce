//! The command line: words, exit statuses, imports, limits, Ctrl-C.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::common::{NOBODY, Shell};

fn nslab(words: &[&str]) -> Shell {
    Shell::new().command(words.iter().copied())
}

#[trial(anywhere)]
fn the_version_and_the_help_need_no_lab() {
    nslab(&["--version"]).run().success().stdout(concat!("nslab ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = nslab(&["--help"]).run().success();
    for word in ["run", "exec", "check", "doctor", "reference", "gc", "-c", "--host", "Exit status"] {
        assert!(help.text().contains(word), "{word}");
    }
    nslab(&["run", "--help"]).run().success().stdout_contains("script");
}

#[trial(anywhere)]
fn a_word_that_is_none_is_a_usage_error() {
    nslab(&["frobnicate"]).run().status(2).stderr_contains("frobnicate");
    nslab(&["--frobnicate"]).run().status(2).stderr_contains("--frobnicate");
    nslab(&["run"]).run().status(2).stderr_contains("SCRIPT");
    nslab(&["-c"]).run().status(2);
}

#[trial]
fn an_expression_is_evaluated_and_printed() {
    nslab(&["-c", "40 + 2"]).run().success().stdout("42\n");
    nslab(&["-c", "\"text\""]).run().success().stdout("text\n");
    nslab(&["-c", "let x = 1;"]).run().success().stdout("");
    nslab(&["-c", "link(\"lo\").state"]).run().success().stdout("DOWN\n");
    nslab(&["-c", "[1, \"a\"]"]).run().success().stdout("[1, \"a\"]\n");
    nslab(&["-c", "40 + 2"]).user(NOBODY).run().success().stdout("42\n");
}

#[trial]
fn exit_statuses() {
    for (script, status) in [
        ("", 0),
        ("exit();", 0),
        ("exit(0);", 0),
        ("exit(7);", 7),
        ("exit(255);", 255),
        ("fn f() { exit(9); } f();", 9),
        ("try { exit(4); } catch { } print(\"on\");", 4),
        ("attempt(|| exit(5)); exit(6);", 5),
        ("within netns(\"a\") { exit(8); }", 8),
        ("check false;", 1),
        ("fn f() { check 1 == 2; } f();", 1),
        ("throw 1;", 2),
        ("let x = ;", 2),
        ("frobnicate();", 2),
        ("exit(256);", 2),
        ("exit(-1);", 2),
    ] {
        let outcome = Shell::new().script(script).run();
        outcome.status(status).stdout("");
    }
}

#[trial]
fn what_was_printed_before_an_error_is_there() {
    Shell::new().script("print(1); debug(2); print(3); check false;").run().status(1).stdout("1\n3\n");
}

#[trial]
fn a_script_from_standard_input() {
    nslab(&["run", "-"]).stdin("print(6 * 7);").run().success().stdout("42\n");
    nslab(&["run", "-", "a", "b"]).stdin("print(args());").run().success().stdout("[\"a\", \"b\"]\n");
    nslab(&["run", "-"]).stdin("frobnicate();").run().status(2).stderr_contains("<stdin>:1:1");
    nslab(&["run", "-"]).run().success().stdout("");
}

#[trial]
fn lines_from_a_pipe_are_a_session() {
    nslab(&[]).stdin("let x = 40\nx + 2\n").run().stdout_contains("42");
    nslab(&[]).stdin("").run().status(0);
    nslab(&[]).stdin("exit(3)\n").run().status(3);
}

#[trial]
fn a_script_that_cannot_be_read() {
    nslab(&["run", "nowhere.rhai"])
        .run()
        .status(2)
        .stderr_is("error: cannot read `nowhere.rhai`: No such file or directory\n");
    nslab(&["run", "."]).run().status(2).stderr_is("error: cannot read `.`: Is a directory\n");
    Shell::new()
        .file("latin.rhai", b"print(\"caf\xe9\");")
        .command(["run", "latin.rhai"])
        .run()
        .status(2)
        .stderr_is("error: cannot read `latin.rhai`: byte 11 is not UTF-8 text\n");
    nslab(&["run", "-"]).stdin(b"\xff").run().status(2).stderr_contains("standard input");
}

#[trial]
fn a_first_line_for_the_kernel_is_no_mistake() {
    Shell::new()
        .script("#!/usr/bin/env -S nslab run\nprint(1);\nfrobnicate();")
        .run()
        .status(2)
        .stderr_contains("main.rhai:3:1");
    Shell::new().script("#!/usr/bin/env -S nslab run").run().success();
}

#[trial]
fn other_line_ends_and_a_byte_order_mark() {
    Shell::new().script("print(1);\r\nprint(2);\r\n").run().success().stdout("1\n2\n");
    Shell::new().script("\u{feff}print(1);").run().success().stdout("1\n");
}

#[trial]
fn a_script_below_run_is_read_although_the_lab_has_a_run_of_its_own() {
    // A directory that every user may write into; without root /run itself is none.
    let directory = tempfile::Builder::new().prefix("nslab-test-").tempdir_in(if nix::unistd::geteuid().is_root() {
        "/run"
    } else {
        "/run/lock"
    });
    let directory = directory.unwrap();
    std::fs::write(directory.path().join("m.rhai"), "fn one() { 1 }").unwrap();
    let script = directory.path().join("main.rhai");
    std::fs::write(&script, "import \"m\" as m; print(m::one());").unwrap();
    nslab(&["run", script.to_str().unwrap()]).run().success().stdout("1\n");
}

#[trial(anywhere)]
fn check_looks_at_scripts_and_runs_nothing() {
    let shell =
        || Shell::new().file("good.rhai", "print(1); throw 2;").file("bad.rhai", "let x = ;").file("worse.rhai", "}");
    shell().command(["check", "good.rhai"]).run().success().stdout("");
    shell().command(["check", "bad.rhai"]).run().status(2).stdout("").stderr_contains("bad.rhai:1:9");
    let both = shell().command(["check", "good.rhai", "bad.rhai", "worse.rhai", "nowhere.rhai"]).run().status(2);
    both.stderr_contains("bad.rhai:1:9").stderr_contains("worse.rhai:1:1").stderr_contains("`nowhere.rhai`");
    let escape = shell().file("escape.rhai", "let x = 1;\nprint(`é ${x}\\n`);").command(["check", "escape.rhai"]).run();
    escape.status(0).stdout("").stderr_contains("warning: escape.rhai:2:14: `\\n` between backticks");
    shell().file("own.rhai", "within netns(\"a\") { check true; }").command(["check", "own.rhai"]).run().success();
}

#[trial]
fn imports() {
    let shell = || {
        Shell::new()
            .file("lib/a.rhai", "import \"b\" as b; fn name() { \"a\" } fn other() { b::name() } export const X = 5;")
            .file("lib/b.rhai", "fn name() { \"b\" }")
            .file("lib/deep/c.rhai", "import \"../b\" as b; fn other() { b::name() }")
            .file("round.rhai", "import \"trip\" as t;")
            .file("trip.rhai", "import \"round\" as r;")
            .file("self.rhai", "import \"self\" as s;")
    };
    shell().script("import \"lib/a\" as a; print(a::name() + a::other() + a::X);").run().success().stdout("ab5\n");
    shell().script("import \"lib/a.rhai\" as a; print(a::name());").run().success().stdout("a\n");
    shell().script("import \"lib/deep/c\" as c; print(c::other());").run().success().stdout("b\n");
    shell().script("import \"lib/../lib/b\" as b; print(b::name());").run().success().stdout("b\n");
    shell()
        .script("import \"std/topo\" as topo; print(topo::lan([\"x\"], \"10.0.0\").nodes.len());")
        .run()
        .success()
        .stdout("1\n");
    for (path, why) in [
        ("round", "imports itself"),
        ("self", "imports itself"),
        ("../elsewhere", "below the script's directory"),
        ("lib/../../elsewhere", "below the script's directory"),
        ("/etc/passwd", "below the script's directory"),
        ("nowhere", "there is no `nowhere.rhai`"),
        ("", "there is no"),
        ("lib", "there is no `lib.rhai`"),
    ] {
        shell().script(&format!("import \"{path}\" as m;")).run().status(2).stderr_contains(why);
    }
}

#[trial]
fn no_link_leads_an_import_out_of_the_directory() {
    let outside = Shell::new().file("secret.rhai", "fn f() { 1 }");
    let shell = Shell::new().script("import \"link\" as m;");
    std::os::unix::fs::symlink(outside.path().join("secret.rhai"), shell.path().join("link.rhai")).unwrap();
    shell.run().status(2).stderr_contains("there is no `link.rhai`");
}

#[trial]
fn an_import_that_is_many_deep_ends_with_an_error() {
    let mut shell = Shell::new().script("import \"m0\" as m;");
    for n in 0..40 {
        shell = shell.file(&format!("m{n}.rhai"), format!("import \"m{}\" as m;", n + 1));
    }
    shell.file("m40.rhai", "").run().status(2).stderr_contains("deeper than 16");
}

/// Each of these is an error with a line, not the end of the interpreter.
#[trial]
fn limits_are_errors() {
    let nested = |open: &str, close: &str| format!("let x = {}1{};", open.repeat(2_000), close.repeat(2_000));
    let many_functions: String = (0..20_000).fold(String::new(), |text, n| text + format!("fn f{n}() {{}}\n").as_str());
    for script in [
        "fn f(n) { f(n + 1) } f(0);".to_owned(),
        "let f = |g, n| g.call(g, n + 1); f.call(f, 0);".into(),
        "fn f(n) { within host() { check f(n + 1) == 1; } } f(0);".into(),
        "fn f(n) { attempt(|| f(n + 1)).value.x } f(0);".into(),
        nested("(", ")"),
        nested("[", "]"),
        nested("#{a: ", "}"),
        nested("-", ""),
        format!("{}{}", "if true { ".repeat(2_000), "}".repeat(2_000)),
        many_functions,
        "eval(\"1\");".into(),
        "9223372036854775807 + 1;".into(),
        "let x = 1 << 100; let y = 2 ** 1000; -9223372036854775808 / -1; throw 1".into(),
    ] {
        let outcome = Shell::new().script(&script).run();
        let shown: String = script.chars().take(60).collect();
        let errors = outcome.errors();
        assert!(errors.starts_with("error: ") && errors.contains("main.rhai:"), "{shown}: {errors}");
        outcome.status(2);
    }
}

#[trial]
fn ctrl_c_ends_whatever_it_does() {
    for script in [
        "print(\"on\"); loop { }",
        "print(\"on\"); sleep(60);",
        "print(\"on\"); sleep(\"60s\");",
        "up(veth(\"a\", \"b\").a, \"10.0.0.1/24\"); up(\"b\"); print(\"on\"); ping(\"10.0.0.2\", #{timeout: \"1h\"});",
        "up(\"lo\"); print(\"on\"); ping(\"127.0.0.1\", #{count: 10000, interval: \"1s\"});",
        "print(\"on\"); exec(\"sleep 60\");",
        "print(\"on\"); exec([\"sh\", \"-c\", \"trap '' INT TERM; sleep 61 & sleep 62; sleep 63\"]);",
        "let p = start(\"sleep 60\"); print(\"on\"); wait(p, #{timeout: \"1h\"});",
        "print(\"on\"); wait_until(|| false, #{timeout: \"1h\"});",
        "print(\"on\"); wait_gone(\"lo\", #{timeout: \"1h\"});",
        "print(\"on\"); try { loop { } } catch { } print(\"never\");",
        "print(\"on\"); loop { attempt(|| sleep(\"60s\")); }",
        "print(\"on\"); within netns(\"a\") { exec(unshare([\"pid\", \"mount\"]), \"sleep 60\"); }",
        "let l = []; l.pad(10000, 1); print(\"on\"); loop { l.sort(|a, b| a - b); }",
    ] {
        // What it started is gone as well: `finish` waits for that.
        Shell::new().script(script).start().wrote("on\n").signal(Signal::SIGINT).finish().status(130).stdout("on\n");
    }
}

#[trial]
fn ctrl_c_as_an_ordinary_user() {
    let script = "print(\"on\"); exec(netns(\"a\"), \"sleep 60\");";
    Shell::new().script(script).user(NOBODY).start().wrote("on\n").signal(Signal::SIGINT).finish().status(130);
}

#[trial]
fn other_signals_end_it_and_the_shell_is_told_which() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let running = Shell::new().script("start(\"sleep 60\"); print(\"on\"); loop { }").start().wrote("on\n");
        running.signal(signal).finish().status(128 + signal as i32);
    }
}

#[trial(setsid)]
fn a_kill_leaves_nothing() {
    for user in [None, Some(NOBODY)] {
        let shell = Shell::new()
            .script("start(netns(\"a\"), \"sleep 60\"); exec(\"sh -c 'setsid sleep 61 &'\"); print(\"on\"); loop { }");
        let shell = if let Some(user) = user { shell.user(user) } else { shell };
        shell.start().wrote("on\n").signal(Signal::SIGKILL).finish().status(1000 + Signal::SIGKILL as i32);
    }
}

#[trial]
fn host_mode_is_for_root() {
    if nix::unistd::geteuid().is_root() {
        nslab(&["--host", "-c", "1"]).user(NOBODY).run().status(3).stderr_contains("needs root");
    } else {
        nslab(&["--host", "-c", "1"]).run().status(3).stderr_contains("needs root");
    }
}

#[trial]
fn doctor_says_what_there_is() {
    for shell in [nslab(&["doctor"]), nslab(&["doctor"]).user(NOBODY)] {
        let output = shell.run().success();
        output
            .stdout_contains("kernel")
            .stdout_contains("bridge     vlan_filtering ")
            .stdout_contains("classifier u32 ");
    }
    // A device file that this user may not open is not a missing driver.
    if let Ok(tun) = fs::metadata("/dev/net/tun")
        && tun.permissions().mode() & 0o006 == 0
    {
        let output = nslab(&["doctor"]).user(NOBODY).run().success();
        output.stdout_contains("unusable (CONFIG_TUN): this user may not open /dev/net/tun");
    }
}

#[trial]
fn an_empty_path_harms_only_exec() {
    let shell = || Shell::new().env("PATH", "");
    shell().script("up(\"lo\"); check ping(\"127.0.0.1\").ok;").run().success();
    shell().script("exec(\"true\");").run().status(2).stderr_contains("PATH is empty");
    shell().script("check exec(\"/bin/true\").ok;").run().success();
}

#[trial]
fn what_was_left_open_is_not_passed_on() {
    // Descriptor 9 of the caller; 3 is the directory that ls reads.
    let nslab = env!("CARGO_BIN_EXE_nslab");
    let script = format!("exec 9</dev/null; {nslab} -c 'exec(\"ls /proc/self/fd\").lines'");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[\"0\", \"1\", \"2\", \"3\"]\n");
}

#[trial]
fn without_standard_streams_it_still_works() {
    let nslab = env!("CARGO_BIN_EXE_nslab");
    let script = format!("{nslab} -c 'exec(\"true\"); ping(\"127.0.0.1\"); exit(7)' <&- >&- 2>&-");
    let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
    assert_eq!(status.code(), Some(7));
}
