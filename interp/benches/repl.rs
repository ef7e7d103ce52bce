//! The REPL's figures: the first prompt, a keystroke, completion in a large lab, the time from Ctrl-C to the prompt.
#![allow(clippy::disallowed_methods, reason = "a benchmark starts the program")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use interp::console::{Console, Palette};
use interp::language::interpreter::{Interpreter, Stop};
use interp::language::stack::TO_COMPILE;
use interp::repl::assist::complete::complete;
use interp::repl::assist::highlight::highlight;
use interp::repl::assist::hint::signature;
use interp::repl::assist::validate::Validator;
use interp::repl::world::Live;
use interp::session::Session;
use nix::pty::openpty;
use stdlib::exec::boot::{self, Foreground, Launch};
use stdlib::lab::Lab;

const ROUNDS: usize = 21;

fn main() -> ExitCode {
    if let Some(status) = stdlib::exec::main_of_init() {
        return status.into();
    }
    // The prompt is timed from outside, before this process enters a lab of its own.
    row("first prompt with its lab", 40.0, &(0..ROUNDS).map(|_| first_prompt()).collect::<Vec<_>>());
    let launch = Launch { private: true, ids: None, foreground: Foreground::Script, cleanup: &|status| status };
    boot::launch(&launch, in_the_lab).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// From the start of the program to its prompt on a terminal.
fn first_prompt() -> Duration {
    let pty = openpty(None, None).expect("a terminal");
    let stream = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nslab"));
    command.env("NO_COLOR", "1").env("TERM", "xterm").env("HOME", "/nonexistent");
    let start = Instant::now();
    let mut child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("the program");
    let mut master = File::from(pty.master);
    let mut seen = Vec::new();
    let mut chunk = [0; 1024];
    while !seen.windows(7).any(|window| window == b"nslab> ") {
        let length = master.read(&mut chunk).expect("the program's output");
        seen.extend_from_slice(&chunk[..length]);
    }
    let took = start.elapsed();
    master.write_all(b"\x04").expect("Ctrl-D");
    child.wait().expect("the end");
    took
}

fn in_the_lab() -> u8 {
    let work = || {
        let lab = Lab::here(None).expect("a lab");
        let mut session = Session::new(Interpreter::new(lab, Console::standard(), None, &[]));
        let built =
            session.evaluate("let all = []; for i in 0..500 { all.push(netns(`node${i}`)); } let ns1 = all[7]; ()");
        assert!(built.is_ok(), "a lab of 500 namespaces");
        let live = Live::of(&session);
        let catalog = session.interpreter.catalog.clone();
        let names = timed(|| complete(&catalog, &live, "open_netns(\"node4", 17).1.len());
        row("completion of a name among 500 namespaces", 20.0, &names);
        let addresses = timed(|| complete(&catalog, &live, "ping(ns1, \"10", 13).1.len());
        row("completion of an address among 500 namespaces", 20.0, &addresses);

        let mut input = String::from("within ns1 {\n");
        for n in 0..198 {
            input.push_str("    let r = ping(ns1, \"10.1.1.1\", #{count: 3}); // line ");
            input.push_str(&n.to_string());
            input.push('\n');
        }
        input.push_str("    ping(ns1, ");
        let validator = Validator::default();
        let keystroke = timed(|| {
            let coloured = highlight(&catalog, Palette::COLOURED, &input).len();
            let hinted = signature(&catalog, &live, &input, input.len()).map_or(0, |hint| hint.len());
            coloured + hinted + usize::from(validator.is_incomplete(&input))
        });
        row("a keystroke on 200 lines: colour, hint, validate", 5.0, &keystroke);
    };
    let work = move || {
        work();
        interrupts();
    };
    let worker = thread::Builder::new().stack_size(TO_COMPILE).spawn(work);
    u8::from(worker.map(thread::JoinHandle::join).is_err())
}

/// Measures the time from Ctrl-C to the end of the wait, for everything that waits.
fn interrupts() {
    let lab = Lab::here(None).expect("a lab");
    let mut session = Session::new(Interpreter::new(lab.clone(), Console::standard(), None, &[]));
    let built = session.evaluate(
        r#"import "std/topo" as topo;
        let names = []; for i in 0..20 { names.push(`h${i}`); }
        let deaf = topo::lan(names, "10.0.0").nodes;
        for node in deaf { sysctl(node, "net.ipv4.icmp_echo_ignore_all", 1); }
        let p = start("sleep 600");"#,
    );
    assert!(built.is_ok(), "a lab of 20 hosts that do not answer");
    for waits in [
        "loop {}",
        "sleep(\"10m\")",
        "ping(deaf[0], \"10.0.0.2\", #{timeout: \"10m\"})",
        "pingall(deaf, #{timeout: \"10m\"})",
        "exec(\"sleep 600\", #{timeout: \"10m\"})",
        "wait(p, #{timeout: \"10m\"})",
        "wait_until(|| false, #{timeout: \"10m\"})",
        "wait_gone(link(\"lo\"), #{timeout: \"10m\"})",
    ] {
        let times: Vec<Duration> = (0..ROUNDS).map(|_| interrupt(&lab, &mut session, waits)).collect();
        row(&format!("Ctrl-C: {}", waits.split('(').next().unwrap_or(waits)), 100.0, &times);
    }
}

/// Evaluates `input`, interrupts it while it waits, and returns the time from there to its end.
fn interrupt(lab: &Arc<Lab>, session: &mut Session, input: &str) -> Duration {
    let pressed = Arc::new(OnceLock::new());
    let presser = thread::spawn({
        let (lab, pressed) = (lab.clone(), pressed.clone());
        move || {
            thread::sleep(Duration::from_millis(100)); // by now the input waits
            let _ = pressed.set(Instant::now());
            lab.exec().interrupt();
        }
    });
    let result = session.evaluate(input);
    let took = pressed.get().map(Instant::elapsed);
    presser.join().expect("the key was pressed");
    assert!(matches!(result, Err(Stop::Interrupted)), "{input} was interrupted");
    took.expect("it did not end before")
}

fn timed(mut work: impl FnMut() -> usize) -> Vec<Duration> {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(work());
            start.elapsed()
        })
        .collect()
}

fn row(what: &str, goal_ms: f64, times: &[Duration]) {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<50} median {median:>8.2} ms   worst {worst:>8.2} ms   goal {goal_ms} ms");
}
