//! How programs are started: environment, directory, input, log, limits; and how whole trees of them end.

use crate::common::{passes, passes_for_all};

#[trial]
fn the_environment_is_what_the_options_say() {
    passes_for_all(
        r#"
        let env = #{LEVEL: 3, NAME: "a b'c\"d", ON: true, HOME: "/nowhere"};
        check exec(["printenv", "LEVEL", "NAME", "ON", "HOME"], #{env: env}).stdout == "3\na b'c\"d\ntrue\n/nowhere\n";
        check exec("env", #{clear_env: true, env: #{A: "b"}}).stdout == "A=b\n";
        check exec("env", #{clear_env: true}).stdout == "";
        check sh("echo $LEVEL", #{env: env}).stdout == "3\n";
        // An option beats what a lab gives.
        check exec(["printenv", "USER"]).stdout == "root\n" && exec(["printenv", "USER"], #{env: #{USER: "me"}}).stdout == "me\n";
        let p = start(["printenv", "LEVEL"], #{env: env, clear_env: true});
        check wait(p).stdout == "3\n" && p.lines == ["3"];
        for bad in [#{"A=B": 1}, #{"": 1}, #{A: "\x00"}, #{A: []}, 3, "A=b"] {
            check expect_error(|| exec("true", #{env: bad})).kind == "usage";
        }
        "#,
    );
}

#[trial]
fn the_working_directory_must_be_there_if_it_is_given() {
    passes_for_all(
        r#"
        check exec("pwd", #{cwd: "/usr/bin"}).stdout == "/usr/bin\n";
        check exec(netns("a"), "pwd", #{cwd: "/run/netns"}).stdout == "/run/netns\n";
        check wait(start("pwd", #{cwd: "/usr"})).stdout == "/usr\n";
        let e = expect_error(|| exec("pwd", #{cwd: "/nowhere"}));
        check e.kind == "not_found" && e.errno == 2 && e.op == "enter directory" && e.object == "/nowhere";
        check expect_error(|| start("pwd", #{cwd: "/etc/passwd"})).errno == 20;
        // A script that leaves it out runs where the script runs.
        check exec("pwd").stdout == exec(netns("b"), "pwd").stdout;
        "#,
    );
}

#[trial]
fn a_started_program_reads_its_input_and_its_output_is_logged() {
    passes_for_all(
        r#"
        let big = "x"; big.pad(300000, "x");
        let p = start("wc -c", #{stdin: big});
        check wait(p).stdout == "300000\n";
        check wait(start("cat", #{stdin: ""})).stdout == "" && wait(start("true", #{stdin: big})).code == 0;
        let p = start(["sh", "-c", "echo out; echo err >&2"], #{log: "/run/log"});
        check wait(p).stdout == "out\n" && p.stderr == "err\n";
        let text = read_file("/run/log");
        check text.contains("out\n") && text.contains("err\n") && text.len() == 8;
        wait(start("echo more", #{log: "/run/log"}));
        check read_file("/run/log").ends_with("more\n") && read_file("/run/log").len() == 13;
        let e = expect_error(|| start("true", #{log: "/run/none/log"}));
        check e.kind == "not_found" && e.op == "open log" && e.object == "/run/none/log";
        "#,
    );
}

#[trial]
fn limits_are_what_the_kernel_has() {
    passes_for_all(
        r#"
        let r = exec("cat /proc/self/limits", #{max_cpu: "7s", max_memory: "512m", max_files: 33});
        for wanted in [["Max cpu time", "7"], ["Max address space", "536870912"], ["Max open files", "33"]] {
            let line = r.lines.filter(|line| line.starts_with(wanted[0]))[0].split();
            check line[3] == wanted[1] || line[4] == wanted[1];
        }
        // They end what exceeds them, and are not those of the script.
        let r = exec(["sh", "-c", "while :; do :; done"], #{max_cpu: "1s"});
        check r.signal == 9 || r.signal == 24;
        check exec("true").ok;
        check expect_error(|| exec("true", #{max_files: 2000000000})).errno in [1, 22];
        for bad in [#{max_files: 2}, #{max_cpu: 3}, #{max_memory: "much"}, #{max_memory: -1}] {
            check expect_error(|| exec("true", bad)).kind == "usage";
        }
        "#,
    );
}

/// Daemons that are hard to find, each with children.
const STUBBORN: &str = r#"
    let kinds = #{
        group: "sleep 600 & sleep 600",
        session: "setsid sleep 600 & sleep 600",
        ignores: "trap '' TERM; sh -c 'trap \"\" TERM; sleep 600; sleep 600' & sleep 600; sleep 600",
        forks_twice: "(setsid sh -c 'sleep 600 & sleep 600' &) ; (setsid sleep 600 &); exit 0",
        cleared: "env -i sleep 600 & env -i sh -c 'sleep 600' & sleep 600",
    };
    fn sleepers() { sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout.split("sleep 600").len() - 1 }
"#;

#[trial(setsid)]
fn a_tree_is_stopped_whole() {
    passes_for_all(&format!(
        r#"{STUBBORN}
        for kind in kinds.keys() {{
            let p = start(["sh", "-c", kinds[kind]]);
            wait_until(|| sleepers() >= 2 || kind == "ignores" && sleepers() >= 1);
            stop(p, #{{grace: "100ms"}});
            check !p.alive && sleepers() == 0;
            stop(p); // once more changes nothing
        }}
        // What ends by itself gets its time, and its status is kept.
        let p = start(["sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.02; done"]);
        wait_output(p, "ready");
        stop(p);
        check p.code == 3 && p.stdout == "ready\nbye\n";
        // Others stay.
        let other = start("sleep 600");
        stop(start("sleep 60"));
        check other.alive;
        "#
    ));
}

#[trial(setsid)]
fn a_program_that_takes_too_long_ends_with_all_that_it_started() {
    passes_for_all(&format!(
        r#"{STUBBORN}
        for kind in ["group", "session", "ignores"] {{
            check expect_error(|| exec(["sh", "-c", kinds[kind]], #{{timeout: "200ms"}})).kind == "timeout";
            wait_until(|| sleepers() == 0);
        }}
        "#
    ));
}

#[trial]
fn many_starts_and_stops_leave_nothing() {
    passes(
        r#"
        fn descriptors() { sh("ls /proc/$PPID/fd | wc -l").stdout.parse_int() }
        fn running() { sh("cat /proc/[0-9]*/comm").lines.filter(|name| name == "sleep").len() }
        stop(start("sleep 60"));
        let before = descriptors();
        for n in 0..300 {
            let p = start("sleep 60");
            if n % 2 == 0 { stop(p); } else { wait(kill(p, "KILL")); }
        }
        check running() == 0;
        wait_until(|| descriptors() == before);
        "#,
    );
}

#[trial]
fn the_programs_of_one_namespace() {
    passes_for_all(
        r#"
        let a = netns("a"); let b = netns("b");
        let p = start(a, "sleep 60"); let q = start(b, "sleep 60"); let r = start("sleep 60");
        check processes().len == 3 && processes(a).len == 1 && processes(a)[0] == p && processes(host())[0] == r;
        stop(p);
        delete(a);
        check processes(netns("a")).len == 0;
        "#,
    );
}
