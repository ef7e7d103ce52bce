//! The builder of a run of `nslab`: script, user and environment in; output and status out.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use tempfile::TempDir;

use super::processes::{NSLAB, TAG, tagged};
use super::recorded::difference;
use super::trials::{Need, lacks};

/// A run that takes longer is killed, and its test fails.
const DEADLINE: Duration = Duration::from_secs(300);

/// A user without privileges, on every machine.
pub(crate) const NOBODY: u32 = 65534;

/// Functions for scripts that read back with the real tools. `cables` leaves out what modules for tunnels add.
const READ_BACK: &str = r#"
fn cables(ns) { ip(ns, "link show type veth").map(|l| l.ifname) }
fn ip(ns, words) { parse_json(exec(ns, ["ip", "-j", "-d"] + words.split(" ")).stdout) }
fn dev(ns, name) { ip(ns, "addr show dev " + name)[0] }
fn bash(ns, words) { exec(ns, ["sh", "-c", words]) }
"#;

/// One run of `nslab`.
pub(crate) struct Shell {
    dir: TempDir,
    /// The program that starts `nslab`, with its arguments.
    by: Vec<OsString>,
    command: Vec<String>,
    stdin: Option<Vec<u8>>,
    user: Option<u32>,
    /// Another user than that of the tests runs it.
    shared: bool,
    clear: bool,
    env: Vec<(String, String)>,
}

