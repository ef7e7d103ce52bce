//! Errors that strace(1) injects into system calls: each ends in an error that names an operation, or does no harm.
//! Nothing hangs, no panic is seen, nothing is left, and the terminal is as it was.

use std::collections::BTreeMap;
use std::env;
use std::sync::Mutex;
use std::time::Instant;

use self::run::{Run, run};
use super::kills::{Random, in_parallel, seed};
use super::oracle::{FREE, State};

mod run;

/// The number of injections; the variable overrides it.
const INJECTIONS: usize = 400;
const INJECTIONS_VARIABLE: &str = "NSLAB_TEST_INJECTIONS";

/// The variable that names one injection to repeat, as a failure prints it: `script openat:error=EIO:when=25`.
const ONE_VARIABLE: &str = "NSLAB_TEST_INJECTION";

const ERRORS: [&str; 7] = ["EIO", "ENOMEM", "EPERM", "EMFILE", "EINTR", "EAGAIN", "ENOSPC"];

/// Calls that the kernel never refuses, or not with these numbers, and those that do not return. `close` is among them: where
/// an error is injected the descriptor stays open, while the kernel closes it whatever it reports.
const NEVER: [&str; 15] = [
    "clock_nanosleep",
    "close",
    "close_range",
    "exit",
    "exit_group",
    "geteuid",
    "getpgrp",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "restart_syscall",
    "rt_sigprocmask",
    "rt_sigreturn",
    "umask",
];

/// Memory, threads, signals: the C library and Rust's runtime make these calls, and some end the process at once.
const OF_THE_RUNTIME: [&str; 19] = [
    "arch_prctl",
    "brk",
    "clone",
    "clone3",
    "execve",
    "futex",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "rseq",
    "rt_sigaction",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "vfork",
];

/// It writes no sysctl that needs the lock of rtnetlink, such as `ip_forward`: while another has the lock, the kernel
/// restarts the call without end (`restart_syscall`), each time with two stops for strace.
const SCRIPT: &str = r#"
let sw = netns("sw");
let a = netns("a");
let br = up(bridge(sw, "br0"), "10.0.0.2/24");
let c = veth(sw, "p1", a, "eth0");
up(set_master(c.a, br));
up(c.b, "10.0.0.1/24");
check ping(a, "10.0.0.2").ok;
check exec(a, "true").code == 0;
let p = start(a, ["sleep", "100"]);
sysctl(a, "net.ipv4.ip_default_ttl", 1);
print(sysctl(a, "net.ipv4.ip_default_ttl"));
print(netns_list().map(|n| n.name));
print(holders(a).map(|h| h.command).contains("sleep"));
print(links(a).map(|l| l.name));
print(ns_list(p.pid).len());
print(routes(a).len());
print(type_of(firewall(a)));
print(processes().len());
print(c.a.peer.name);
sleep("1ms");
kill(p, "KILL");
check wait(p, #{timeout: "5s"}).signal == 9;
delete(c.a);
delete(a);
print(netns_list().map(|n| n.name));
"#;

/// A first process that dies while strace has it does not end: the tracer of a PID 1 makes it run on. So it has no part
/// in injections into the runtime.
const SANDBOX: &str = r#"
let box = unshare(["pid", "mount", "uts"]);
check exec(box, ["echo", "hi"]).stdout == "hi\n";
release(box);
"#;

/// How the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// A script. strace comes after the loader, while the program waits for the script's text.
    Script,
    /// A script, then the editor on a terminal.
    Terminal,
    /// strace starts the program, so that the calls at the beginning of `main` are among those that fail.
    Start,
}

impl Way {
    const ALL: [Self; 3] = [Self::Script, Self::Terminal, Self::Start];

    fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Terminal => "terminal",
            Self::Start => "start",
        }
    }
}

/// One injection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Point {
    way: Way,
    call: String,
    error: String,
    when: usize,
}

impl Point {
    fn of_the_runtime(&self) -> bool {
        OF_THE_RUNTIME.contains(&self.call.as_str())
    }

    /// As in the option of strace.
    fn text(&self) -> String {
        format!("{}:error={}:when={}", self.call, self.error, self.when)
    }

    /// What `text` stands for, with the way before it.
    fn parse(text: &str) -> Option<Self> {
        let (way, text) = text.split_once(' ')?;
        let (call, rest) = text.split_once(":error=")?;
        let (error, when) = rest.split_once(":when=")?;
        let way = Way::ALL.into_iter().find(|known| known.word() == way)?;
        Some(Self { way, call: call.into(), error: error.into(), when: when.parse().ok()? })
    }

