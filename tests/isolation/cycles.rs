//! What comes and goes leaves nothing behind in a process that lives on.

use crate::common::{run, stdout};

/// Counts descriptors, threads and mounts of the interpreter, and namespaces and processes of the lab.
///
/// A limit of N+1 namespaces lets one more be made if there are N at most, so a probe that fails makes none.
const COUNTS: &str = r#"
fn counts() {
    exec(["sh", "-c", `
        p=$PPID
        sleep 0.05   # the thread that started this shell is still ending
        set -- /proc/[0-9]*; echo processes $#
        set -- /proc/$p/fd/*; echo descriptors $#
        set -- /proc/$p/task/*; echo threads $#
        set -- /sys/class/net/*; echo links $#
        echo mounts $(wc -l < /proc/$p/mountinfo)`]).stdout
}
fn at_most(n) {
    exec(["sh", "-c", `
        echo ${n + 1} > /proc/sys/user/max_net_namespaces
        unshare -n true 2> /dev/null; r=$?
        echo 20000 > /proc/sys/user/max_net_namespaces
        exit $r`]).ok
}
fn namespaces() {
    let n = 0;
    while !at_most(n) { n += 1; }
    n
}
// The kernel frees them later, one after the other for the whole machine.
fn settle(n) {
    wait_until(|| at_most(n) && links().len == 1, #{timeout: "1m"});
}
// The thread that watched the last program ends later, too.
fn same_again(n, before) {
    settle(n);
    let same = attempt(|| wait_until(|| counts() == before, #{timeout: "10s"})).ok;
    if !same { check counts() == before; }
    print(before + `namespaces ${n}`);
}
"#;

fn measure(what: &str, body: &str) {
    let begin = std::time::Instant::now();
    let output = stdout(&run(&[COUNTS, body].concat()));
    println!("{what} in {:.1?}: {}", begin.elapsed(), output.trim().replace('\n', ", "));
}

#[trial(user_namespace)]
fn ten_thousand_namespaces_come_and_go() {
    measure(
        "10,000 namespaces with a cable",
        r#"
// The end in the root namespace goes with the other end, but later: each has a name of its own.
fn cycle(n) {
    let ns = netns("node");
    veth(`port${n}`, ns, "eth0");
    delete(ns);
}
let at_first = namespaces();
for n in 0..100 { cycle(n); }
settle(at_first);
let before = counts();
for n in 0..10000 { cycle(n); }
same_again(at_first, before);
"#,
    );
}

#[trial(user_namespace)]
fn processes_sandboxes_and_pings_come_and_go() {
    measure(
        "200 programs run, 500 started and waited for, 50 sandboxes, 200 pings",
        r#"
fn run_one(ns) { check exec(ns, "true").ok; }
fn start_one(ns) { check wait(start(ns, "true")).code == 0; }
fn sandbox() { check exec(unshare(["pid", "mount"]), "true").ok; }
fn ping_one() {
    let a = netns(); let b = netns();
    let cable = veth(a, "eth0", b, "eth0");
    up(cable.a, "10.0.0.1/24"); up(cable.b, "10.0.0.2/24");
    addr(cable.a, "fd00::1/64"); addr(cable.b, "fd00::2/64");
    check ping(a, "10.0.0.2").ok;
    check ping(a, "fd00::2").ok;
    delete(a); delete(b);
}
let ns = netns("node");
fn all(ns, runs, starts, sandboxes, pings) {
    for n in 0..runs { run_one(ns); }
    for n in 0..starts { start_one(ns); }
    for n in 0..sandboxes { sandbox(); }
    for n in 0..pings { ping_one(); }
}
let at_first = namespaces();
all(ns, 10, 10, 3, 10);
settle(at_first);
let before = counts();
all(ns, 200, 500, 50, 100);
same_again(at_first, before);
"#,
    );
}
