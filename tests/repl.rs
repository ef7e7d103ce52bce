//! The REPL as a person uses it: the real binary on a pseudo-terminal.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::common::{NSLAB, Shell, Typed};

#[trial]
fn lines_remember_each_other() {
    let mut repl = Typed::start(&[]);
    repl.line("let ns1 = netns(\"netns1\")").prompt("nslab> ");
    repl.line("fn twice(x) { x * 2 }").prompt("nslab> ");
    repl.shows("twice(21)", "42");
    repl.shows("it + 1", "43");
    repl.line("fn twice(x) { x * 3 }").prompt("nslab> ");
    repl.shows("twice(10)", "30");
    repl.line("import \"std/topo\" as topo").prompt("nslab> ");
    repl.shows("topo::lan([\"a\", \"b\"], \"10.0.0\").nodes.len()", "2");
    repl.shows("nobody", "no variable `nobody`");
    repl.shows("ns1.name", "netns1");
    repl.end();
}

#[trial]
fn an_open_block_waits_for_its_end() {
    let mut repl = Typed::start(&[]);
    repl.line("within netns(\"a\") {").line("up(\"lo\");").line("ping(\"127.0.0.1\").ok").line("}");
    repl.expect("true");
    repl.end();
}

#[trial]
fn tab_completes_a_name_of_the_lab() {
    let mut repl = Typed::start(&[]);
    repl.line("let ns1 = netns(\"a-rather-long-name\")").prompt("nslab> ");
    repl.keys("open_netns(\"a-r\t");
    repl.expect("a-rather-long-name");
    repl.keys("\").name\r");
    repl.expect("a-rather-long-name\r\n");
    repl.end();
}

#[trial(stty)]
fn a_list_of_candidates_fits_the_screen() {
    let mut repl = Typed::start(&[]);
    repl.line("host! stty rows 60 cols 60").prompt("nslab> ");
    repl.line("let ns1 = netns(\"n\")").prompt("nslab> ");
    repl.keys("ns1.\t");
    let above = repl.expect("ping(addr: string");
    let below = repl.expect("wait_gone(");
    let list = format!("{above}{below}").replace("\u{e2}\u{80}\u{a6}", "…"); // bytes came as characters
    let lines: Vec<&str> = list.lines().filter(|line| line.contains("  ")).collect();
    assert!(lines.len() > 20 && lines.iter().all(|line| line.trim_end().chars().count() < 60), "{list}");
    assert!(lines[0].contains("deleted: bool") && lines.iter().any(|line| line.trim_end().ends_with('…')), "{list}");
    repl.control('c');
    repl.prompt("nslab> ");
    repl.end();
}

#[trial]
fn the_right_arrow_takes_what_was_typed_before() {
    let mut repl = Typed::start(&[]);
    repl.shows("1000 + 234", "1234");
    repl.keys("100\x1b[C\r");
    repl.expect("\r\n1234");
    repl.end();
}