    fn script(&self) -> String {
        if self.of_the_runtime() { SCRIPT.into() } else { format!("{SCRIPT}{SANDBOX}") }
    }
}

/// What is wrong with a run, by the rules above. `right` is the output of a run without an injection.
fn faults(point: &Point, run: &Run, right: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |is: bool, what: &str| {
        if is {
            faults.push(what.to_owned());
        }
    };
    fault(run.status.is_none(), "it does not end");
    fault(!run.left.is_empty(), &format!("processes are left: {:?}", run.left));
    fault(run.terminal_differs, "the terminal is not as it was");
    let Some(status) = run.status else { return faults };
    if point.way == Way::Terminal {
        fault(!point.of_the_runtime() && run.stderr.contains("panicked"), "a panic is shown");
        return faults;
    }
    if status.success() {
        // EPERM says that a process is another user's (`hidepid`): `holders` leaves those out.
        let without_holders = point.error == "EPERM" && run.stdout == right.replacen("true", "false", 1);
        fault(run.stdout != right && !without_holders, "the status is 0 and the output is wrong");
        fault(!run.stderr.is_empty(), "the status is 0 and there is an error");
        return faults;
    }
    if point.of_the_runtime() {
        return faults;
    }
    fault(run.stderr.contains("panicked"), "a panic is shown");
    // An error cannot be written where the injection hits the write.
    let is_lost = run.log.lines().any(|line| line.contains("write(2,") && line.contains("INJECTED"));
    fault(!is_lost && !names_an_operation(&run.stderr), "no error that names an operation");
    faults
}

/// Whether there is an error message, and not just the text of an error number.
fn names_an_operation(stderr: &str) -> bool {
    let Some((_, message)) = stderr.split_once("error: ") else { return false };
    let line = message.lines().next().unwrap_or_default();
    let before_the_number = line.split(" (E").next().unwrap_or_default();
    !line.contains("(os error") && (before_the_number == line || before_the_number.contains(": "))
}

/// How often each call is made: the most of one thread, since strace counts each on its own.
fn calls(log: &str) -> BTreeMap<String, usize> {
    let mut each: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *each.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in each {
        let known: &mut usize = most.entry(call.to_owned()).or_default();
        *known = count.max(*known);
    }
    most.retain(|call, _| !NEVER.contains(&call.as_str()));
    most
}

/// For each call of one way the numbers that can be injected: first and last.
fn range_of(way: Way, log: &str) -> BTreeMap<String, (usize, usize)> {
    if way != Way::Start {
        return calls(log).into_iter().map(|(call, count)| (call, (1, count))).collect();
    }
    // From the first call of `main` to the start of the lab; what comes later, the other ways have.
    let front = log.split(' ').next().unwrap();
    let own: Vec<&str> = log.lines().filter(|line| line.starts_with(front)).collect();
    let main = own.iter().position(|line| line.contains("\"/proc/self/fd\"")).expect("the first call of `main`");
    let lab = own.iter().position(|line| line.contains("clone(")).expect("the start of the lab");
    let (before, all) = (calls(&own[..main].join("\n")), calls(&own[..=lab].join("\n")));
    let first = |call: &str| before.get(call).copied().unwrap_or(0) + 1;
    let ranges = all.into_iter().map(|(call, last)| (call.clone(), (first(&call), last)));
    ranges.filter(|(_, (first, last))| first <= last).collect()
}

/// A sample in which each call has the same share.
fn sample(count: usize, ranges: &BTreeMap<Way, BTreeMap<String, (usize, usize)>>) -> Vec<Point> {
    let mut random = Random::new(seed());
    let mut pick = |limit: usize| usize::try_from(random.below(limit as u64)).unwrap();
    let point = |n: usize| {
        // The terminal is slower, and the beginning of `main` is short.
        let way = [Way::Script, Way::Script, Way::Script, Way::Script, Way::Terminal, Way::Start][n % 6];
        let (call, (first, last)) = ranges[&way].iter().nth(pick(ranges[&way].len())).unwrap();
        let (error, when) = (ERRORS[pick(ERRORS.len())], first + pick(last - first + 1));
        Point { way, call: call.clone(), error: error.into(), when }
    };
    (0..count).map(point).collect()
}

