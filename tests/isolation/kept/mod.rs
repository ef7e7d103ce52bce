//! Kept labs: they outlive their fronts and terminals, end at once, and are their user's alone.

mod typed;

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use super::kills::{Random, in_parallel, seed};
use super::oracle::{FREE, State};
use crate::common::{NOBODY, NSLAB, Shell, TAG, both, feed, nslab, stdout, tagged, wait_for, wait_until_none_has};

/// A lab with a namespace that has a name, and one that has none and a program in it.
const LAB: &str = r#"netns("a"); let nameless = netns(); let p = start(nameless, "sleep 1000"); print("made");"#;

/// A user, with a lab that has the name and the tag `name`. The lab is ended at the end, also of a trial that fails.
struct Owner {
    uid: Option<u32>,
    name: String,
    directory: TempDir,
}

impl Owner {
    fn new(name: &str, uid: Option<u32>) -> Self {
        let shell = uid.map_or_else(Shell::new, |uid| Shell::new().user(uid)); // finds out whether that user can have a lab
        let program = shell.program();
        let directory = tempfile::Builder::new().prefix("nslab-test-").tempdir().unwrap();
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), everyone).unwrap();
        let reachable = directory.path().join("nslab");
        if fs::hard_link(&program, &reachable).is_err() {
            fs::copy(program, reachable).unwrap();
        }
        fs::write(directory.path().join("lab.rhai"), LAB).unwrap();
        let uid = uid.filter(|_| geteuid().is_root());
        Self { uid, name: format!("{name}-{}", std::process::id()), directory }
    }

    /// Root and an ordinary user, or without root the user of the tests.
    fn each(name: &str) -> Vec<Self> {
        let nobody = Self::new(&format!("{name}-nobody"), Some(NOBODY));
        if geteuid().is_root() { vec![Self::new(name, None), nobody] } else { vec![nobody] }
    }

    fn program(&self) -> PathBuf {
        self.directory.path().join("nslab")
    }

    fn nslab(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(words).env(TAG, &self.name).env("HOME", self.directory.path()).stdin(Stdio::null());
        command.current_dir(self.directory.path());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.nslab(words).output().unwrap()
    }

    /// Makes a lab and keeps it; returns the PID of its keeper.
    fn keep(&self) -> i32 {
        let output = self.output(&["run", &format!("--keep={}", self.name), "lab.rhai"]);
        assert_eq!(stdout(&output), "made\n");
        assert!(both(&output).contains(&format!("is kept until `nslab stop {}`", self.name)), "{}", both(&output));
        self.keeper().expect("the lab is listed")
    }

    /// The PID of the keeper, if `ps` shows the lab.
    fn keeper(&self) -> Option<i32> {
        let list = stdout(&self.output(&["ps"]));
        let words = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words[0] == self.name).find_map(|words| words[1].parse().ok())
    }

    /// What a script prints in the lab.
    fn attached(&self, script: &str) -> String {
        stdout(&feed(&mut self.nslab(&["attach", &self.name]), script))
    }

    fn stop(&self) {
        assert_eq!(stdout(&self.output(&["stop", &self.name])), format!("the lab `{}` has ended\n", self.name));
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.nslab(&["stop", &self.name]).output();
    }
}

#[trial]
fn a_kept_lab_has_all_that_the_script_made() {
    for owner in Owner::each("all") {
        owner.keep();
        let list = stdout(&owner.output(&["ps"]));
        let line = list.lines().find(|line| line.starts_with(&owner.name)).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        let run = format!("--keep={}", owner.name);
        assert!(words[0].ends_with('s'), "{line}");
        assert_eq!(words[1..], ["1", "1", "nslab", "run", &run, "lab.rhai"], "{line}");
        // The namespace without a name lives, with its program, since the interpreter holds it.
        let script = r#"
            print(netns_list().map(|ns| ns.name));
            print(exec(["sh", "-c", "for p in /proc/[0-9]*; do test $(cat $p/comm) = sleep && test $(readlink $p/ns/net) != $(readlink /proc/1/ns/net) && echo apart; done"]));
            exec(unshare(["pid", "mount"]), "true").ok
        "#;
        let said = owner.attached(script);
        assert!(said.contains("apart") && said.contains('a') && said.ends_with("true\n"), "{said}");
        owner.stop();
        wait_until_none_has(&owner.name);
        assert_eq!(owner.output(&["attach", &owner.name]).status.code(), Some(2));
        assert_eq!(owner.output(&["stop", &owner.name]).status.code(), Some(2));
    }
}