#[trial]
fn ctrl_c_stops_everything_that_waits_and_keeps_the_session() {
    let mut repl = Typed::start(&[]);
    repl.line("let ns1 = netns(\"netns1\")").prompt("nslab> ");
    repl.line("let p = start(\"sleep 600\")").prompt("nslab> ");
    repl.line("up(\"lo\"); let dark = veth(\"v0\", ns1, \"v1\"); up(dark.a, \"10.9.9.1/24\"); up(dark.b);")
        .prompt("nslab> ");
    repl.line("import \"std/topo\" as topo").prompt("nslab> ");
    repl.line(
        "let deaf = topo::lan([\"h1\", \"h2\", \"h3\", \"h4\", \"h5\", \"h6\", \"h7\", \"h8\"], \"10.0.0\").nodes;",
    )
    .prompt("nslab> ");
    repl.line("for node in deaf { sysctl(node, \"net.ipv4.icmp_echo_ignore_all\", 1); }").prompt("nslab> ");
    for waits in [
        "loop {}",
        "pingall(deaf, #{timeout: \"10m\"})",
        "sleep(600)",
        "sleep(\"10m\")",
        "ping(\"127.0.0.1\", #{count: 1000, interval: \"1s\"})",
        "ping(\"10.9.9.9\", #{timeout: \"10m\"})",
        "exec(\"sleep 600\", #{timeout: \"10m\"})",
        "wait(p, #{timeout: \"10m\"})",
        "wait_until(|| false, #{timeout: \"10m\"})",
        "wait_gone(link(\"lo\"), #{timeout: \"10m\"})",
        "for i in 0..1000 { try { sleep(600) } catch { } }",
    ] {
        repl.line(&format!("print(\"be\" + \"gun\"); {waits}"));
        repl.expect("begun"); // else Ctrl-C would be one for the editor
        repl.control('c');
        repl.expect("interrupted");
        repl.prompt("nslab> ");
        repl.shows("ns1.name", "netns1");
    }
    repl.shows("alive(p)", "true");
    // What comes right after is not interrupted as well.
    for (command, shows) in [(":topo", "10.0.0.8/24"), ("deaf[0].name", "h1"), ("h1 ping h2", "0 received")] {
        repl.line("let h1 = deaf[0]; let h2 = deaf[1]; loop {}");
        repl.expect("\r\n");
        repl.control('c');
        repl.expect("interrupted");
        repl.prompt("nslab> ");
        repl.shows(command, shows);
    }
    repl.line("loop {}");
    repl.expect("\r\n");
    repl.control('c');
    repl.expect("interrupted");
    repl.prompt("nslab> ");
    repl.keys("open_netns(\"swi\t");
    repl.expect("switch");
    repl.control('c');
    repl.prompt("nslab> ");
    repl.line(":reset").prompt("nslab> ");
    repl.shows("netns_list().len", "0");
    repl.end();
}

#[trial]
fn ctrl_z_stops_no_program_for_good() {
    let mut repl = Typed::start(&[]);
    repl.line("host! echo begun; cat; echo over");
    repl.expect("\r\nbegun");
    repl.control('z');
    repl.line("typed after it");
    repl.expect("\r\ntyped after it");
    repl.control('d');
    repl.expect("over");
    repl.prompt("nslab> ");
    repl.shows("1 + 1", "2");
    repl.end();
}

#[trial]
fn ctrl_c_at_the_prompt_clears_the_line() {
    let mut repl = Typed::start(&[]);
    repl.keys("let x = ");
    repl.control('c');
    repl.prompt("nslab> ");
    repl.shows("1 + 1", "2");
    repl.end();
}

#[trial]
fn six_hundred_pasted_lines_are_one_input() {
    let mut repl = Typed::start(&[]);
    let sums: Vec<String> = (0..600).map(|n| format!("sum += {n};")).collect();
    repl.keys(&format!("\x1b[200~let sum = 0;\n{}\nprint(`sum ${{sum}}`)\x1b[201~\r", sums.join("\n")));
    repl.expect("sum 179700");
    repl.end();
}

#[trial(ip)]
fn a_paste_of_commands_and_lines_is_cut_apart() {
    let mut repl = Typed::start(&[]);
    let lines = ["let n = netns(\"n\")", ":enter n", "up(\"lo\");", ":leave", "n ip -br link", "links(n).len + 41"];
    repl.keys(&format!("\x1b[200~{}\x1b[201~\r", lines.join("\n")));
    repl.expect("LOOPBACK,UP,LOWER_UP");
    repl.expect("42");
    repl.prompt("nslab> ");
    repl.keys("\x1b[200~let a = 1\nnobody\nlet b = 2\nlet c = 3\x1b[201~\r");
    repl.expect("no variable `nobody`");
    repl.expect("not run: the 2 inputs that were pasted after this one");
    repl.prompt("nslab> ");
    repl.shows("a", "1");
    repl.end();
}

