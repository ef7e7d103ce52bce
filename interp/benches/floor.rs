//! nslab against the kernel's floor: the same labs, built by a script and by raw netlink messages, in turn.
//!
//! `cargo bench` runs every workload; `cargo bench -- --rounds 31 star` those with "star" in their name, for 31 rounds.
//! It runs in a private lab, needs no root and changes nothing outside. `docs/performance.md` explains the table.

#[path = "floor/mod.rs"]
mod floor;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use floor::Run;
use interp::console::{Console, Palette};
use interp::language::interpreter::{Interpreter, Stop};
use interp::language::stack::TO_COMPILE;
use rhai::{AST, Map, Scope};
use stdlib::exec::boot::{self, Foreground, Launch};
use stdlib::lab::Lab;

/// The pause between two runs: the kernel still removes what the last run closed, and holds locks meanwhile.
const GAP: Duration = Duration::from_millis(600);
/// The directory of the lab's names.
const NAMES: &str = "/run/netns";

type Fallible<T> = Result<T, Box<dyn Error>>;

/// One row of the table.
struct Workload {
    name: &'static str,
    script: &'static str,
    args: &'static [&'static str],
    floor: fn() -> io::Result<Run>,
}

macro_rules! script {
    ($name:literal) => {
        include_str!(concat!("scripts/", $name, ".rhai"))
    };
}

const WORKLOADS: [Workload; 10] = [
    Workload { name: "two nodes", script: script!("two_nodes"), args: &[], floor: || floor::two_nodes(None) },
    Workload {
        name: "two nodes, named",
        script: script!("two_nodes"),
        args: &["netns1"],
        floor: || floor::two_nodes(Some(Path::new(NAMES))),
    },
    Workload { name: "star 10", script: script!("star"), args: &["10"], floor: || floor::star(10) },
    Workload { name: "star 100", script: script!("star"), args: &["100"], floor: || floor::star(100) },
    Workload { name: "star 1000", script: script!("star"), args: &["1000"], floor: || floor::star(1000) },
    Workload { name: "chain 10", script: script!("chain"), args: &["10"], floor: || floor::chain(10) },
    Workload { name: "chain 50", script: script!("chain"), args: &["50"], floor: || floor::chain(50) },
    Workload { name: "matrix 32", script: script!("matrix"), args: &["32"], floor: || floor::matrix(32) },
    Workload {
        name: "matrix 32, ping()",
        script: script!("matrix"),
        args: &["32", "each"],
        floor: || floor::matrix(32),
    },
    Workload {
        name: "200 programs",
        script: script!("programs"),
        args: &["200"],
        floor: || floor::programs("true", 200),
    },
];

/// The command line.
struct Options {
    rounds: usize,
    names: Vec<String>,
}