#[trial(user_namespace, strace, ip, setsid)]
fn an_injected_error_is_reported_or_harmless() {
    let before = State::now();
    let script = format!("{SCRIPT}{SANDBOX}");
    let records: BTreeMap<Way, Run> = Way::ALL.map(|way| (way, run(way, None, &script, "recorded"))).into();
    for (way, run) in &records {
        let Run { status, stdout, stderr, left, .. } = run;
        let is_right = status.is_some_and(|status| status.success()) && left.is_empty();
        assert!(is_right, "{way:?}: {status:?}, left {left:?}\n{stdout}{stderr}");
    }
    let ranges = records.iter().map(|(way, run)| (*way, range_of(*way, &run.log))).collect();
    let points = match env::var(ONE_VARIABLE) {
        Ok(one) => vec![Point::parse(&one).expect("a point, as a failure prints it")],
        Err(_) => {
            let count = env::var(INJECTIONS_VARIABLE).ok().and_then(|count| count.parse().ok());
            sample(count.unwrap_or(INJECTIONS), &ranges)
        }
    };
    let (begin, failures, hit) = (Instant::now(), Mutex::new(Vec::new()), Mutex::new(0));
    in_parallel(points.len(), |n| {
        let point = &points[n];
        let run = run(point.way, Some(point), &point.script(), &format!("injected-{n}"));
        *hit.lock().unwrap() += usize::from(run.log.contains("INJECTED"));
        let faults = faults(point, &run, &records[&point.way].stdout);
        if !faults.is_empty() {
            let again = format!("{ONE_VARIABLE}='{} {}'", point.way.word(), point.text());
            let Run { status, stdout, stderr, log, .. } = run;
            let log: Vec<&str> = log.lines().filter(|line| line.contains("INJECTED")).take(5).collect();
            failures.lock().unwrap().push(format!(
                "{again}\n{faults:?}\n{status:?}\n--- stdout\n{stdout}--- stderr\n{stderr}--- strace\n{log:#?}"
            ));
        }
    });
    let (failures, hit) = (failures.into_inner().unwrap(), hit.into_inner().unwrap());
    assert!(failures.is_empty(), "{} of {}:\n\n{}", failures.len(), points.len(), failures.join("\n\n"));
    before.is_back_within(FREE).expect("something is left");
    let took = begin.elapsed();
    println!(
        "{} injections ({hit} hit a call) in {took:.1?}: no hang, no panic, no false result, 0 left",
        points.len()
    );
}

/// Controls: each fault is seen.
#[trial(anywhere)]
fn every_fault_of_an_injected_run_is_seen() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    let point = Point::parse("script openat:error=EIO:when=3").unwrap();
    let status = |code: i32| Some(ExitStatus::from_raw(code << 8));
    let run = |code, stdout: &str, stderr: &str| Run {
        status: status(code),
        stdout: stdout.into(),
        stderr: stderr.into(),
        ..Run::default()
    };
    let seen = |run: &Run| faults(&point, run, "right\n").join(", ");
    assert_eq!(seen(&run(0, "right\n", "")), "");
    assert_eq!(seen(&run(2, "", "error: open `x`: Input/output error (EIO 5)\n")), "");
    assert_eq!(seen(&run(1, "", "error: check failed: ping(a).ok\n")), "");
    assert_eq!(seen(&run(0, "", "")), "the status is 0 and the output is wrong");
    assert_eq!(seen(&run(0, "right\n", "error: x\n")), "the status is 0 and there is an error");
    assert_eq!(seen(&run(2, "", "")), "no error that names an operation");
    assert_eq!(seen(&run(2, "", "error: I/O error (EIO 5)\n")), "no error that names an operation");
    assert_eq!(seen(&run(2, "", "error: open: I/O error (os error 5)\n")), "no error that names an operation");
    let panic = "thread 'script' panicked at x\nerror: open `x`: I/O error (EIO 5)\n";
    assert_eq!(seen(&run(70, "", panic)), "a panic is shown");
    assert_eq!(seen(&Run { status: None, ..Run::default() }), "it does not end");
    let left = Run { left: vec!["sleep 100".into()], ..run(0, "right\n", "") };
    assert_eq!(seen(&left), "processes are left: [\"sleep 100\"]");
    assert_eq!(seen(&Run { terminal_differs: true, ..run(0, "right\n", "") }), "the terminal is not as it was");

    let log = "7 read(3, \"\", 1) = 0\n7  read(3, \"\", 1) = 0\n8 read(3, \"\", 1) = 0\n8 getpid() = 8\n8 +++ exited\n";
    assert_eq!(calls(log), BTreeMap::from([("read".into(), 2)]));
}
