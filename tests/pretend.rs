//! Pretended ids: changes to ids that the lab does not have are answered with success and change nothing.

use nix::libc;

use crate::common::{NOBODY, NSLAB, Shell};

/// Calls the system calls with these numbers, and prints what each answers, then the ids.
const CALLS: &str = r#"
    for my $call (@ARGV) {
        my @ids = $call == $ARGV[0] ? (1, pack("I", 7)) : (7, 7, 7);
        print syscall($call + 0, @ids) == 0 ? "ok " : $! + 0 . " ";
    }
    printf "%d %d %d", $<, $>, $(;
"#;

/// Runs a script in a lab that pretends, of this user and of one without privileges. `calls.pl` is there.
#[track_caller]
fn passes_pretending(script: &str) {
    for shell in [Shell::new(), Shell::new().user(NOBODY)] {
        shell.file("calls.pl", CALLS).script(script).args(["--ids", "pretend"]).run().success();
    }
}

#[trial(perl)]
fn calls_that_set_ids_succeed_and_change_nothing() {
    let numbers = [
        libc::SYS_setgroups,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
    ];
    let script = r#"
        let calls = "perl calls.pl NUMBERS";
        let kinds = [["mount"], ["pid", "mount"], ["user"], ["time"]];
        for box in [host(), netns()] + kinds.map(|kinds| unshare(kinds)) {
            check exec(box, calls).stdout == "ok ok ok ok ok ok ok ok ok 0 0 0";
            check wait(start(box, calls)).stdout == "ok ok ok ok ok ok ok ok ok 0 0 0";
            // EPERM and EINVAL. setfsuid(2) and setfsgid(2) report no error.
            check exec(box, calls, #{ids: "strict"}).stdout == "1 22 22 22 22 22 22 ok ok 0 0 0";
            check wait(start(box, calls, #{ids: "strict"})).stdout == "1 22 22 22 22 22 22 ok ok 0 0 0";
        }
        check expect_error(|| exec(calls, #{ids: "real"})).message.contains("\"strict\"");
    "#;
    passes_pretending(&script.replace("NUMBERS", &numbers.map(|number| number.to_string()).join(" ")));
}

#[trial]
fn a_change_of_the_owner_succeeds_and_changes_nothing() {
    passes_pretending(
        r#"
        let owner = || exec("stat -c %u:%g /run/file").stdout;
        check exec("touch /run/file").ok && exec("ln -s file /run/link").ok;
        for words in ["65534", "65534:7", ":7", "0:7", "-h 8:9"] {
            let change = "chown " + words + " /run/file /run/link";
            check exec(change).ok && owner.call() == "0:0\n";
            let r = exec(change, #{ids: "strict"});
            check r.code == 1 && r.stderr.contains("Invalid argument") && owner.call() == "0:0\n";
        }
        // The kernel answers what the lab may do.
        for options in [#{}, #{ids: "strict"}] {
            check exec("chown 0:0 /run/file", options).ok;
            check exec("chown 0:0 /run/nowhere", options).stderr.contains("No such file");
        }
        "#,
    );
}

/// As a daemon that gives up root: it opens its file first, or gives it to the other user.
#[trial(ip, ping, tcpdump, setpriv)]
fn programs_that_give_up_root_run() {
    passes_pretending(
        r#"
        let ns1 = netns("netns1");
        let pair = veth(ns1, "veth0", netns("netns2"), "veth0");
        up(pair.a, "10.0.0.1/24");
        up(pair.b, "10.0.0.2/24");
        let p = start(ns1, "tcpdump -i veth0 -Z nobody -U -w /run/file.pcap icmp");
        wait_until(|| p.stderr.contains("listening on"));
        check exec(ns1, "ping -c 1 10.0.0.2").ok;
        wait_until(|| exec("tcpdump -n -r /run/file.pcap").stdout.contains("echo reply"));
        wait(kill(p, "INT"));
        let strict = exec(ns1, "tcpdump -i veth0 -Z nobody -c 1 -w /run/other.pcap", #{ids: "strict"});
        check strict.code == 1 && strict.stderr.contains("Couldn't change");
        check exec("setpriv --reuid 102 --regid 103 --clear-groups id -u").stdout == "0\n";
        check !exec("setpriv --reuid 102 --regid 103 --clear-groups id -u", #{ids: "strict"}).ok;
        "#,
    );
}

#[trial]
fn programs_have_the_filter_once_in_a_lab_that_pretends() {
    let script = r#"
        fn filters(status) {
            let line = status.lines.filter(|line| line.starts_with("Seccomp_filters:"))[0];
            parse_int(line.split("\t")[1])
        }
        let more = parse_int(args()[0]);
        let status = "cat /proc/self/status";
        let nslab = filters(exec(["sh", "-c", "cat /proc/$PPID/status"]));
        // Once for each, however many programs the thread has started.
        for n in 0..3 { check filters(exec(status)) == nslab + more; }
        check filters(exec(status, #{ids: "strict"})) == nslab;
        check "NoNewPrivs:\t0" in exec(status).lines;
    "#;
    for (ids, more) in [("one", "0"), ("pretend", "1")] {
        for shell in [Shell::new(), Shell::new().user(NOBODY)] {
            shell.script(script).args(["--ids", ids, more]).run().success();
        }
    }
}

#[trial]
fn a_lab_in_the_lab_pretends_too() {
    let inner = r#"exec(["./inner", "--ids", "pretend", "-c", `exec("chown 7 /run").ok`])"#;
    let shell = Shell::new().user(NOBODY);
    std::fs::copy(NSLAB, shell.path().join("inner")).unwrap();
    shell.command(["--ids", "pretend", "-c", inner]).run().success().stdout("true\n");
}