/// A run that has not ended.
pub(crate) struct Running {
    pid: Pid,
    tag: String,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    status: Receiver<ExitStatus>,
    seen: Vec<u8>,
    end: Instant,
    _dir: TempDir,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("nslab-test-").tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self {
            dir,
            by: Vec::new(),
            command: Vec::new(),
            stdin: None,
            user: None,
            shared: false,
            clear: false,
            env: Vec::new(),
        }
    }

    /// Runs `text`, which errors call `main.rhai`.
    pub(crate) fn script(self, text: &str) -> Self {
        self.file("main.rhai", text).command(["run", "main.rhai"])
    }

    /// Runs `text` after the functions that read back with the real tools: `ip`, `dev`, `cables`, `bash`.
    pub(crate) fn reading(self, text: &str) -> Self {
        self.script(&(READ_BACK.replace('\n', " ") + "\n" + text))
    }

    /// Puts a file into the private directory, in which `nslab` starts.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The arguments of `nslab`.
    pub(crate) fn command(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// More arguments.
    pub(crate) fn args(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command.extend(words.into_iter().map(Into::into));
        self
    }

    /// Another program starts `nslab`: its name and arguments come first. Called again, it starts one that does.
    pub(crate) fn by(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.by.extend(words.into_iter().map(Into::into));
        self
    }

    /// Its standard input, which is empty otherwise.
    pub(crate) fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(text.as_ref().to_owned());
        self
    }

    /// Runs as another user. Without root every run is that of an ordinary user already.
    pub(crate) fn user(self, uid: u32) -> Self {
        if !geteuid().is_root() {
            return self;
        }
        Self { user: Some(uid), ..self.shared() }
    }

    /// Prepares a run by a user without privileges.
    pub(crate) fn shared(self) -> Self {
        static CAN: LazyLock<bool> = LazyLock::new(|| {
            let shell = Shell { user: Some(NOBODY), shared: true, ..Shell::new().command(["-c", "()"]) };
            shell.run().status.success()
        });
        if !*CAN {
            lacks(Need::LabOfNobody);
        }
        Self { shared: true, ..self }
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs without the environment of the tests.
    pub(crate) fn env_clear(mut self) -> Self {
        self.clear = true;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program, at a path that the user of this run can reach.
    pub(crate) fn program(&self) -> PathBuf {
        if !self.shared {
            return NSLAB.into();
        }
        let reachable = self.path().join("nslab");
        // A copy onto an earlier link would truncate the program itself.
        if !reachable.exists() && fs::hard_link(NSLAB, &reachable).is_err() {
            fs::copy(NSLAB, &reachable).unwrap();
        }
        reachable
    }

    /// Starts it and returns at once.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let tag = self.path().to_string_lossy().into_owned();
        let mut words = self.by.clone();
        words.push(self.program().into());
        let mut command = Command::new(&words[0]);
        if self.clear {
            command.env_clear();
        } else {
            command.env("HOME", self.path()).env_remove("NO_COLOR");
        }
        command
            .args(&words[1..])
            .args(&self.command)
            .current_dir(self.path())
            .env(TAG, &tag)
            .envs(self.env.iter().cloned())
            .process_group(0)
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        if let (Some(text), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            thread::spawn(move || pipe.write_all(&text));
        }
        let stdout = follow(child.stdout.take().unwrap());
        let stderr = follow(child.stderr.take().unwrap());
        let (send, status) = channel();
        thread::spawn(move || send.send(child.wait().unwrap()));
        Running { pid, tag, stdout, stderr, status, seen: Vec::new(), end: Instant::now() + DEADLINE, _dir: self.dir }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Outcome {
        self.start().finish()
    }
}

/// Passes on what a pipe carries, as it comes.
fn follow(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            if send.send(chunk[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receive
}

impl Running {
    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Waits until it has written `text`.
    #[track_caller]
    pub(crate) fn wrote(mut self, text: &str) -> Self {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            match self.stdout.recv_timeout(self.left()) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(_) => self.give_up(&format!("it did not write {text:?}")),
            }
        }
        self
    }

    /// Sends a signal to the front process alone.
    pub(crate) fn signal(self, signal: Signal) -> Self {
        kill(self.pid, signal).unwrap();
        self
    }

    /// Waits for its end, and for the end of every process that it started.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        let mut stdout = std::mem::take(&mut self.seen);
        let mut stderr = Vec::new();
        for (pipe, bytes) in [(&self.stdout, &mut stdout), (&self.stderr, &mut stderr)] {
            loop {
                match pipe.recv_timeout(self.left()) {
                    Ok(chunk) => bytes.extend(chunk),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => self.give_up(&String::from_utf8_lossy(bytes)),
                }
            }
        }
        let Ok(status) = self.status.recv_timeout(self.left()) else {
            self.give_up("it closed its output and did not end")
        };
        while !tagged(&self.tag).is_empty() {
            assert!(self.left() > Duration::ZERO, "left behind: {:?}", self.processes());
            thread::yield_now();
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Outcome { status, stdout: text(&stdout), stderr: text(&stderr) }
    }

    /// The command lines of the processes of this run.
    pub(crate) fn processes(&self) -> Vec<String> {
        let command = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        tagged(&self.tag).into_iter().map(command).collect()
    }

    #[track_caller]
    fn give_up(&self, why: &str) -> ! {
        let _ = killpg(self.pid, Signal::SIGKILL);
        panic!("no end within {DEADLINE:?}: {why}");
    }
}

impl Outcome {
    /// The exit status, or 1000 and the number of the signal.
    #[track_caller]
    pub(crate) fn status(self, code: i32) -> Self {
        let got = self.status.code().unwrap_or_else(|| 1000 + self.status.signal().unwrap_or(0));
        assert_eq!(got, code, "exit status\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Status 0, and nothing on standard error.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        let this = self.status(0);
        assert_eq!(this.stderr, "", "standard error");
        this
    }

    #[track_caller]
    pub(crate) fn stdout(self, text: &str) -> Self {
        let differs = difference(text, &self.stdout);
        assert!(differs.is_empty(), "standard output differs\n{differs}--- stderr\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn stdout_contains(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in\n{}--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// All of standard error, without the blanks at the ends of lines, which editors remove.
    #[track_caller]
    pub(crate) fn stderr_is(self, text: &str) -> Self {
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
        let differs = difference(&lines(text.trim_start_matches('\n')), &lines(&self.stderr));
        assert!(differs.is_empty(), "standard error differs\n{differs}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_contains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in\n{}", self.stderr);
        self
    }

    /// The JSON values on standard output, one after another.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let values = serde_json::Deserializer::from_str(&self.stdout).into_iter();
        values.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}\n{}", self.stdout))
    }

    pub(crate) fn text(&self) -> &str {
        &self.stdout
    }

    pub(crate) fn errors(&self) -> &str {
        &self.stderr
    }
}

/// Runs a script that must succeed, as the user of the tests.
#[track_caller]
pub(crate) fn passes(text: &str) {
    Shell::new().reading(text).run().success();
}

/// Runs a script that must succeed, also without privileges.
#[track_caller]
pub(crate) fn passes_for_all(text: &str) {
    passes(text);
    Shell::new().reading(text).user(NOBODY).run().success();
}
