//! What all trials need: the program, namespaces to be in, waiting, looking.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The variable that gives this program a role.
pub(crate) const ROLE: &str = "NSLAB_TEST_ROLE";

/// The variable by which a trial knows its processes.
pub(crate) const TAG: &str = "NSLAB_TEST_TAG";

/// How long anything may take: a machine under load is slow, a defect takes for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub(crate) fn nslab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nslab"));
    command.stdin(Stdio::null());
    command
}

/// Runs `script` in a lab and returns what came of it.
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

/// The standard output of a success.
#[track_caller]
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, both(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Both outputs.
pub(crate) fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a real tool; its standard output.
#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{script}: {}", both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs this program again in `role`, in the new namespaces that the options of `unshare(1)` name, after `setup`.
#[track_caller]
pub(crate) fn in_role(role: &str, unshare: &[&str], setup: &str) {
    let own = std::env::current_exe().unwrap();
    // The shell is PID 1: it reaps whatever comes down to it.
    let output = Command::new("unshare")
        .args(unshare)
        .args(["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c"])
        .arg(format!("{setup}\n\"$0\"; exit $?"))
        .arg(&own)
        .env(ROLE, role)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "as {role}: {}\n{}", output.status, both(&output));
    // The figures are part of the result.
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
}

/// A machine of its own: links, mounts, `/run`, processes. `/` is shared, as systemd makes it.
pub(crate) fn in_pretend_host(role: &str) {
    let setup = "set -e; mount --make-rshared /; mount -t tmpfs tmpfs /run; ip link set lo up; set +e";
    in_role(role, &["--net", "--mount", "--uts", "--ipc", "--propagation", "private"], setup);
}

/// A user namespace of its own, in which the kernel counts namespaces exactly.
pub(crate) fn in_counted_user_namespace(role: &str) {
    let setup = "set -e; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; set +e";
    in_role(role, &["--user", "--map-root-user", "--net", "--mount", "--uts", "--ipc"], setup);
}

/// Waits until `done` holds, looking often.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_micros(300));
    }
    start.elapsed()
}

/// All processes that we can see.
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

/// The processes that have `tag`, dead ones that nobody has waited for left out.
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

/// The keeper of a front, and the interpreter of that, when both are there.
pub(crate) fn keeper_and_interpreter(front: i32) -> (i32, i32) {
    let mut found = (0, 0);
    wait_for("keeper and interpreter", || {
        let keeper = children(front).first().copied();
        let interpreter = keeper.and_then(|keeper| children(keeper).first().copied());
        found = (keeper.unwrap_or(0), interpreter.unwrap_or(0));
        interpreter.is_some()
    });
    found
}

/// All scripts of the repository that run by themselves.
pub(crate) fn scripts() -> Vec<PathBuf> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, into);
            } else if entry.extension().is_some_and(|extension| extension == "rhai") {
                into.push(entry);
            }
        }
    }
    let mut all = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"), &mut all);
    all.sort();
    all
}

/// The program and the scripts where any user can read them.
pub(crate) struct Public(tempfile::TempDir);

impl Public {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("nslab");
        fs::copy(env!("CARGO_BIN_EXE_nslab"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
        let copied = Command::new("cp").arg("-r").arg(from).arg(folder.path().join("scripts")).status().unwrap();
        assert!(copied.success());
        sh(&format!("chmod -R a+rX '{}'", folder.path().display()));
        Self(folder)
    }

    /// The program, as a user without any right.
    pub(crate) fn as_nobody(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(self.0.path().join("nslab"));
        command.stdin(Stdio::null()).current_dir("/");
        command
    }

    /// Where `script` of the repository is.
    pub(crate) fn script(&self, script: &Path) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
        self.0.path().join("scripts").join(script.strip_prefix(from).unwrap())
    }
}

/// What a machine looks like, by aspect.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// Settings that change by themselves, or by looking at them.
const VOLATILE: [&str; 14] = [
    "kernel/random/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/tainted",
    "kernel/sched_domain",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/aio-nr",
    "fs/epoll",
    "net/netfilter/nf_conntrack_count",
    "vm/stat_refresh",
    "dev/cdrom",
];

/// Looks at the machine: links, addresses, routes, rules, packet filter, mounts, names, settings.
pub(crate) fn snapshot() -> Snapshot {
    let tool = |script: &str| {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        both(&output)
    };
    let mut all = Snapshot::new();
    // Counters and lifetimes change by themselves.
    for (name, script) in [
        // The first "up" of a link gives it a queue for good.
        ("links", "ip -o -d link | sed 's/qdisc noop /qdisc noqueue /'"),
        ("addresses", "ip -o addr | sed 's/ *valid_lft.*//; s/ tentative//; s/ nodad//'"),
        ("routes", "ip route show table all | sort; ip -6 route show table all | sed 's/ expires [0-9]*sec//' | sort"),
        ("rules", "ip rule; ip -6 rule"),
        // The number that a namespace gets with the first link into it stays.
        ("names", "ip netns list | sed 's/ (id.*//' | sort"),
        ("nft", "nft list ruleset"),
        ("mounts", "cat /proc/self/mountinfo"),
        ("run", "find /run -printf '%y %m %U %G %p %l\\n' 2>&1 | sort"),
    ] {
        all.insert(name.into(), tool(script));
    }
    let settings = tool("cd /proc/sys && find . -type f -perm /444 | sort");
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok().map(|text| format!("{name} = {text}"));
    let names = settings.lines().map(|line| line.trim_start_matches("./"));
    let steady = names.filter(|name| !VOLATILE.iter().any(|volatile| name.starts_with(volatile)));
    all.insert("settings".into(), steady.filter_map(read).collect());
    all
}

/// Fails with the lines that differ.
#[track_caller]
pub(crate) fn assert_equal(what: &str, before: &Snapshot, after: &Snapshot) {
    let differing = difference(before, after);
    assert!(differing.is_empty(), "{what}: not as before\n{differing}");
}

/// The lines that only one of them has.
pub(crate) fn difference(before: &Snapshot, after: &Snapshot) -> String {
    let mut text = String::new();
    for (aspect, old) in before {
        let new = &after[aspect];
        for (sign, here, there) in [('-', old, new), ('+', new, old)] {
            for line in here.lines().filter(|line| !there.lines().any(|other| other == *line)) {
                text.push_str(&[aspect, ": ", &sign.to_string(), " ", line, "\n"].concat());
            }
        }
        if text.is_empty() && old != new {
            text.push_str(&[aspect, ": the order of the lines\n"].concat());
        }
    }
    text
}
