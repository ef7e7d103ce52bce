//! Oracles: what is left, counted exactly. Each is shown a leak that was made on purpose.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{processes, sh, wait_for};

/// The namespace types whose number the kernel limits for each user namespace, with the options of `unshare(1)`.
const KINDS: [(&str, &str); 6] =
    [("net", "-n"), ("pid", "-p"), ("mnt", "-m"), ("uts", "-u"), ("ipc", "-i"), ("user", "-U")];

/// The time that the kernel may take to free what no process holds, on a machine with other work.
pub(crate) const FREE: Duration = Duration::from_secs(20);

/// What a user namespace, with a pid and a mount namespace of its own, holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State(BTreeMap<&'static str, String>);

impl State {
    /// The state at this moment.
    pub(crate) fn now() -> Self {
        let mut all = BTreeMap::new();
        for (kind, option) in KINDS {
            all.insert(kind, in_use(kind, option).to_string());
        }
        all.extend(Self::others());
        Self(all)
    }

    /// The parts that are read and not counted.
    fn others() -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::new();
        all.insert("processes", format!("{:?}", processes()));
        all.insert("links", sh("ip -o link | cut -d: -f2"));
        all.insert("mounts", fs::read_to_string("/proc/self/mountinfo").unwrap());
        all.insert("files", sh("find /run /dev/shm | sort"));
        all
    }

    /// Waits until the state is `self` again, since the kernel frees namespaces later. Fails with what differs.
    pub(crate) fn is_back_within(&self, limit: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let back = KINDS.iter().all(|(kind, option)| at_most(self.0[kind].parse().unwrap(), kind, option));
            if back && Self::others() == self.others_of() {
                return Ok(start.elapsed());
            }
            if start.elapsed() > limit {
                let now = Self::now();
                let differs = self.0.iter().filter(|(what, before)| now.0[*what] != **before);
                let lines = differs.map(|(what, before)| format!("{what}: {before} before, {} now\n", now.0[what]));
                return Err(lines.collect());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn others_of(&self) -> BTreeMap<&'static str, String> {
        let is_count = |what: &str| KINDS.iter().any(|(kind, _)| *kind == what);
        self.0.iter().filter(|(what, _)| !is_count(what)).map(|(what, text)| (*what, text.clone())).collect()
    }
}

/// Whether at most `count` namespaces of this type are counted here: then a limit of one more lets one be made. Otherwise
/// none is made, so the probe changes nothing.
fn at_most(count: u32, kind: &str, option: &str) -> bool {
    let limit = format!("/proc/sys/user/max_{kind}_namespaces");
    fs::write(&limit, (count + 1).to_string()).unwrap();
    let made = Command::new("unshare").args([option, "true"]).stderr(Stdio::null()).status().unwrap();
    fs::write(&limit, "20000").unwrap();
    made.success()
}

/// The number of namespaces of this type that are counted here.
fn in_use(kind: &str, option: &str) -> u32 {
    (0..10_000).find(|count| at_most(*count, kind, option)).unwrap()
}

#[trial(user_namespace, ip)]
fn every_oracle_sees_a_seeded_leak() {
    let before = State::now();
    before.is_back_within(FREE).unwrap();
    let soon = Duration::from_millis(300);
    let must_see = |what: &str, aspect: &str| {
        let seen = before.is_back_within(soon).expect_err(what);
        assert!(seen.contains(aspect), "{what}: {seen}");
    };
    let sleeper = |unshare: &[&str]| {
        let mut command = Command::new("unshare");
        let child = command.args(unshare).args(["sleep", "100"]).stdin(Stdio::null()).spawn().unwrap();
        // The oracle lowers the limits as it counts: unshare(1) must be through by then.
        let comm = format!("/proc/{}/comm", child.id());
        wait_for("the program in its namespace", || fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n"));
        child
    };
    let end = |mut child: Child| {
        child.kill().unwrap();
        child.wait().unwrap();
        before.is_back_within(FREE).unwrap();
    };

    let child = sleeper(&[]);
    must_see("a process", "processes");
    end(child);

    for (kind, option) in KINDS {
        let child = sleeper(&[option]);
        must_see("a namespace with a process in it", kind);
        end(child);
    }

    // A descriptor alone: no process is in it, no list shows it.
    let mut child = sleeper(&["-n"]);
    let held = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    must_see("a namespace that a descriptor holds", "net: ");
    drop(held);
    before.is_back_within(FREE).unwrap();

    for (make, undo, aspect) in [
        ("mount -t tmpfs x /mnt", "umount /mnt", "mounts"),
        ("ip link add leak0 type veth peer name leak1", "ip link del leak0", "links"),
        ("touch /run/leak", "rm /run/leak", "files"),
    ] {
        sh(make);
        must_see(make, aspect);
        sh(undo);
        before.is_back_within(FREE).unwrap();
    }
    println!("{} seeded leaks, each seen, each seen to go", KINDS.len() + 5);
}
