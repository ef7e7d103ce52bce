//! Programs: run one to its end, or start one and keep a handle.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use rhai::{Dynamic, INT};

use super::core::equivalent::{escaped, quoted};
use super::core::prelude::*;
use super::core::register::Family;
use super::core::written::Argv;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::lab::process::{Command, Output, Process, run, run_in_terminal};
use crate::lab::{Lab, NetNs, Place};
use crate::name::short;
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
    /// The lines of standard output so far.
    lines: rhai::Array = |process| process.output().0.lines().map(|line| Dynamic::from(line.to_owned())).collect();
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

/// The options of every program.
const STDIN: Key = Key::new("stdin", "text for its standard input; default none");
const ENV: Key = Key::new("env", "variables for its environment: a map of names to texts");
const CLEAR_ENV: Key = Key::new("clear_env", "whether it inherits no variable; default false");
const CWD: Key = Key::new("cwd", "its working directory; default that of the script");
const IDS: Key = Key::new("ids", "\"strict\": the kernel answers changes of ids, also in a lab that pretends them");
const MAX_CPU: Key = Key::new("max_cpu", "the longest processor time; the kernel ends what uses more");
const MAX_MEMORY: Key = Key::new("max_memory", "the largest address space, such as \"512m\"");
const MAX_FILES: Key = Key::new("max_files", "the largest number of open files");

/// Reads them.
fn command(options: &mut Options) -> Result<Command> {
    let environment = options.texts("env")?;
    if let Some((name, _)) =
        environment.iter().find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
    {
        return Err(Error::usage(format!("`{}` is not a valid variable of the environment", short(name))));
    }
    let mut limits = Vec::new();
    // The kernel counts processor time in seconds.
    limits.extend(options.duration("max_cpu")?.map(|time| (Resource::RLIMIT_CPU, time.as_secs().max(1))));
    limits.extend(options.size("max_memory")?.map(|bytes| (Resource::RLIMIT_AS, bytes)));
    let files = options.number("max_files", 3..=INT::from(i32::MAX))?;
    limits.extend(files.map(|files| (Resource::RLIMIT_NOFILE, files.unsigned_abs())));
    Ok(Command {
        argv: Vec::new(),
        stdin: options.text("stdin")?,
        environment,
        clear_environment: options.flag("clear_env")?.unwrap_or(false),
        directory: options.text("cwd")?.map(PathBuf::from),
        limits,
        strict: options.word("ids", &[("strict", true)])?.unwrap_or(false),
    })
}

/// Says what stands for the options in the equivalent command.
fn fill(command: &Command, values: &mut Values<'_>) {
    if let Some(text) = &command.stdin {
        values.put("stdin", Ok(escaped(text)));
    }
    let cleared = command.clear_environment.then(|| Ok("-i".to_owned()));
    let directory =
        command.directory.iter().map(|path| quoted(&path.to_string_lossy()).map(|path| format!("-C {path}")));
    let variables = command.environment.iter().map(|(name, value)| quoted(&format!("{name}={value}")));
    let env: Vec<Result<String, String>> = cleared.into_iter().chain(directory).chain(variables).collect();
    if !env.is_empty() {
        values.put("env", env.into_iter().collect::<Result<Vec<_>, _>>().map(|env| env.join(" ")));
    }
    for (resource, limit) in &command.limits {
        let key = match resource {
            Resource::RLIMIT_CPU => "max_cpu",
            Resource::RLIMIT_AS => "max_memory",
            _ => "max_files",
        };
        values.set(key, limit);
    }
}

/// How a program is run.
pub(crate) struct ExecOptions {
    command: Command,
    timeout: Duration,
    terminal: bool,
}

impl ExecOptions {
    fn run(&self, lab: &Lab, place: &Place, argv: &[String]) -> Result<Output> {
        let command = Command { argv: argv.to_vec(), ..self.command.clone() };
        if self.terminal {
            let started = Instant::now();
            let ended = run_in_terminal(lab, place, &command)?;
            let (stdout, stderr) = (String::new(), String::new());
            return Ok(Output { argv: command.argv, ended, stdout, stderr, time: started.elapsed() });
        }
        run(lab, place, &command, self.timeout)
    }
}

impl FromOptions for ExecOptions {
    const KEYS: &'static [Key] = &[
        STDIN,
        Key::new("timeout", "kill it, with all that it started, after this time; default \"30s\""),
        Key::new("terminal", "give it the terminal and capture nothing; default false"),
        ENV,
        CLEAR_ENV,
        CWD,
        IDS,
        MAX_CPU,
        MAX_MEMORY,
        MAX_FILES,
    ];
    fn from(options: &mut Options) -> Result<Self> {
        let terminal = options.flag("terminal")?.unwrap_or(false);
        let command = command(options)?;
        if terminal && command.stdin.is_some() {
            return Err(Error::usage("`stdin` and `terminal` exclude each other"));
        }
        Ok(Self { command, terminal, timeout: options.duration("timeout")?.unwrap_or(LIMIT) })
    }
    fn fill(&self, values: &mut Values<'_>) {
        fill(&self.command, values);
        values.set_some("timeout", Some(self.timeout.as_secs_f64()).filter(|_| self.timeout != LIMIT));
    }
}

