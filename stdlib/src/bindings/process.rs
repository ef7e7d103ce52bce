//! Programs: run one to its end, or start one and keep a handle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rhai::{Dynamic, INT};

use super::core::equivalent::escaped;
use super::core::prelude::*;
use super::core::register::Family;
use super::core::written::Argv;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::lab::process::{Command, Output, Process, run, run_in_terminal};
use crate::lab::{Lab, Place};
use crate::notation::millis;

pub(super) const FAMILY: Family = Family {
    name: "processes",
    types: &[register_type::<Output>, register_type::<Process>, register_list::<Process>],
    bindings: BINDINGS,
};

value! { Output, "Output", "The result of a program that has ended. Prints what it wrote.";
    /// Whether its exit code is 0.
    ok: bool = |output| output.ended.code == 0;
    /// Its exit code; 128 + signal if a signal ended it.
    code: INT = |output| INT::from(output.ended.code);
    /// The signal that ended it; `()` if none did.
    signal: Option<INT> = |output| output.ended.signal.map(INT::from);
    /// What it wrote to standard output. Of more than 16 MiB only the beginning and the end are kept; a line such as
    /// `[… 1234 bytes cut …]` stands between them.
    stdout: String = |output| output.stdout.clone();
    /// What it wrote to standard error, as much of it as of standard output.
    stderr: String = |output| output.stderr.clone();
    /// The lines of standard output.
    lines: rhai::Array = |output| output.stdout.lines().map(|line| Dynamic::from(line.to_owned())).collect();
    /// How long it ran, milliseconds.
    time: f64 = |output| millis(output.time);
}

value! { Process, "Process", "A program in the background. It ends with the lab at the latest.";
    /// Its PID in the lab.
    pid: INT = |process| INT::from(process.pid());
    /// The short name of the namespace it was started in.
    ns: String = |process| process.place().to_owned();
    /// The command it was started with.
    command: String = |process| process.command();
    /// Whether it still runs.
    alive: bool = |process| process.ended().is_none();
    /// Its exit code; `()` while it runs.
    code: Option<INT> = |process| process.ended().map(|ended| INT::from(ended.code));
    /// What it wrote to standard output so far. Of more than 1 MiB the middle is cut, as in an `Output`.
    stdout: String = |process| process.output().0;
    /// What it wrote to standard error so far. Of more than 1 MiB the middle is cut.
    stderr: String = |process| process.output().1;
}

impl Listed for Process {
    const LIST: &'static str = "Processes";
    const LIST_DOC: &'static str = "Programs in the background, in the order of their start.";
    const COLUMNS: &'static [&'static str] = &["pid", "ns", "alive", "code", "command"];
    fn is_called(&self, name: &str) -> bool {
        self.command() == name
    }
}

/// How long a program may run, and how long its end is waited for, unless an option says otherwise.
const LIMIT: Duration = Duration::from_secs(30);

/// How a program is run.
pub(crate) struct ExecOptions {
    stdin: Option<String>,
    timeout: Duration,
    terminal: bool,
    strict: bool,
}

/// The option `ids` of programs.
const IDS: Key = Key::new("ids", "\"strict\": the kernel answers changes of ids, also in a lab that pretends them");

fn strict(options: &mut Options) -> Result<bool> {
    options.word("ids", &[("strict", true)]).map(|strict| strict.unwrap_or(false))
}

impl ExecOptions {
    fn run(&self, lab: &Lab, place: &Place, argv: &[String]) -> Result<Output> {
        let command = Command { argv: argv.to_vec(), strict: self.strict };
        if self.terminal {
            let started = Instant::now();
            let ended = run_in_terminal(lab, place, &command)?;
            let (stdout, stderr) = (String::new(), String::new());
            return Ok(Output { argv: command.argv, ended, stdout, stderr, time: started.elapsed() });
        }
        run(lab, place, &command, self.stdin.clone(), self.timeout)
    }
}

impl FromOptions for ExecOptions {
    const KEYS: &'static [Key] = &[
        Key::new("stdin", "text for its standard input; default none"),
        Key::new("timeout", "kill it after this time; default \"30s\""),
        Key::new("terminal", "give it the terminal and capture nothing; default false"),
        IDS,
    ];
    fn from(options: &mut Options) -> Result<Self> {
        let terminal = options.flag("terminal")?.unwrap_or(false);
        let stdin = options.text("stdin")?;
        if terminal && stdin.is_some() {
            return Err(Error::usage("`stdin` and `terminal` exclude each other"));
        }
        let timeout = options.duration("timeout")?.unwrap_or(LIMIT);
        Ok(Self { stdin, timeout, terminal, strict: strict(options)? })
    }
    fn fill(&self, values: &mut Values<'_>) {
        if let Some(text) = &self.stdin {
            values.put("stdin", Ok(escaped(text)));
        }
        values.set_some("timeout", Some(self.timeout.as_secs_f64()).filter(|_| self.timeout != LIMIT));
    }
}