#[trial]
fn it_holds_no_stream_of_its_session() {
    let owner = Owner::new("streams", None);
    let mut child = owner
        .nslab(&["run", &format!("--keep={}", owner.name), "lab.rhai"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap(); // the end of file comes while the lab runs
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success() && owner.keeper().is_some(), "{text}");
    let keeper = owner.keeper().unwrap();
    for pid in tagged(&owner.name) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let terminal = stat.rsplit_once(") ").unwrap().1.split(' ').nth(4).unwrap().to_owned();
        assert_eq!(terminal, "0", "{pid} has a controlling terminal (the keeper is {keeper})");
    }
}

#[trial]
fn a_name_is_given_once() {
    let owner = Owner::new("once", None);
    owner.keep();
    let again = owner.output(&["run", &format!("--keep={}", owner.name), "lab.rhai"]);
    assert_eq!(again.status.code(), Some(2));
    let said = both(&again);
    assert!(said.contains("is kept already: PID") && !said.contains("made"), "{said}"); // before the script runs
    for (name, why) in [("7", "is the PID of a lab"), ("../a", "it contains '/'"), ("-a", "it begins with")] {
        let refused = owner.output(&["run", &format!("--keep={name}"), "lab.rhai"]);
        assert!(refused.status.code() == Some(2) && both(&refused).contains(why), "{}", both(&refused));
    }
    let host = owner.output(&["--host", "run", "--keep", "lab.rhai"]);
    assert!(host.status.code() == Some(2) && both(&host).contains("with `--host` there is none"), "{}", both(&host));
}