#[trial]
fn history_is_kept_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut repl = Typed::start(&[]);
    repl.shows("1000 + 234", "1234");
    let home = repl.end();
    let file = home.path().join(".local/state/nslab/history");
    assert!(fs::read_to_string(&file).unwrap().contains("1000 + 234"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut again = Typed::at_home(home, &[]);
    again.keys("\x1b[A\r"); // the line before
    again.expect("1234");
    again.end();
}

#[trial]
fn a_session_is_saved_as_a_script_that_means_the_same() {
    let mut repl = Typed::start(&[]);
    let file = repl.home.path().join("saved.rhai");
    repl.line("let ns1 = netns(\"netns1\")").prompt("nslab> ");
    repl.shows("nobody", "no variable");
    repl.line(":enter ns1").prompt("nslab netns1> ");
    repl.line("let lo = up(\"lo\")").prompt("nslab netns1> ");
    repl.shows("ping(\"127.0.0.1\").ok", "true");
    repl.line(":leave").prompt("nslab> ");
    repl.line("check lo.ns == ns1").prompt("nslab> ");
    repl.shows(&format!(":save {}", file.display()), "saved 5 inputs");
    let home = repl.end();
    let text = fs::read_to_string(home.path().join("saved.rhai")).unwrap();
    assert_eq!(
        text,
        "//! Saved from a session.\n\nlet ns1 = netns(\"netns1\");\n// failed: nobody\nlet lo = within ns1 { up(\"lo\") };\n\
         within ns1 { ping(\"127.0.0.1\").ok; }\ncheck lo.ns == ns1;\n"
    );
    let run = Command::new(NSLAB).arg("run").arg(home.path().join("saved.rhai")).status();
    assert!(run.unwrap().success());
}

#[trial(ip)]
fn commands_show_and_move() {
    let mut repl = Typed::start(&[]);
    repl.line("let red = netns(\"red\"); let blue = netns(\"blue\");").prompt("nslab> ");
    repl.line("let c = veth(red, \"r0\", blue, \"b0\"); up(c.a, \"10.0.0.1/24\"); up(c.b, \"10.0.0.2/24\");")
        .prompt("nslab> ");
    repl.shows(":topo", "10.0.0.2/24");
    repl.shows(":ns", "blue");
    repl.shows(":links red", "r0");
    repl.shows("pingall", "0% dropped");
    repl.shows("red ping blue", "1 received");
    repl.shows("red! echo $((40 + 2))", "42");
    repl.shows(":sh blue ip -br addr show dev b0", "10.0.0.2/24");
    repl.shows("?ping", "Sends ICMP echo requests");
    repl.shows(":topoo", "did you mean `:topo`?");
    repl.shows(":vars", "NetNs");
    // A deleted namespace that lives on has no name, but a process in it.
    repl.line("let p = start(red, \"sleep 60\"); delete(red);").prompt("nslab> ");
    repl.shows(":ns", "(no name: process ");
    repl.line(":reset").prompt("nslab> ");
    repl.shows("netns_list().len", "0");
    repl.end();
}

#[trial(ip)]
fn a_shell_inside_gives_the_terminal_back_even_if_it_is_killed() {
    let mut repl = Typed::start(&[]);
    repl.line("let ns1 = netns(\"netns1\")").prompt("nslab> ");
    repl.line(":shell ns1");
    repl.expect("Ctrl-D returns");
    repl.line("ip -br link | wc -l; echo in-$((1+1))");
    repl.expect("in-2");
    repl.line("kill -9 $$");
    repl.expect("ended by signal 9");
    repl.prompt("nslab> ");
    repl.shows("20 + 22", "42");
    repl.end();
}

/// So it cannot push input into the terminal of the user (TIOCSTI), nor read a password from it.
#[trial(perl)]
fn a_captured_program_has_no_controlling_terminal() {
    let mut repl = Typed::start(&[]);
    let open =
        r#"fn open() { ["perl", "-e", "print open(F, '+<', '/dev/tty') ? 'op' . 'ened' : 'errno ' . ($! + 0)"] }"#;
    repl.line(open).prompt("nslab> ");
    repl.shows("exec(open(), #{terminal: true})", "opened");
    for program in ["exec(open())", "wait(start(open()))", "exec(unshare([\"user\"]), open())"] {
        repl.shows(program, "errno 6"); // ENXIO
    }
    repl.end();
}

#[trial(stty)]
fn a_resized_terminal_gets_narrower_tables_and_long_ones_are_cut() {
    let mut repl = Typed::start(&[]);
    repl.line("host! stty rows 20 cols 60").prompt("nslab> ");
    repl.line("for i in 0..100 { netns(`node${i}`); }").prompt("nslab> ");
    repl.shows("netns_list()", "more lines: `:more` shows all");
    repl.shows(":more", "node99");
    repl.shows("1 + 1", "2");
    repl.end();
}

#[trial]
fn a_killed_interpreter_ends_the_session() {
    let mut repl = Typed::start(&[]);
    repl.line("exec([\"sh\", \"-c\", \"kill -9 $PPID\"])");
    repl.pty.exp_eof().unwrap();
}

#[trial(ip)]
fn events_appear_above_the_prompt() {
    let mut repl = Typed::start(&[]);
    repl.line("let p = start([\"sh\", \"-c\", \"echo why >&2; exit 7\"])");
    repl.expect("ended with 7: why]");
    repl.line("let ns1 = netns(\"netns1\"); let c = veth(\"v0\", ns1, \"v1\"); up(c.a); up(c.b);").prompt("nslab> ");
    repl.line("let q = start([\"sh\", \"-c\", \"sleep 1; ip netns exec netns1 ip link set v1 down; sleep 60\"])");
    repl.expect("link v1 in netns1: DOWN]");
    repl.line("let r = start([\"sh\", \"-c\", \"sleep 1; ip netns del netns1; sleep 60\"])");
    repl.expect("namespace netns1: its name is gone]");
    repl.end();
}

#[trial(mount, unshare)]
fn the_prompt_says_when_it_is_the_machine_itself() {
    // The machine is one of its own, made for this test.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"]);
    command.args(["mount -t tmpfs tmpfs /run && exec \"$0\" --host", NSLAB]);
    let mut repl = Typed::of(command, tempfile::tempdir().unwrap(), "nslab --host> ");
    repl.line("let n = netns(\"n\")").prompt("nslab --host> ");
    repl.line(":enter n").prompt("nslab --host n> ");
    repl.end();
}

#[trial]
fn a_script_can_be_stayed_with() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("s.rhai");
    fs::write(&script, "let answer = 6 * 7;\ncheck answer == 43;\n").unwrap();
    let path = script.display().to_string();
    let mut repl = Typed::at_home(home, &["run", "--pause-on-fail", &path]);
    repl.shows("answer", "42");
    repl.end();
}

