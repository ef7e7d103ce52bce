//! Which ids a lab has, and how it gets them.

use nix::unistd::geteuid;

use crate::common::{NOBODY, Shell};

/// Runs `nslab` as `nobody`, with these texts as `/etc/subuid` and `/etc/subgid` of a mount namespace of its own.
fn with_ranges(subuid: &str, subgid: &str) -> Shell {
    let program = Shell::new().user(NOBODY);
    let shell = Shell::new().file("subuid", subuid).file("subgid", subgid);
    let reachable = shell.path().join("program");
    std::fs::copy(program.program(), &reachable).unwrap();
    let script = format!(
        "mount --bind subuid /etc/subuid && mount --bind subgid /etc/subgid && shift && \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups ./program \"$@\""
    );
    shell.by(["unshare", "--mount", "sh", "-c", &script, "sh"])
}

const RANGE: &str = "other:1:1\nnobody:100000:65536\n";

#[trial(root, unshare, mount, setpriv, newuidmap)]
fn a_user_with_a_range_has_many_ids() {
    let script = r#"
        check exec("id -u").stdout == "0\n";
        check exec("touch /run/file").ok && exec("chown 7:8 /run/file").ok;
        check exec("stat -c %u:%g /run/file").stdout == "7:8\n";
        check exec("setpriv --reuid 102 --regid 103 --clear-groups id -u").stdout == "102\n";
        check exec(unshare(["user"]), "cat /proc/self/gid_map").stdout.contains("65536");
        print(exec("cat /proc/self/uid_map").stdout.split("\n").map(|l| l.split(" ").filter(|w| w != "")));
    "#;
    for options in [&[][..], &["--ids", "range"]] {
        let shell = with_ranges(RANGE, RANGE).file("main.rhai", script);
        let words = options.iter().copied().chain(["run", "main.rhai"]);
        shell.command(words).run().success().stdout_contains(r#"["0", "0", "1"], ["1", "1", "65536"]"#);
    }
    let doctor = with_ranges(RANGE, RANGE).command(["doctor"]).run().success();
    doctor.stdout_contains("ids        65537 ").stdout_contains("and your subordinate ids from 1 on");
    // A lab in the lab has the same ids.
    let nested = r#"exec(["./program", "-c", "exec(`cat /proc/self/uid_map`)"])"#;
    with_ranges(RANGE, RANGE).command(["-c", nested]).run().success().stdout_contains("65536");
}

#[trial(root, unshare, mount, setpriv, newuidmap)]
fn a_range_that_cannot_be_mapped_leaves_one_id() {
    let one = "         0          0          1\n";
    // Half a range; and one that `newuidmap` refuses, since it covers the user's own id.
    for (subuid, subgid, why) in
        [(RANGE, "", "`/etc/subgid` has no line for `nobody`"), ("nobody:65534:1\n", RANGE, "map subordinate ids by `")]
    {
        let shell = || with_ranges(subuid, subgid);
        shell().command(["-c", r#"exec("cat /proc/self/uid_map")"#]).run().success().stdout(one);
        shell().command(["--ids", "range", "-c", "1"]).run().status(3).stderr_contains(why).stderr_contains("hint: ");
        shell().command(["doctor"]).run().success().stdout_contains("for more").stdout_contains("ids        1 ");
    }
}

#[trial]
fn one_id_is_the_users_own() {
    let read = r#"exec("cat /proc/self/uid_map /proc/self/gid_map")"#;
    let one = "         0          0          1\n";
    for ids in ["one", "pretend"] {
        for shell in [Shell::new(), Shell::new().user(NOBODY)] {
            shell.command(["--ids", ids, "-c", read]).run().success().stdout(&one.repeat(2));
        }
    }
    // Root with one id is the machine's root still.
    if geteuid().is_root() {
        let write = r#"exec(["sh", "-c", ": >> /proc/sys/kernel/panic"]).stderr"#;
        Shell::new().command(["--ids", "one", "-c", write]).run().success().stdout_contains("Read-only file system");
        Shell::new().command(["-c", read]).run().success().stdout_contains("4294967295");
    }
}

#[trial]
fn the_environment_says_root() {
    let script = r#"exec(["sh", "-c", "echo $USER $LOGNAME $HOME"])"#;
    let shell = || Shell::new().user(NOBODY).env_clear().env("HOME", "/").command(["-c", script]);
    for shell in [shell(), shell().env("USER", "ann").env("LOGNAME", "ann")] {
        shell.run().success().stdout("root root /\n");
    }
}

#[trial(root, newuidmap)]
fn without_a_range_doctor_says_how_to_get_one() {
    let doctor = Shell::new().user(NOBODY).command(["doctor"]).run().success();
    doctor.stdout_contains("for more").stdout_contains("usermod --add-subuids");
}

#[trial(anywhere)]
fn the_machine_has_its_ids() {
    let usage = Shell::new().command(["--host", "--ids", "one", "-c", "1"]).run().status(2);
    usage.stderr_contains("--ids");
}
