//! Oracles: what is left, counted exactly. Each is shown a leak that was made on purpose.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tools::{in_counted_user_namespace, processes, sh};

/// The kinds whose number the kernel limits for each user namespace, with the options of `unshare(1)`.
const KINDS: [(&str, &str); 6] =
    [("net", "-n"), ("pid", "-p"), ("mnt", "-m"), ("uts", "-u"), ("ipc", "-i"), ("user", "-U")];

/// What a user namespace, with a pid and a mount namespace of its own, holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State(BTreeMap<&'static str, String>);

impl State {
    /// Looks once.
    pub(crate) fn now() -> Self {
        let mut all = BTreeMap::new();
        for (kind, option) in KINDS {
            all.insert(kind, in_use(kind, option).to_string());
        }
        all.insert("processes", format!("{:?}", processes()));
        all.insert("links", sh("ip -o link | cut -d: -f2"));
        all.insert("mounts", fs::read_to_string("/proc/self/mountinfo").unwrap());
        all.insert("files", sh("find /run /dev/shm | sort"));
        Self(all)
    }

    /// Waits until it is like `self` again: the kernel frees namespaces in its own time. What differs if it never is.
    pub(crate) fn is_back_within(&self, limit: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let now = Self::now();
            if now == *self {
                return Ok(start.elapsed());
            }
            if start.elapsed() > limit {
                let differs = self.0.iter().filter(|(what, before)| now.0[*what] != **before);
                let lines = differs.map(|(what, before)| format!("{what}: {before} before, {} now\n", now.0[what]));
                return Err(lines.collect());
            }
        }
    }
}

/// How many namespaces of this kind are counted here: with a limit of that number a new one is refused, with a limit
/// of one more it is made.
fn in_use(kind: &str, option: &str) -> u32 {
    let limit = format!("/proc/sys/user/max_{kind}_namespaces");
    let found = (0..10_000).find(|limit_now| {
        fs::write(&limit, (limit_now + 1).to_string()).unwrap();
        let made = Command::new("unshare").args([option, "true"]).stderr(Stdio::null()).status().unwrap();
        made.success()
    });
    fs::write(&limit, "20000").unwrap();
    found.unwrap()
}

pub(crate) fn sees_seeded_leaks() {
    in_counted_user_namespace("seeded");
}

pub(crate) fn role() {
    let before = State::now();
    before.is_back_within(Duration::from_secs(5)).unwrap();
    let soon = Duration::from_millis(300);
    let must_see = |what: &str, aspect: &str| {
        let seen = before.is_back_within(soon).expect_err(what);
        assert!(seen.contains(aspect), "{what}: {seen}");
    };
    let sleeper = |unshare: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(unshare).args(["sleep", "100"]).stdin(Stdio::null()).spawn().unwrap()
    };
    let end = |mut child: Child| {
        child.kill().unwrap();
        child.wait().unwrap();
        before.is_back_within(Duration::from_secs(5)).unwrap();
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
    let child = sleeper(&["-n"]);
    let file = format!("/proc/{}/ns/net", child.id());
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    super::tools::wait_for("a new namespace", || fs::read_link(&file).is_ok_and(|link| link != own));
    let held = File::open(file).unwrap();
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    must_see("a namespace that a descriptor holds", "net: ");
    drop(held);
    before.is_back_within(Duration::from_secs(5)).unwrap();

    for (make, undo, aspect) in [
        ("mount -t tmpfs x /mnt", "umount /mnt", "mounts"),
        ("ip link add leak0 type veth peer name leak1", "ip link del leak0", "links"),
        ("touch /run/leak", "rm /run/leak", "files"),
    ] {
        sh(make);
        must_see(make, aspect);
        sh(undo);
        before.is_back_within(Duration::from_secs(5)).unwrap();
    }
    println!("{} seeded leaks, each seen, each seen to go", KINDS.len() + 5);
}
