//! One run of the program under strace(1), as a script, on a terminal, or from its start.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::{Pid, mkfifo};

use super::{Point, Way};
use crate::common::{NSLAB, TAG, tagged, wait_for};

/// The longest run. Some waits of the program have limits of ten seconds.
const DEADLINE: Duration = Duration::from_secs(40);

/// What a run did.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// None if it had not ended at the deadline.
    pub(super) status: Option<ExitStatus>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// The command lines of processes that were left.
    pub(super) left: Vec<String>,
    /// What strace wrote.
    pub(super) log: String,
    pub(super) terminal_differs: bool,
}

/// The strace that injects `point`, or records what can be injected.
fn strace(log: &Path, point: Option<&Point>) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log).stderr(Stdio::null()).stdin(Stdio::null());
    if let Some(point) = point {
        command.args(["-e", &format!("trace={}", point.call), "-e", &format!("inject={}", point.text())]);
    }
    command
}

/// Runs the program one `way`, with an injection if there is one.
pub(super) fn run(way: Way, point: Option<&Point>, script: &str, tag: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (fifo, log) = (at("main.rhai"), at("log"));
    let pty = (way == Way::Terminal).then(|| openpty(None, None).unwrap());
    let terminal = pty.as_ref().map(|pty| File::from(pty.slave.try_clone().unwrap()));
    let modes = || terminal.as_ref().map(|terminal| tcgetattr(terminal).unwrap());
    let before = modes();

    let mut command = match way {
        Way::Script => {
            let mut command = Command::new(NSLAB);
            command.arg("run").arg(&fifo);
            command
        }
        Way::Terminal => {
            let mut command = Command::new("setsid");
            command.args(["--ctty", NSLAB, "run", "-i"]).arg(&fifo).env("TERM", "xterm").env("HOME", directory.path());
            command
        }
        Way::Start => {
            let mut command = strace(&log, point);
            command.args([NSLAB, "-c", "6 * 7"]);
            command
        }
    };
    command.env(TAG, tag).env_remove("XDG_STATE_HOME");
    match &terminal {
        Some(terminal) => {
            let same = || Stdio::from(terminal.try_clone().unwrap());
            command.stdin(same()).stdout(same()).stderr(same());
        }
        None => {
            let file = |name| Stdio::from(File::create(at(name)).unwrap());
            command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        }
    }
    mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    let mut child = command.spawn().unwrap();
    drop(command);
    let shown = pty.map(|pty| (File::from(pty.master.try_clone().unwrap()), read_to_end(pty.master)));
    let tracer = (way != Way::Start).then(|| attach(&mut child, &fifo, &log, point, script));
    if let (Some((keyboard, _)), Some(terminal)) = (&shown, &terminal) {
        type_into_the_editor(keyboard, terminal, &mut child);
    }

    let mut run = Run { status: end_of(&mut child, DEADLINE), ..Run::default() };
    let end = Instant::now() + Duration::from_secs(10);
    while run.status.is_some() && !tagged(tag).is_empty() && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    let command = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    run.left = tagged(tag).into_iter().map(command).collect();
    while !tagged(tag).is_empty() {
        // These processes have the tag of this run.
        for pid in tagged(tag) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
    let _ = child.wait();
    if let Some(mut tracer) = tracer {
        tracer.wait().unwrap();
    }
    run.terminal_differs = before != modes();
    drop(terminal);
    let text = |name: &str| String::from_utf8_lossy(&fs::read(at(name)).unwrap_or_default()).into_owned();
    (run.stdout, run.stderr, run.log) = (text("stdout"), text("stderr"), text("log"));
    if let Some((_, reader)) = shown {
        run.stderr = reader.join().unwrap(); // a terminal has one stream
    }
    run
}

/// Reads what a pseudo-terminal shows, until its last user is gone.
fn read_to_end(master: OwnedFd) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut shown = Vec::new();
        let _ = File::from(master).read_to_end(&mut shown); // EIO is the end of a terminal
        String::from_utf8_lossy(&shown).into_owned()
    })
}

/// Attaches strace to the program, which waits for its script, and gives it the script. Returns the strace.
fn attach(child: &mut Child, fifo: &Path, log: &Path, point: Option<&Point>, script: &str) -> Child {
    let mut script_end = None;
    // The open succeeds once the program has opened the other end.
    wait_for("the program at its script", || {
        script_end = File::options().write(true).custom_flags(O_NONBLOCK).open(fifo).ok();
        script_end.is_some()
    });
    let pid = child.id();
    let tracer = strace(log, point).args(["-p", &pid.to_string()]).spawn().unwrap();
    let status = format!("/proc/{pid}/status");
    wait_for("the tracer", || !fs::read_to_string(&status).unwrap().contains("TracerPid:\t0\n"));
    script_end.unwrap().write_all(script.as_bytes()).unwrap();
    tracer
}

/// Types an input and the end of the session, once the editor has the terminal.
fn type_into_the_editor(mut keyboard: &File, terminal: &File, child: &mut Child) {
    let end = Instant::now() + DEADLINE;
    while tcgetattr(terminal).unwrap().local_flags.contains(LocalFlags::ICANON) {
        if child.try_wait().unwrap().is_some() || Instant::now() > end {
            return; // the injection has ended the program
        }
        thread::sleep(Duration::from_millis(1));
    }
    let _ = keyboard.write_all(b"6 * 7\r\x04");
}

fn end_of(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
            status => return status,
        }
    }
}
