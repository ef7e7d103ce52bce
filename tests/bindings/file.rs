//! `read_file`, `write_file`, `env`, `sh`.

use crate::common::passes_for_all;

#[trial]
fn a_file_is_what_programs_see() {
    passes_for_all(
        r##"
        let path = write_file("/run/a file", "one\ntwo \\n\t'\"ä");
        check path == "/run/a file";
        check exec(["cat", path]).stdout == "one\ntwo \\n\t'\"ä" && read_file(path) == exec(["cat", path]).stdout;
        write_file(path, "short");
        check exec(["cat", path]).stdout == "short";
        write_file(path, " and more", #{append: true});
        check read_file(path) == "short and more";
        write_file(path, "#!/bin/sh\necho ran\n", #{mode: "0700"});
        check exec(["stat", "-c", "%a", path]).stdout == "700\n" && exec([path]).stdout == "ran\n";
        check read_file("/proc/1/comm") == "nslab\n";
        check sh("printf '\\377' > /run/bytes").ok && read_file("/run/bytes") == "�";
        "##,
    );
}

#[trial]
fn what_is_no_file_is_an_error_that_names_it() {
    passes_for_all(
        r#"
        let e = expect_error(|| read_file("/run/none"));
        check e.kind == "not_found" && e.errno == 2 && e.object == "/run/none" && e.op == "read file";
        check expect_error(|| read_file("/run")).errno == 21;
        check expect_error(|| write_file("/run", "")).errno == 21;
        let e = expect_error(|| write_file("/run/none/x", ""));
        check e.kind == "not_found" && e.hint == "there is no directory `/run/none`";
        // Neither a reader nor a writer of a pipe is waited for.
        check exec("mkfifo /run/pipe").ok;
        check expect_error(|| read_file("/run/pipe")).message.contains("not a regular file");
        check expect_error(|| write_file("/run/pipe", "x")).op == "write file";
        for special in ["/dev/null", "/dev/zero"] { check expect_error(|| read_file(special)).message.contains("not a regular file"); }
        check exec("truncate -s 17M /run/large").ok;
        check expect_error(|| read_file("/run/large")).message.contains("16 MiB");
        for mode in ["8", "", "77777", "-1", "rwx"] { check expect_error(|| write_file("/run/x", "", #{mode: mode})).kind == "usage"; }
        check expect_error(|| read_file("/run/a\x00b")).kind != "";
        "#,
    );
}

#[trial]
fn a_variable_is_that_of_the_environment() {
    passes_for_all(
        r#"
        check env("PATH") + "\n" == exec(["printenv", "PATH"]).stdout;
        check env("NO_SUCH") == ();
        for bad in ["", "A=B", "A\x00B"] { check expect_error(|| env(bad)).kind == "usage"; }
        "#,
    );
}

#[trial]
fn a_shell_runs_the_line() {
    passes_for_all(
        r#"
        check sh("echo a | tr a b > /run/out; cat /run/out").stdout == "b\n";
        check sh("exit 7").code == 7 && sh("echo e >&2").stderr == "e\n";
        check sh("cat", #{stdin: "x"}).stdout == "x";
        check expect_error(|| sh("sleep 60 | sleep 60", #{timeout: "50ms"})).kind == "timeout";
        let a = netns("a");
        check sh(a, "cd /sys/class/net && echo *").stdout == "lo\n";
        "#,
    );
}
