//! Processes: starting the program and the real tools, finding what they started, waiting for its end.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const NSLAB: &str = env!("CARGO_BIN_EXE_nslab");

/// The variable by which a trial knows the processes that it started.
pub(crate) const TAG: &str = "NSLAB_TEST";

/// The longest wait: a machine under load is slow, a defect never ends.
const LIMIT: Duration = Duration::from_secs(20);

/// The program under test, with nothing to read.
pub(crate) fn nslab() -> Command {
    let mut command = Command::new(NSLAB);
    command.stdin(Stdio::null());
    command
}

/// Runs `script` in a lab and returns the result.
#[track_caller]
pub(crate) fn run(script: &str) -> Output {
    feed(nslab().args(["run", "-"]), script)
}

/// Runs `command` with `text` as its standard input.
#[track_caller]
pub(crate) fn feed(command: &mut Command, text: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

/// The standard output of a run that succeeded.
#[track_caller]
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, both(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard output and standard error.
pub(crate) fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a line of the shell with the real tools; returns its standard output.
#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{script}: {}", both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `done` holds; returns how long that took.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_micros(300));
    }
    start.elapsed()
}

/// All processes in `/proc`.
pub(crate) fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let parent = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok()
    };
    processes().into_iter().filter(|child| parent(*child) == Some(pid)).collect()
}

/// The processes with `tag` in their environment; a zombie has none.
pub(crate) fn tagged(tag: &str) -> Vec<i32> {
    let wanted = format!("{TAG}={tag}\0");
    let has = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    };
    processes().into_iter().filter(has).collect()
}

/// Waits until no process has `tag`.
#[track_caller]
pub(crate) fn wait_until_none_has(tag: &str) -> Duration {
    wait_for(&format!("the end of all processes tagged {tag}"), || tagged(tag).is_empty())
}

/// The process of a lab that is PID 1 of its own pid namespace, among the children of the front.
pub(crate) fn keeper(front: i32) -> Option<i32> {
    let is_first = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        numbers.split_whitespace().count() > 1 && numbers.ends_with("\t1")
    };
    children(front).into_iter().find(is_first)
}

/// The keeper of a lab that a front started, and the interpreter that this started, once both run.
pub(crate) fn keeper_and_interpreter(front: i32) -> (i32, i32) {
    let mut found = None;
    wait_for("keeper and interpreter", || {
        found = keeper(front).and_then(|keeper| Some((keeper, *children(keeper).first()?)));
        found.is_some()
    });
    found.expect("both run")
}