/// A script that fails is kept as well; one that Ctrl-C ends is not.
#[trial]
fn the_status_is_the_scripts() {
    let owner = Owner::new("status", None);
    fs::write(owner.directory.path().join("fails.rhai"), "netns(\"a\"); check 1 == 2;").unwrap();
    let output = owner.output(&["run", &format!("--keep={}", owner.name), "fails.rhai"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(owner.keeper().is_some());
    owner.stop();
    fs::write(owner.directory.path().join("waits.rhai"), r#"print("on"); sleep("100s")"#).unwrap();
    let mut command = owner.nslab(&["run", &format!("--keep={}", owner.name), "waits.rhai"]);
    let mut front = command.stdout(Stdio::piped()).spawn().unwrap();
    front.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    kill(Pid::from_raw(i32::try_from(front.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(front.wait().unwrap().code(), Some(130));
    wait_until_none_has(&owner.name);
}

#[trial]
fn a_killed_keeper_leaves_nothing() {
    for owner in Owner::each("killed") {
        let keeper = owner.keep();
        kill(Pid::from_raw(keeper), Signal::SIGKILL).unwrap();
        wait_until_none_has(&owner.name);
        assert_eq!(owner.keeper(), None);
    }
}

#[trial(root)]
fn another_user_is_refused() {
    let owner = Owner::new("mine", Some(NOBODY));
    let keeper = owner.keep().to_string();
    for uid in [NOBODY - 1, 0] {
        let mut other = Owner::new("other", Some(uid));
        let list = stdout(&other.output(&["ps"]));
        assert!(!list.contains(&owner.name), "{list}");
        for words in [["attach", &owner.name], ["attach", &keeper], ["stop", &owner.name], ["stop", &keeper]] {
            let refused = other.output(&words);
            assert_eq!(refused.status.code(), Some(2), "{words:?}: {}", both(&refused));
            assert!(both(&refused).contains("you have no lab"), "{}", both(&refused));
        }
        other.name = "none".into(); // nothing to stop
    }
    assert!(owner.keeper().is_some());
}

/// SIGKILL of the front at random moments about the end of the script. If it said that the lab is kept, it is.
#[trial(user_namespace, ip)]
fn the_front_ends_the_lab_before_it_is_kept_and_not_after() {
    let before = State::now();
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let script = directory.path().join("lab.rhai");
    fs::write(&script, "print(\"end\")").unwrap();
    let stop = |name: &str| nslab().args(["stop", name]).output().unwrap().status.success();
    let counts = std::sync::Mutex::new([0; 3]);
    in_parallel(200, |n| {
        let name = format!("random-{n}");
        let mut command = nslab();
        command.args(["run", &format!("--keep={name}")]).arg(&script).env(TAG, &name);
        let mut front = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = front.stdout.as_mut().unwrap().read_exact(&mut [0; 4]); // the script is at its end
        std::thread::sleep(Duration::from_micros(Random::new(seed() + n as u64).below(4_000)));
        front.kill().unwrap();
        front.wait().unwrap();
        let mut said = String::new();
        let stderr = front.stderr.take().unwrap();
        // The lab's processes have it too, until they see the end of the front.
        std::io::BufReader::new(stderr).read_to_string(&mut said).unwrap();
        let is_kept = wait_for_decision(&name);
        assert!(is_kept || !said.contains("is kept until"), "{name} is not there, but: {said}");
        counts.lock().unwrap()[usize::from(is_kept) + usize::from(is_kept && said.is_empty())] += 1;
        assert_eq!(stop(&name), is_kept, "{name}: {said}");
        wait_until_none_has(&name);
    });
    let [ended, kept, silent] = counts.into_inner().unwrap();
    println!("200 kills: {ended} labs ended, {kept} were kept, {silent} of them without a word");
    drop(directory);
    before.is_back_within(FREE).unwrap();
}

/// Waits until all processes with the tag are gone, or the lab is one that `ps` shows as kept; returns which.
fn wait_for_decision(name: &str) -> bool {
    let mut is_kept = false;
    wait_for("a lab that is kept, or gone", || {
        let list = stdout(&nslab().arg("ps").output().unwrap());
        is_kept = list.lines().any(|line| line.split_whitespace().next() == Some(name)) && front_is_gone(name);
        is_kept || tagged(name).is_empty()
    });
    is_kept
}

/// Whether the keeper has seen the end of the front: then it leads a session.
fn front_is_gone(name: &str) -> bool {
    let keepers = tagged(name)
        .into_iter()
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "nslab-keeper\n"));
    let leads = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(3) == Some(&pid.to_string()))
    };
    keepers.into_iter().any(leads)
}

#[trial(user_namespace, ip)]
fn two_hundred_kept_labs_leave_nothing() {
    let before = State::now();
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let script = directory.path().join("lab.rhai");
    fs::write(&script, LAB).unwrap();
    in_parallel(200, |n| {
        let name = format!("cycle-{n}");
        let succeeds = |output: Output| assert!(output.status.success(), "{name}: {}", both(&output));
        succeeds(nslab().args(["run", &format!("--keep={name}")]).arg(&script).env(TAG, &name).output().unwrap());
        let change = r#"veth("v0", netns("b"), "v1"); start("sleep 1000"); exec(open_netns("a"), "true").ok"#;
        succeeds(feed(nslab().args(["attach", &name]).env(TAG, &name), change));
        succeeds(nslab().args(["stop", &name]).output().unwrap());
        wait_until_none_has(&name);
    });
    drop(directory);
    before.is_back_within(FREE).unwrap();
}

#[trial]
fn a_program_runs_in_a_kept_lab() {
    for owner in Owner::each("exec") {
        owner.keep();
        let run = |words: &[&str]| owner.output(&[&["exec", "--lab", &owner.name], words].concat());
        assert_eq!(run(&["--", "sh", "-c", "exit 7"]).status.code(), Some(7));
        assert_eq!(run(&["no-such-program"]).status.code(), Some(127));
        assert_eq!(run(&["--ns", "none", "true"]).status.code(), Some(2));
        assert_eq!(stdout(&run(&["--", "sh", "-c", "mkdir /run/made; ls /run/netns; id -u"])), "a\n0\n");
        let of_a = stdout(&run(&["--ns", "a", "--", "readlink", "/proc/self/ns/net"]));
        assert_ne!(of_a, stdout(&run(&["--", "readlink", "/proc/self/ns/net"])));
        assert!(owner.attached("exec(\"ls -d /run/made\")").starts_with("/run/made"));
        // The three streams and the directory that `ls` reads.
        assert_eq!(stdout(&run(&["--", "ls", "/proc/self/fd"])), "0\n1\n2\n3\n");
        let fresh = owner.output(&["--ids", "one", "exec", "--lab", &owner.name, "true"]);
        assert!(
            fresh.status.code() == Some(2) && both(&fresh).contains("decide how a lab is made"),
            "{}",
            both(&fresh)
        );
    }
}

/// A running lab that is not kept has no name, and is known by its PID.
#[trial]
fn a_running_lab_is_listed_and_stopped_by_its_pid() {
    let mut command = Command::new(NSLAB);
    let tag = format!("running-{}", std::process::id());
    command.args(["-c", "print(\"on\"); sleep(\"100s\") /* \u{1b} */"]).env(TAG, &tag).stdout(Stdio::piped());
    let mut front = command.stdin(Stdio::null()).spawn().unwrap();
    front.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    let keeper = crate::common::keeper(i32::try_from(front.id()).unwrap()).unwrap().to_string();
    let list = stdout(&nslab().arg("ps").output().unwrap());
    let line = list.lines().find(|line| line.split_whitespace().nth(1) == Some(&keeper)).expect(&list);
    assert!(line.starts_with('-') && line.contains("nslab -c") && !line.contains('\u{1b}'), "{line}");
    assert_eq!(stdout(&nslab().args(["stop", &keeper]).output().unwrap()), format!("the lab `{keeper}` has ended\n"));
    assert_eq!(front.wait().unwrap().code(), Some(137));
    wait_until_none_has(&tag);
}