/// How a program is started in the background.
pub(crate) struct StartOptions {
    command: Command,
    log: Option<PathBuf>,
}

impl FromOptions for StartOptions {
    const KEYS: &'static [Key] = &[
        STDIN,
        ENV,
        CLEAR_ENV,
        CWD,
        Key::new("log", "a file to which what it writes is appended, too"),
        IDS,
        MAX_CPU,
        MAX_MEMORY,
        MAX_FILES,
    ];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { command: command(options)?, log: options.text("log")?.map(PathBuf::from) })
    }
    fn fill(&self, values: &mut Values<'_>) {
        fill(&self.command, values);
        values.set_some("log", self.log.as_ref().map(|path| path.display()));
    }
}

/// How a program is stopped.
pub(crate) struct StopOptions(Duration);

impl FromOptions for StopOptions {
    const KEYS: &'static [Key] = &[Key::new("grace", "how long it may take after SIGTERM; default \"5s\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("grace")?.unwrap_or(Duration::from_secs(5))))
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
    /// Like `[printf %b STDIN |] [timeout -s 9 TIMEOUT] [env ENV] [prlimit --cpu=MAX_CPU] [prlimit --as=MAX_MEMORY] [prlimit --nofile=MAX_FILES]
    /// COMMAND`. A string is split into words as a shell does it, but no shell runs; an array is taken word by word. In a namespace the program sees that namespace's `/sys`, as after
    /// `ip netns exec`. The error of a program that is killed after its time has what it wrote as `stdout` and `stderr`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// print(exec(ns1, "ip link list"));
    /// check exec(["sh", "-c", "echo $((40 + 2))"]).stdout == "42\n";
    /// check exec("cat", #{stdin: "hello"}).stdout == "hello";
    /// check exec("printenv LEVEL", #{env: #{LEVEL: 3}}).stdout == "3\n";
    /// check exec("false").code == 1;
    /// ```
    fn exec(lab: Arc<Lab>, ns: Here, command: Argv, opts: Opts<ExecOptions>) -> Output {
        opts.0.run(&lab, &ns.0, &command.0)
    }

    /// Runs a command line by a shell to its end, with pipes and redirections, and returns what it wrote and how it ended.
    ///
    /// Like `[printf %b STDIN |] [timeout -s 9 TIMEOUT] [env ENV] [prlimit --cpu=MAX_CPU] [prlimit --as=MAX_MEMORY] [prlimit --nofile=MAX_FILES]
    /// sh -c TEXT`. `exec` runs a program without a shell.
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
    /// Like `[printf %b STDIN |] [env ENV] [prlimit --cpu=MAX_CPU] [prlimit --as=MAX_MEMORY] [prlimit --nofile=MAX_FILES] COMMAND
    /// [>> LOG 2>&1] &`. It ends with the lab at the latest; what it writes is kept in `stdout` and `stderr` of the handle. `NSLAB_PROGRAM` in its environment marks what it starts.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// check p.alive;
    /// check same_ns(ns1, p.pid);
    /// ```
    fn start(lab: Arc<Lab>, ns: Here, command: Argv, opts: Opts<StartOptions>) -> Process {
        let StartOptions { command: options, log } = &opts.0;
        Process::start(&lab, &ns.0, &Command { argv: command.0.clone(), ..options.clone() }, log.as_deref())
    }

    /// Lists the background processes of all namespaces, or of one, that run, and those that have ended and are still held by a variable.
    ///
    /// No equivalent command: `jobs` of a shell lists those of the shell.
    ///
    /// ```rhai
    /// let p = start("sleep 60");
    /// check processes()[0] == p;
    /// check "sleep 60" in processes();
    /// ```
    fn processes(lab: Arc<Lab>, ns: Option<NetNs>) -> List<Process> {
        let mut all = lab.processes();
        all.retain(|process| ns.as_ref().is_none_or(|ns| process.is_of(ns)));
        Ok(all.into())
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

    /// Ends a background process with all that it started, and returns its handle when none of them is left.
    ///
    /// They get SIGTERM, and after `grace` SIGKILL. They are found by descent, process group, session, and by
    /// `NSLAB_PROGRAM` in their environment, so a daemon that forks twice is found too. `kill` sends one signal to one process.
    ///
    /// No equivalent command: `kill -- -PID` ends one process group.
    ///
    /// ```rhai
    /// let p = start(["sh", "-c", "sleep 60 & sleep 60"]);
    /// stop(p);
    /// check !p.alive;
    /// ```
    fn stop(lab: Arc<Lab>, process: Process, opts: Opts<StopOptions>) -> Process {
        process.end(&lab, opts.0.0)?;
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
