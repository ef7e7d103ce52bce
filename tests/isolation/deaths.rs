//! Each way to die: nothing is left, the status says how, the terminal is as it was.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::{Pid, mkfifo};

use crate::common::{NSLAB, TAG, both, children, keeper_and_interpreter, nslab, tagged, wait_for, wait_until_none_has};

/// A lab that is busy until a signal ends it.
const BUSY: &str = r#"start(netns("n"), ["sh", "-c", "sleep 100 & sleep 100"]); exec(unshare(["pid", "mount"]), "true"); sleep("100s")"#;

/// A started lab.
struct Running {
    child: Child,
    tag: String,
    keeper: i32,
    interpreter: i32,
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

impl Running {
    /// The tag has the PID of this test run: what a failed run left behind is not found.
    fn start(tag: &str, command: &mut Command) -> Self {
        let tag = format!("{tag}-{}", std::process::id());
        let child = command.env(TAG, &tag).spawn().unwrap();
        let (keeper, interpreter) = keeper_and_interpreter(i32::try_from(child.id()).unwrap());
        Self { child, tag, keeper, interpreter }
    }

    fn busy(tag: &str) -> Self {
        let running = Self::start(tag, nslab().args(["-c", BUSY]).stderr(Stdio::null()));
        // Front, keeper, interpreter, shell, two sleepers; as root the helper too.
        wait_for("a busy lab", || tagged(&running.tag).len() >= 6);
        running
    }