/// How a program is started in the background.
pub(crate) struct StartOptions {
    strict: bool,
}

impl FromOptions for StartOptions {
    const KEYS: &'static [Key] = &[IDS];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { strict: strict(options)? })
    }
}

/// How long to wait for the end of a process.
pub(crate) struct EndOptions(Duration);

impl FromOptions for EndOptions {
    const KEYS: &'static [Key] = &[Key::new("timeout", "how long to wait; default \"30s\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("timeout")?.unwrap_or(LIMIT)))
    }
    fn fill(&self, values: &mut Values<'_>) {
        values.set("timeout", self.0.as_secs_f64());
    }
}

bindings! {
    /// Runs a program to its end and returns what it wrote and how it ended.
    ///
    /// Like `[printf %b STDIN |] [timeout -s 9 TIMEOUT] COMMAND`. A string is split into words as a shell does it, but
    /// no shell runs; an array is taken word by word. In a namespace the program sees that namespace's `/sys`, as after
    /// `ip netns exec`. The error of a program that is killed after its time has what it wrote as `stdout` and `stderr`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// print(exec(ns1, "ip link list"));
    /// check exec(["sh", "-c", "echo $((40 + 2))"]).stdout == "42\n";
    /// check exec("cat", #{stdin: "hello"}).stdout == "hello";
    /// check exec("false").code == 1;
    /// ```
    fn exec(lab: Arc<Lab>, ns: Here, command: Argv, opts: Opts<ExecOptions>) -> Output {
        opts.0.run(&lab, &ns.0, &command.0)
    }

    /// Runs a command line by a shell to its end, with pipes and redirections, and returns what it wrote and how it ended.
    ///
    /// Like `[printf %b STDIN |] [timeout -s 9 TIMEOUT] sh -c TEXT`. `exec` runs a program without a shell.
    ///
    /// ```rhai
    /// check sh("echo b a | tr ' ' '\n' | sort | head -n 1").stdout == "a\n";
    /// let ns1 = netns("netns1");
    /// check sh(ns1, "ls /sys/class/net | wc -l").stdout == "1\n";
    /// ```
    fn sh(lab: Arc<Lab>, ns: Here, text: String, opts: Opts<ExecOptions>) -> Output {
        opts.0.run(&lab, &ns.0, &["sh".into(), "-c".into(), text.clone()])
    }

    /// Starts a program in the background and returns its handle at once.
    ///
    /// Like `COMMAND &`. It ends with the lab at the latest; what it writes is kept in `stdout` and `stderr` of the handle.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// check p.alive;
    /// check same_ns(ns1, p.pid);
    /// ```
    fn start(lab: Arc<Lab>, ns: Here, command: Argv, opts: Opts<StartOptions>) -> Process {
        Process::start(&lab, &ns.0, &Command { argv: command.0.clone(), strict: opts.0.strict })
    }

    /// Lists the background processes that run, and those that have ended and are still held by a variable.
    ///
    /// No equivalent command: `jobs` of a shell lists those of the shell.
    ///
    /// ```rhai
    /// let p = start("sleep 60");
    /// check processes()[0] == p;
    /// check "sleep 60" in processes();
    /// ```
    fn processes(lab: Arc<Lab>) -> List<Process> {
        Ok(lab.processes().into())
    }

    /// Waits for the end of a background process and returns what it wrote and how it ended.
    ///
    /// Like `timeout TIMEOUT tail --pid=PROCESS -f /dev/null`, which waits for any process.
    ///
    /// ```rhai
    /// let p = start(["sh", "-c", "echo done; exit 3"]);
    /// let r = wait(p);
    /// check r.code == 3;
    /// check r.stdout == "done\n";
    /// ```
    fn wait(lab: Arc<Lab>, process: Process, opts: Opts<EndOptions>) -> Output {
        process.wait(&lab, opts.0.0)
    }

    /// Sends a signal to a background process, TERM if none is named, and returns its handle.
    ///
    /// Like `kill [-s SIGNAL] PROCESS`.
    ///
    /// ```rhai
    /// let p = start("sleep 60");
    /// kill(p);
    /// check wait(p).signal == 15;
    /// ```
    fn kill(process: Process, signal: Option<Signal>) -> Process {
        process.signal(signal.unwrap_or(Signal::SIGTERM))?;
        Ok(process.clone())
    }

    /// Returns whether a background process still runs.
    ///
    /// Like `kill -0 PROCESS`, by its exit status.
    ///
    /// ```rhai
    /// let p = start("sleep 60");
    /// check alive(p);
    /// wait(kill(p, "KILL"));
    /// check !alive(p);
    /// ```
    fn alive(process: Process) -> bool {
        Ok(process.ended().is_none())
    }
}
