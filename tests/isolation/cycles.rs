//! What comes and goes leaves nothing behind in a process that lives on.

use super::tools::{in_counted_user_namespace, run, stdout};

/// Counts of the interpreter's own: descriptors, threads, mounts, namespaces of the lab, processes of the lab.
const COUNTS: &str = r#"
fn counts() {
    exec(["sh", "-c", `
        p=$PPID
        echo descriptors $(ls /proc/$p/fd | wc -l)
        echo threads $(ls /proc/$p/task | wc -l)
        echo mounts $(wc -l < /proc/$p/mountinfo)
        echo processes $(ls -d /proc/[0-9]* | wc -l)
 `]).stdout + namespaces()
}
fn namespaces() {
    exec(["sh", "-c", `
        n=0
        until echo $((n + 1)) > /proc/sys/user/max_net_namespaces; unshare -n true 2> /dev/null; do n=$((n + 1)); done
        echo 20000 > /proc/sys/user/max_net_namespaces
        echo namespaces $n`], #{timeout: "1m"}).stdout
}
// The kernel frees in its own time.
fn settled(at_first) {
    wait_until(|| namespaces() == at_first, #{timeout: "10s"});
    counts()
}
fn same_again(before) {
    let r = attempt(|| wait_until(|| counts() == before, #{timeout: "10s"}));
    if !r.ok { print(`before\n${before}after\n${counts()}`); }
    check r.ok;
    print(before);
}
"#;

fn measure(what: &str, body: &str) {
    let begin = std::time::Instant::now();
    let output = stdout(&run(&[COUNTS, body].concat()));
    println!("{what} in {:.1?}: {}", begin.elapsed(), output.trim().replace('\n', ", "));
}

pub(crate) fn namespaces() {
    in_counted_user_namespace("namespaces");
}

pub(crate) fn namespaces_role() {
    measure(
        "10,000 namespaces with a cable",
        r#"
fn cycle() {
    let ns = netns("node");
    let cable = veth("port", ns, "eth0");
    delete(cable.a);
    delete(ns);
}
let at_first = namespaces();
for n in 0..100 { cycle(); }
let before = settled(at_first);
for n in 0..10000 { cycle(); }
same_again(before);
"#,
    );
}

pub(crate) fn processes() {
    in_counted_user_namespace("processes");
}

pub(crate) fn processes_role() {
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
let before = settled(at_first);
all(ns, 200, 500, 50, 100);
same_again(before);
"#,
    );
}
