//! `wait_listen`, `wait_output`, `wait_file`, `wait_link`, `wait_exit`, and the end of a program during a wait.

use crate::common::{passes, passes_for_all};

/// A server in Perl, which every Debian has: `server(namespace, options of IO::Socket::IP)`.
const SERVER: &str = r#"
    fn server(ns, options) {
        start(ns, ["perl", "-MIO::Socket::IP", "-e", `my $s = IO::Socket::IP->new(${options}) or die "$@"; sleep 60`])
    }
"#;

#[trial(perl, ss)]
fn a_listener_is_what_ss_shows() {
    passes_for_all(&format!(
        r#"{SERVER}
        let a = netns("a");
        up(a, "lo", "10.9.9.9/32");
        for sample in [
            ["tcp", 8080, "Listen => 1, LocalPort => 8080, LocalHost => '0.0.0.0'", "0.0.0.0:8080", "-Hltn"],
            ["tcp", 8081, "Listen => 1, LocalPort => 8081, LocalHost => '10.9.9.9'", "10.9.9.9:8081", "-Hltn"],
            ["tcp", 8082, "Listen => 1, LocalPort => 8082, LocalHost => '::1', GetAddrInfoFlags => 0", "[::1]:8082", "-Hltn"],
            ["udp", 53, "Proto => 'udp', LocalPort => 53, LocalHost => '0.0.0.0'", "0.0.0.0:53", "-Hlun"],
        ] {{
            let p = server(a, sample[2]);
            check wait_listen(a, sample[0], sample[1], #{{while_alive: p}}) == sample[3];
            check exec(a, ["ss", sample[4]]).stdout.contains(sample[3]);
        }}
        // Elsewhere nothing listens, and a port of one protocol is none of the other.
        check expect_error(|| wait_listen("tcp", 8080, #{{timeout: "20ms"}})).kind == "timeout";
        check expect_error(|| wait_listen(a, "udp", 8080, #{{timeout: "20ms"}})).kind == "timeout";
        // An address that has to be served.
        check wait_listen(a, "tcp", 8080, #{{addr: "10.9.9.9"}}) == "0.0.0.0:8080";
        let e = expect_error(|| wait_listen(a, "tcp", 8081, #{{addr: "10.9.9.8", timeout: "20ms"}}));
        check e.kind == "timeout" && e.message.contains("10.9.9.8:8081") && e.hint.contains("10.9.9.9:8081");
        within a {{ check wait_listen("tcp", 8080) == "0.0.0.0:8080"; }}
        "#
    ));
}

#[trial]
fn output_is_found_with_its_groups_wherever_it_was_written() {
    passes_for_all(
        r#"
        let p = start(["sh", "-c", "echo one; echo 'port 77' >&2; read x; echo never"]);
        check wait_output(p, "one") == ["one"];
        check wait_output(p, "port (\\d+)( tcp)?") == ["port 77", "77", ""];
        let p = start(["sh", "-c", "sleep 0.1; echo late; sleep 60"]);
        check wait_output(p, "^late$|^l(.)te\n") == ["late\n", "a"];
        let e = expect_error(|| wait_output(p, "never", #{timeout: "20ms"}));
        check e.kind == "timeout" && e.message.contains("its last line is: late") && e.stdout == "late\n";
        for bad in ["a(b", "[z-a]", "*"] {
            let e = expect_error(|| wait_output(p, bad));
            check e.kind == "usage" && e.message.contains(bad);
        }
        "#,
    );
}

#[trial]
fn a_file_is_seen_when_it_appears_and_what_is_there_instead() {
    passes(
        r#"
        let p = start(["sh", "-c", "sleep 0.1; mkdir -p /run/deep/er; echo x > /run/deep/er/file; sleep 60"]);
        check wait_file("/run/deep/er/file", #{while_alive: p}) == "/run/deep/er/file";
        check wait_file("/run/deep") == "/run/deep";
        let e = expect_error(|| wait_file("/run/deep/none", #{timeout: "20ms"}));
        check e.kind == "timeout" && e.object == "" && e.message.contains("its directory has er");
        let e = expect_error(|| wait_file("/run/none/x/y", #{timeout: "20ms"}));
        check e.message.contains("there is no directory `/run/none`");
        check expect_error(|| wait_file("/run/deep/er/file/x", #{timeout: "20ms"})).kind == "timeout";
        "#,
    );
}

#[trial(ip)]
fn a_link_that_a_program_makes_is_returned() {
    passes_for_all(
        r#"
        let a = netns("a");
        let p = start(a, ["sh", "-c", "sleep 0.1; ip link add v0 type veth peer name v1; sleep 0.1; ip link set v0 up; ip link set v1 up; sleep 60"]);
        let l = wait_link(a, "v0", #{while_alive: p});
        check l.kind == "veth" && l.ns == a;
        check wait_link(a, "v0", #{up: true}).carrier;
        check exec(a, "ip -br link show v0").stdout.contains("UP");
        let e = expect_error(|| wait_link(a, "none", #{timeout: "20ms"}));
        check e.kind == "timeout" && e.ns == "namespace `a`" && e.message.contains("there is lo, v1, v0");
        let e = expect_error(|| wait_link(a, "lo", #{up: true, timeout: "20ms"}));
        check e.message.contains("its state is DOWN");
        "#,
    );
}

#[trial]
fn the_end_of_the_program_is_an_error_with_its_last_lines() {
    passes(
        r#"
        fn dies() { start(["sh", "-c", "echo first; sleep 0.1; echo 'bind: no' >&2; exit 4"]) }
        let waits = [
            |p| wait_listen("tcp", 80, #{while_alive: p}),
            |p| wait_output(p, "never"),
            |p| wait_file("/run/never", #{while_alive: p}),
            |p| wait_link("never", #{while_alive: p}),
            |p| wait_exit(p),
            |p| wait_until(|| false, #{while_alive: p}),
        ];
        for wait in waits {
            let p = dies();
            let e = expect_error(|| wait.call(p));
            check e.kind == "ended" && e.message.contains("ended with status 4") && e.message.contains("bind: no");
            check e.stdout == "first\n" && e.stderr == "bind: no\n";
        }
        let p = start("sleep 60");
        kill(p, "KILL");
        check expect_error(|| wait_exit(p)).message.contains("was ended by signal 9");
        check expect_error(|| wait_file("/run/never", #{while_alive: start("true")})).message.contains("it has written nothing");
        // What the program did before its end counts.
        check wait_file("/run/done", #{while_alive: start("touch /run/done")}) == "/run/done";
        check wait_output(start("echo done"), "done") == ["done"];
        check wait_exit(start("echo done")).stdout == "done\n";
        check expect_error(|| wait_file("/run/never", #{while_alive: 3})).kind == "usage";
        "#,
    );
}