impl Options {
    fn read() -> Fallible<Self> {
        let mut options = Self { rounds: 11, names: Vec::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => {} // cargo passes it to every benchmark
                "--rounds" => options.rounds = words.next().ok_or("--rounds takes a number")?.parse::<usize>()?.max(1),
                name => options.names.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    fn includes(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| name.contains(wanted.as_str()))
    }

    /// `star 1000` takes minutes: it runs only if it is named.
    fn includes_workload(&self, name: &str) -> bool {
        if name == "star 1000" { self.names.iter().any(|wanted| wanted == name) } else { self.includes(name) }
    }
}

fn main() -> ExitCode {
    match whole() {
        Ok(status) => status.into(),
        Err(error) => {
            report_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn whole() -> Fallible<u8> {
    let options = Options::read()?;
    // Outside the lab: each of these processes makes one of its own.
    if options.includes("processes") {
        processes(options.rounds)?;
    }
    // The rest runs in a lab, which is made while there is one thread.
    let launch = Launch { private: true, ids: None, foreground: Foreground::Script, cleanup: &|status| status };
    let status = boot::launch(&launch, || {
        let work = || match run(&options) {
            Ok(right) => u8::from(!right),
            Err(error) => {
                report_error(&error.to_string());
                2
            }
        };
        thread::scope(|scope| {
            let worker = thread::Builder::new().stack_size(TO_COMPILE).spawn_scoped(scope, work);
            worker.ok().and_then(|worker| worker.join().ok()).unwrap_or(70)
        })
    });
    status.map_err(|error| format!("{error}: {}", error.hint_text().unwrap_or_default()).into())
}

fn report_error(text: &str) {
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// Runs the workloads. Returns whether every echo came back.
fn run(options: &Options) -> Fallible<bool> {
    let mut right = true;
    let wanted: Vec<_> = WORKLOADS.iter().filter(|workload| options.includes_workload(workload.name)).collect();
    if !wanted.is_empty() {
        print(&format!(
            "{} rounds; median (range) in ms; ratio = nslab / floor, of the medians\n\n{:<19}{:^22}{:^22}{:>6}  {:>6}{:>7}{:>8}   received\n",
            options.rounds, "", "floor", "nslab", "ratio", "build", "probe", "delete"
        ));
    }
    for workload in wanted {
        let script = Script::compile(workload)?;
        let (mut floors, mut scripts) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // The first run changes the state of the kernel for the second: they take turns to be first.
            for first in [true, false] {
                thread::sleep(GAP);
                if first == (round % 2 == 0) {
                    floors.push((workload.floor)()?);
                } else {
                    scripts.push(script.run()?);
                }
            }
        }
        right &= report(workload.name, &floors, &scripts);
    }
    Ok(right)
}

fn print(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A compiled script. It measures itself and returns the fields of [`Run`] as a map.
struct Script {
    interpreter: Interpreter,
    ast: AST,
}

impl Script {
    fn compile(workload: &Workload) -> Fallible<Self> {
        let args: Vec<String> = workload.args.iter().map(ToString::to_string).collect();
        let mut interpreter = Interpreter::new(Lab::here(None)?, Console::standard(), None, &args);
        let ast = interpreter.compile(&Scope::new(), workload.name, workload.script).map_err(|stop| why(&stop))?;
        Ok(Self { interpreter, ast })
    }

    fn run(&self) -> Fallible<Run> {
        let value = self.interpreter.evaluate(&mut Scope::new(), &self.ast).map_err(|stop| why(&stop))?;
        // The kernel removes cables a little later. Wait, so that the next run starts from the same state.
        let root = self.interpreter.lab.root().net()?;
        for _ in 0..10_000 {
            if root.links()?.len() == 1 {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let map = value.try_cast::<Map>().ok_or("the script returns no map")?;
        let get = |key: &str| map.get(key).ok_or_else(|| format!("the script returns no `{key}`"));
        let time = |key| Ok::<_, Box<dyn Error>>(Duration::from_secs_f64(get(key)?.as_float()?));
        let number = |key| Ok::<_, Box<dyn Error>>(get(key)?.as_int()?.try_into()?);
        Ok(Run {
            build: time("build")?,
            probe: time("probe")?,
            delete: time("delete")?,
            sent: number("sent")?,
            received: number("received")?,
        })
    }
}

fn why(stop: &Stop) -> String {
    match stop {
        Stop::Failed(diagnostic) => diagnostic.render(Palette::PLAIN, 160),
        Stop::Exit(code) => format!("the script ended with {code}"),
        Stop::Interrupted => "interrupted".into(),
        Stop::OutputLost(_) => "the output is lost".into(),
    }
}

/// Prints one row. Returns whether every echo came back, for floor and script alike.
fn report(name: &str, floors: &[Run], scripts: &[Run]) -> bool {
    let ratio = |part: fn(&Run) -> Duration| {
        let [floor, script] = [floors, scripts].map(|runs| Times::of(runs.iter().map(part)).median);
        script / floor
    };
    let total = |run: &Run| run.build + run.probe + run.delete;
    let [floor, script] = [floors, scripts].map(|runs| Times::of(runs.iter().map(total)).to_string());
    let counts = |runs: &[Run]| {
        let [sent, received] =
            [|run: &Run| run.sent, |run: &Run| run.received].map(|of| runs.iter().map(of).sum::<u32>());
        (sent, received)
    };
    let ((sent, floor_received), (script_sent, script_received)) = (counts(floors), counts(scripts));
    let right = sent == script_sent && sent == floor_received && sent == script_received;
    print(&format!(
        "{name:<19}{floor:^22}{script:^22}{:>6.2}  {:>6.2}{:>7.2}{:>8.2}   {floor_received} and {script_received} of {sent}{}\n",
        ratio(total),
        ratio(|run| run.build),
        ratio(|run| run.probe),
        ratio(|run| run.delete),
        if right { "" } else { "  WRONG" },
    ));
    right
}

/// Sorted times, in milliseconds.
struct Times {
    median: f64,
    least: f64,
    most: f64,
}

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(times.len() / 2), least: at(0), most: at(times.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 100.0 { 2 } else { 0 };
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}

/// Measures whole processes, from start to end, against `ip -V`, a small program that does nothing.
fn processes(rounds: usize) -> Fallible<()> {
    let nslab = env!("CARGO_BIN_EXE_nslab");
    let two_nodes = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scripts/two_nodes.rhai");
    let commands: [(&str, &[&str]); 4] = [
        ("ip -V", &["ip", "-V"]),
        ("nslab --version", &[nslab, "--version"]),
        ("nslab -c '()'", &[nslab, "-c", "()"]),
        ("nslab run two_nodes.rhai", &[nslab, "run", two_nodes]),
    ];
    let mut times = commands.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((name, words), times) in commands.iter().zip(&mut times) {
            // The kernel still removes a lab after its process has ended.
            thread::sleep(GAP / 3);
            #[expect(clippy::disallowed_methods, reason = "the benchmark measures whole processes")]
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
            let start = Instant::now();
            match command.status() {
                Ok(status) if status.success() => times.push(start.elapsed()),
                Ok(status) => return Err(format!("`{name}` ended with {status}").into()),
                Err(error) => return Err(format!("`{name}`: {error}").into()),
            }
        }
    }
    print(&format!("{rounds} rounds of whole processes; median (range) in ms\n\n"));
    let times = times.map(|times| Times::of(times.into_iter()));
    for ((name, _), time) in commands.iter().zip(&times) {
        print(&format!(
            "{name:<26}{:^22}{:>6.2} x {}\n",
            time.to_string(),
            time.median / times[0].median,
            commands[0].0
        ));
    }
    print("\n");
    Ok(())
}
