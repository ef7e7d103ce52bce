//! What a machine looks like: taken before and after, and compared.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::common::both;

/// What a machine looks like, by aspect.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// Sysctls that change by themselves, or by being read.
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

/// Reads links, addresses, routes, rules, packet filter, mounts, names, sysctls.
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
        ("run", "find /run -printf '%y %m %U %G %p %l\\n' 2>&1 | grep -v /nslab-test- | sort"), // those are of other trials
    ] {
        all.insert(name.into(), tool(script));
    }
    let sysctls = tool("cd /proc/sys && find . -type f -perm /444 | sort");
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok().map(|text| format!("{name} = {text}"));
    let names = sysctls.lines().map(|line| line.trim_start_matches("./"));
    let steady = names.filter(|name| !VOLATILE.iter().any(|volatile| name.starts_with(volatile)));
    all.insert("sysctls".into(), steady.filter_map(read).collect());
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