#[trial]
fn the_equivalent_commands_of_a_call_are_shown_until_that_is_switched_off() {
    // A call that is not valid does nothing, so it has no equivalent.
    let inputs = r#":explain on
let ns1 = netns("netns1");
up(ns1, "lo", "10.0.0.1/24");
attempt(|| up(ns1));
:explain off
netns("quiet");
"#;
    Shell::new().stdin(inputs).run().success().stdout(
        "# ip netns add netns1
# ip -n netns1 addr add 10.0.0.1/24 brd + dev lo
# ip -n netns1 link set dev lo up
# no equivalent command: it runs code of the script
",
    );
}

/// Types a few inputs at a terminal of this kind and returns everything that was written to it.
fn written_to(terminal: &str, inputs: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(NSLAB);
    command.env("TERM", terminal).env_remove("NO_COLOR").env("HOME", home.path()).env_remove("XDG_STATE_HOME");
    let mut pty = rexpect::session::spawn_command(command, Some(20_000)).unwrap();
    let before = pty.exp_string("> ").unwrap();
    for input in inputs {
        pty.send_line(input).unwrap();
    }
    pty.send_line(":quit").unwrap();
    [before, pty.exp_eof().unwrap()].concat()
}

const COLOURFUL: [&str; 5] =
    ["let ns1 = netns(\"n\") // a", ":topo", "pnig(ns1, 1 + \"x\")", ":explain on", "links(ns1)"];

#[trial]
fn a_dumb_terminal_gets_no_escape_sequence() {
    let written = written_to("dumb", &COLOURFUL);
    assert!(written.contains("65536") && written.contains("error: no function `pnig`"), "{written}");
    assert!(!written.contains('\x1b'), "{written:?}");
}

#[trial]
fn colours_can_be_read_on_every_background() {
    let written = written_to("xterm", &COLOURFUL);
    let codes: BTreeSet<&str> =
        written.split("\x1b[").skip(1).filter_map(|part| part.split_once('m')).map(|(code, _)| code).collect();
    let codes = codes.into_iter().filter(|code| code.chars().all(|c| c.is_ascii_digit() || c == ';'));
    let known = ["0", "1", "2", "31", "32", "35", "4;32"];
    assert_eq!(codes.filter(|code| !known.contains(code)).collect::<Vec<_>>(), [""; 0], "{written:?}");
    assert!(written.contains("\x1b[31merror:\x1b[0m") && written.contains("\x1b[1m"), "{written:?}");
}