    fn front(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits for the end of every process; returns how long that took, and how the front ended.
    fn end(mut self) -> (Duration, ExitStatus) {
        let mut status = None;
        let took = wait_for("the end of the front", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (took + wait_until_none_has(&self.tag), status.unwrap())
    }
}

#[trial]
fn each_death_of_the_front_ends_all() {
    for (signal, code) in [
        (Signal::SIGTERM, Some(143)),
        (Signal::SIGHUP, Some(129)),
        (Signal::SIGQUIT, Some(131)),
        (Signal::SIGINT, Some(130)),
        (Signal::SIGKILL, None),
    ] {
        let running = Running::busy(&format!("front-{signal}"));
        send(running.front(), signal);
        let (took, status) = running.end();
        assert_eq!(status.code(), code, "{signal}: {status}");
        assert!(code.is_some() || status.signal() == Some(9), "{signal}: {status}");
        eprintln!("{signal} of the front: all gone after {took:.1?}");
    }
}

#[trial]
fn each_death_of_keeper_and_interpreter_ends_all() {
    for who in ["keeper", "interpreter"] {
        let running = Running::busy(who);
        send(if who == "keeper" { running.keeper } else { running.interpreter }, Signal::SIGKILL);
        let (took, status) = running.end();
        assert_eq!(status.code(), Some(137), "{who}: {status}");
        eprintln!("SIGKILL of the {who}: all gone after {took:.1?}");
    }
}

#[trial]
fn a_stopped_keeper_dies_with_the_front() {
    let running = Running::busy("stopped");
    send(running.keeper, Signal::SIGSTOP);
    send(running.front(), Signal::SIGKILL);
    let (took, status) = running.end();
    assert_eq!(status.signal(), Some(9));
    eprintln!("SIGKILL of the front over a stopped keeper: all gone after {took:.1?}");
}

/// Only a lab of root keeps its helper, for the mounts of sandboxes.
#[trial(root)]
fn a_lab_of_root_ends_with_or_without_its_helper() {
    for (signal, to_helper) in [(Signal::SIGTERM, Signal::SIGKILL), (Signal::SIGKILL, Signal::SIGSTOP)] {
        let running = Running::busy(&format!("helper-{to_helper}"));
        let helper = children(running.front()).into_iter().find(|child| *child != running.keeper).unwrap();
        send(helper, to_helper);
        send(running.front(), signal);
        let (took, status) = running.end();
        assert!(!status.success(), "{status}");
        eprintln!("{to_helper} of the helper, {signal} of the front: all gone after {took:.1?}");
    }
    // The control: alone it ends nothing, and what needs it says so.
    let directory = tempfile::tempdir().unwrap();
    let go = directory.path().join("go");
    mkfifo(&go, Mode::S_IRWXU).unwrap();
    let script = format!(r#"exec(["cat", "{}"]); print(exec("echo on")); unshare(["pid", "mount"])"#, go.display());
    let running =
        Running::start("helper-alone", nslab().args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let helper = children(running.front()).into_iter().find(|child| *child != running.keeper).unwrap();
    send(helper, Signal::SIGKILL);
    wait_for("the end of the helper", || !children(running.front()).contains(&helper));
    drop(File::create(&go).unwrap()); // returns once `cat` reads
    let output = running.child.wait_with_output().unwrap();
    let said = both(&output);
    assert!(said.contains("on\n") && said.contains("the lab's helper has ended"), "{said}");
}

/// The front's shell: signals that it ignores, or blocks, are passed on by `exec`.
fn by_a_shell(setup: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]).arg(NSLAB);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[trial]
fn ignored_signals_stay_ignored() {
    // As `nohup` does it, and as a shell does it for its background.
    let script = r#"print("ready"); let p = start("sleep 0.4"); wait(p); print("survived")"#;
    let running = Running::start("ignored", by_a_shell("trap '' HUP INT QUIT").args(["-c", script]));
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        send(running.front(), signal);
        send(running.interpreter, signal);
    }
    let output = running.child.wait_with_output().unwrap();
    assert!(output.status.success() && both(&output).contains("survived"), "{}: {}", output.status, both(&output));
    // A parent that ignores the end of its children hands that on, too.
    let mut deaf = by_a_shell("trap '' CHLD");
    let output = deaf.args(["-c", "exec(\"true\").code + 40"]).output().unwrap();
    assert_eq!(both(&output), "40\n", "{}", output.status);
}

#[trial]
fn blocked_signals_still_end_it() {
    // env(1) blocks them for us.
    let blocked = |signal: Signal| {
        let mut command = Command::new("env");
        command.arg("--block-signal").arg(NSLAB).args(["-c", BUSY]);
        let running = Running::start(&format!("blocked-{signal}"), command.stdin(Stdio::null()).stderr(Stdio::null()));
        send(running.front(), signal);
        running.end().1.code()
    };
    assert_eq!(blocked(Signal::SIGTERM), Some(143));
    assert_eq!(blocked(Signal::SIGINT), Some(130));
}

/// What a terminal does with input.
fn modes(terminal: impl AsFd) -> Termios {
    tcgetattr(terminal).unwrap()
}

/// Thirteen ways to die while the editor has the terminal in its raw mode. (PID 1 of a namespace, which the keeper is,
/// takes no signal but SIGKILL that it did not ask for.)
#[trial(setsid)]
fn the_terminal_is_restored() {
    use Signal::{SIGABRT, SIGHUP, SIGILL, SIGKILL, SIGQUIT, SIGTERM};
    let all = [SIGKILL, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGILL];
    let kinds = [("front", &all[..]), ("keeper", &[SIGKILL]), ("interpreter", &all)];
    for (who, signal) in kinds.iter().flat_map(|(who, signals)| signals.iter().map(move |signal| (*who, *signal))) {
        let pty = openpty(None, None).unwrap();
        let terminal = File::from(pty.slave);
        let before = modes(&terminal);
        let same = || terminal.try_clone().unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", NSLAB]).env("TERM", "xterm").env("HOME", home.path());
        command.env_remove("XDG_STATE_HOME");
        let tag = format!("terminal-{who}-{signal}");
        let running = Running::start(&tag, command.stdin(same()).stdout(same()).stderr(same()));
        wait_for("the raw mode of the editor", || !modes(&terminal).local_flags.contains(LocalFlags::ICANON));
        let pid = match who {
            "front" => running.front(),
            "keeper" => running.keeper,
            _ => running.interpreter,
        };
        send(pid, signal);
        let (_, status) = running.end();
        assert!(!status.success(), "{who} {signal}: {status}");
        assert_eq!(modes(&terminal), before, "{who} {signal}: the terminal is not as it was");
        drop(pty.master);
    }
}
