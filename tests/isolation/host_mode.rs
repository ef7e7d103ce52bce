//! `--host`, always in a pretend host: what was made is removed, what was there stays, the processes that survive undo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kills::{Random, seed};
use super::snapshot::{Snapshot, assert_equal, snapshot};
use crate::common::{
    NSLAB, Script, TAG, both, children, feed, nslab, processes, sh, stdout, tagged, wait_for, wait_until_none_has,
};

/// How many kills at random moments.
const KILLS: usize = 60;

/// Makes a bit of everything: names, links that move home, addresses, routes, sysctls, programs that leave their session.
const EVERYTHING: &str = r#"
let ns1 = netns("netns1");
let ns2 = netns("netns2");
let cable = veth("veth0", "veth1");
move_to(cable.b, ns1);
up(cable.a, "10.1.1.1/24");
up(cable.b, "10.1.1.2/24");
check ping("10.1.1.2").ok;
move_to(cable.b, 1);
let other = veth(ns1, "x", ns2, "y");
move_to(other.a, host());
let mixed = veth(ns2, "eth0", "port0");
let br = bridge("br7");
set_master(mixed.b, br);
rename(other.a, "uplink");
sysctl("net.ipv4.ip_forward", 1);
add_route("10.9.0.0/16", #{via: "10.1.1.7"});
addr("keep0", "10.66.0.9/24");
set_mtu(link("keep0"), 1300);
add_route("10.67.0.0/16", #{dev: "keep0", metric: 7});
let inside = open_netns("netns1x");
up(inside, "lo");
veth(inside, "a", inside, "b");
start(["sh", "-c", "sleep 1000 & sleep 1000"]);
exec(ns1, ["sh", "-c", "setsid sleep 1001 > /dev/null 2>&1 < /dev/null &"]);
exec(unshare(["pid", "mount", "uts"]), "hostname other");
check "netns1 " in exec("ip netns list").stdout;
"#;

/// Objects of the machine with names like ours, and a default route.
fn decoys() {
    sh("ip netns add netns1x; ip netns add netns; touch /run/netns1; mkdir /run/nslabx
        ip link add veth0x type veth peer name veth1x; ip link add keep0 type veth peer name keep1
        ip link add br7x type bridge
        for l in veth0x veth1x keep0 keep1; do ip link set $l up; done
        ip addr add 10.77.0.1/24 dev veth0x; ip route add default via 10.77.0.254
        ip addr add 10.66.0.1/24 dev keep0; ip -6 addr add fd66::1/64 dev keep0 nodad
        ip route add 10.68.0.0/16 via 10.66.0.2 proto static metric 5
        ip -6 route add fd68::/64 via fd66::2 proto static
        ip -n netns1x link add own0 type veth peer name own1
        sysctl -q -w net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.keep0.forwarding=1
        sleep 1002 > /dev/null 2>&1 &");
    wait_for("IPv6 addresses", || !sh("ip -6 addr").contains("tentative"));
}

/// The pretend host, and what is in the named namespaces that are not ours.
fn look() -> Snapshot {
    let mut all = snapshot();
    all.insert(
        "inside".into(),
        sh("for n in netns netns1x; do ip -n $n -o addr; ip -n $n -o link | sed 's/qdisc noop /qdisc noqueue /'; done"),
    );
    all.insert("sleepers".into(), sh("ps -eo pid,args | grep '[s]leep' || true"));
    all
}

fn host(script: &str) -> Output {
    feed(nslab().args(["--host", "run", "-"]), script)
}

fn start(script: &str, tag: &str) -> Child {
    use std::io::Write;
    let mut command = nslab();
    command.args(["--host", "run", "-"]).env(TAG, tag).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    child
}

/// The same script rootless, as root, and here. No `/run/netns` is there before, so none is there afterwards.
#[trial(pretend_host, nft, ps, hostname)]
fn walkthrough_leaves_the_machine_equal() {
    sh("mkdir /run/mount"); // mount(8), which one of the scripts starts, keeps notes there
    let before = look_without_names();
    let mut passed = 0;
    let scripts: Vec<_> = Script::runnable().into_iter().filter(Script::runs_on_the_machine).collect();
    for script in &scripts {
        let outcome = script.shell(&["--host", "run"]).run();
        // A lesson may require what a machine does not have: a loopback device that is down, a lab without names.
        assert!(outcome.succeeded() || script.name != "walkthrough", "{}", outcome.errors());
        passed += usize::from(outcome.succeeded());
        // What programs make is theirs: no journal has it.
        if script.text.contains("ip netns add") {
            sh("ip -all netns del; umount /run/netns; rmdir /run/netns; true");
        }
        assert_equal(&script.name, &before, &look_without_names());
    }
    println!("{passed} of {} scripts run with --host, the machine is equal after each", scripts.len());
}

fn look_without_names() -> Snapshot {
    let mut all = snapshot();
    all.insert("processes".into(), sh("ps -eo args | grep -c '[s]leep' || true"));
    all
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn ends_of_every_kind_undo_exactly_what_was_made() {
    // Without a /run/netns, and with one.
    for with_names in [false, true] {
        decoys_for(with_names);
        let before = look_for(with_names);
        for (end, code) in [("", 0), ("check 1 == 2;", 1), ("nonsense();", 2), ("exit(3);", 3)] {
            let text = if with_names { EVERYTHING.to_owned() } else { without_foreign_names() };
            let output = host(&[&text, end].concat());
            assert_eq!(output.status.code(), Some(code), "{end}: {}", both(&output));
            assert_equal(&format!("after `{end}`"), &before, &look_for(with_names));
        }
    }
    println!("4 kinds of end, with and without a /run/netns: equal");
}

/// At first the machine has no named namespace, and a device as its only decoy.
fn decoys_for(with_names: bool) {
    if with_names {
        sh("ip link del keep0");
        decoys();
    } else {
        sh("ip link add keep0 type veth peer name keep1; ip link set keep0 up; ip link set keep1 up");
        wait_for("IPv6 addresses", || !sh("ip -6 addr").contains("tentative"));
    }
}

fn look_for(with_names: bool) -> Snapshot {
    if with_names { look() } else { look_without_names() }
}

fn without_foreign_names() -> String {
    EVERYTHING.lines().filter(|line| !line.contains("inside")).collect::<Vec<_>>().join("\n")
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn restores_what_was_there_before() {
    decoys();
    let before = look();
    for script in [
        // The kernel takes IPv6 addresses and routes away with a link that goes down.
        r#"down("keep0");"#,
        r#"down("keep0"); up("keep0");"#,
        r#"set_mtu(link("keep0"), 1000);"#,
        r#"up("br7x", "10.99.0.1/24");"#,
        // What was there already is an error, and not ours to remove.
        r#"expect_error(|| addr("keep0", "10.66.0.1/24"));"#,
        r#"expect_error(|| addr("keep0", "fd66::1/64"));"#,
        r#"expect_error(|| add_route("10.68.0.0/16", #{via: "10.66.0.2", metric: 5}));"#,
        r#"expect_error(|| add_route("10.68.0.0/16", #{via: "10.1.2.3"}));"#,
        r#"expect_error(|| netns("netns1x"));"#,
        r#"expect_error(|| bridge("br7x"));"#,
        r#"expect_error(|| veth("keep0", "keep1"));"#,
        r#"add_route("10.68.0.0/16", #{via: "10.66.0.2"});"#,
        r#"add_route("10.70.0.0/16", #{via: "10.66.0.2"}); del_route("10.70.0.0/16", #{via: "10.66.0.2"});"#,
        r#"addr("keep0", "10.66.0.5/24"); del_addr(link("keep0"), "10.66.0.5/24");"#,
        // One sysctl changes many, and writing the old value does not change them back.
        r#"sysctl("net.ipv4.ip_forward", 1);"#,
        r#"sysctl("net.ipv4.ip_forward", 1); sysctl("net.ipv4.ip_forward", 0);"#,
        r#"sysctl("net.ipv4.conf.all.forwarding", 1);"#,
        r#"sysctl("net.ipv6.conf.all.forwarding", 1);"#,
        r#"sysctl("net.ipv4.conf.keep0.rp_filter", 2);"#,
        // In a namespace of the machine.
        r#"let n = open_netns("netns1x"); up(n, "own0", "10.1.1.1/24"); sysctl(n, "net.ipv4.ip_forward", 1);"#,
        r#"let n = open_netns("netns1x"); bridge(n, "new"); veth(n, "p", "veth9"); move_to(veth("q", "r").a, n);"#,
        // A name that came, went, and belongs to another namespace by now.
        r#"delete(netns("mine"));"#,
        r#"allow_host_device("lo"); addr("lo", "10.3.3.3/32"); allow_host_device("veth0x"); set_mtu(link("veth0x"), 1400);"#,
    ] {
        let output = host(script);
        assert_eq!(both(&output), "", "{script}: {}", output.status);
        let end = Instant::now() + Duration::from_secs(3);
        // Duplicate address detection of a link-local address, and the end of a link, take their time.
        while look() != before && Instant::now() < end {}
        assert_equal(script, &before, &look());
    }
    // Deleted, and made again by another program: the inode may be the same.
    let output = host(r#"delete(netns("again")); check exec("ip netns add again").ok;"#);
    assert_eq!(both(&output), "");
    assert!(sh("ip netns list").contains("again"), "a namespace of another program was removed");
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn guards_what_it_did_not_make() {
    decoys();
    for name in ["lo", "veth0x"] {
        sh(&format!("ip link property add dev {name} altname alt-{name}"));
    }
    let before = look();
    for refused in [
        r#"up("lo")"#,
        r#"down("lo")"#,
        r#"addr("lo", "10.2.2.2/32")"#,
        // The name that counts is the kernel's.
        r#"down("alt-lo")"#,
        r#"set_mtu(link("alt-veth0x"), 1400)"#,
        r#"down("veth0x")"#,
        r#"set_mtu(link("veth0x"), 1400)"#,
        r#"add_route("10.2.0.0/16", #{dev: "veth0x"})"#,
        r#"add_route("default", #{via: "10.66.0.2"})"#,
        r#"sysctl("net.ipv4.conf.veth0x.rp_filter", 1)"#,
        r#"sysctl("net.ipv6.conf.all.disable_ipv6", 1)"#,
        r#"sysctl("net.ipv6.conf.keep0.disable_ipv6", 1)"#,
        r#"delete(link("keep0"))"#,
        r#"rename(link("keep0"), "mine")"#,
        r#"move_to(link("keep0"), netns("n"))"#,
        r#"set_master(link("keep0"), bridge("b"))"#,
        r#"del_addr(link("keep0"), "10.66.0.1/24")"#,
        r#"del_route("10.68.0.0/16")"#,
        r#"del_route("default")"#,
        r#"delete(open_netns("netns1x"))"#,
        r#"delete(link(open_netns("netns1x"), "own0"))"#,
    ] {
        let output = host(&format!("print(expect_error(|| {refused}).kind)"));
        assert_eq!(both(&output), "permission\n", "{refused}");
        assert_equal(refused, &before, &look());
    }
    let said = both(&host(r#"up("lo")"#));
    assert!(said.contains(r#"call `allow_host_device("lo")` first"#), "{said}");
    let output = host(r#"allow_host_device("lo"); up("lo"); check link("lo").is_up; up("alt-lo");"#);
    assert_eq!(both(&output), "");
    assert_equal("allowed", &before, &look());
}

/// The process of a session that is killed.
#[derive(Clone, Copy, Debug)]
enum Target {
    Front,
    Keeper,
    Interpreter,
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn survivors_undo_after_kills() {
    decoys();
    let before = look();
    let begin = Instant::now();
    stdout(&host(EVERYTHING));
    let time = u64::try_from(begin.elapsed().as_micros()).unwrap();
    let mut settled = Vec::new();
    for n in 0..KILLS {
        let target = [Target::Front, Target::Keeper, Target::Interpreter][n % 3];
        let mut random = Random::new(seed() + n as u64);
        let tag = format!("survivors-{n}");
        let mut front = start(EVERYTHING, &tag);
        std::thread::sleep(Duration::from_micros(random.below(time * 13 / 10)));
        let id = i32::try_from(front.id()).unwrap();
        let keeper = children(id).first().copied();
        let interpreter = keeper.and_then(|keeper| children(keeper).first().copied());
        let pid = match target {
            Target::Front => Some(id),
            Target::Keeper => keeper,
            Target::Interpreter => interpreter,
        };
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let killed = Instant::now();
        front.wait().unwrap();
        wait_until_none_has(&tag);
        if interpreter.is_some() {
            settled.push(killed.elapsed());
        }
        // A front that dies before it has a keeper leaves its empty journal to `nslab gc`.
        if look() != before {
            stdout(&nslab().arg("gc").output().unwrap());
            assert!(matches!(target, Target::Front) && keeper.is_none(), "{n}: not undone, {target:?} was killed");
        }
        assert_equal(&format!("{n}: {target:?} killed"), &before, &look());
    }
    settled.sort();
    let (median, all) = (settled[settled.len() / 2], settled[settled.len() - 1]);
    println!(
        "{KILLS} kills in --host, {} of a working session: undone after {median:.1?} (median), {all:.1?} (all)",
        settled.len()
    );
}

/// Kills all three at one moment, so that none of them undoes anything.
pub(super) fn kill_all(front: &mut Child) {
    let id = i32::try_from(front.id()).unwrap();
    let signal = |pid: i32, signal: Signal| {
        let _ = kill(Pid::from_raw(pid), signal);
    };
    signal(id, Signal::SIGSTOP);
    let keeper = children(id).first().copied();
    keeper.inspect(|keeper| signal(*keeper, Signal::SIGSTOP));
    let interpreter = keeper.and_then(|keeper| children(keeper).first().copied());
    interpreter.inspect(|interpreter| signal(*interpreter, Signal::SIGSTOP));
    for pid in [keeper, interpreter, Some(id)].into_iter().flatten() {
        signal(pid, Signal::SIGKILL);
    }
    front.wait().unwrap();
    for pid in [keeper, interpreter].into_iter().flatten() {
        wait_for("the end of all three", || !processes().contains(&pid));
    }
}

fn journals_there() -> usize {
    fs::read_dir("/run/nslab").map_or(0, Iterator::count)
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn gc_undoes_when_all_were_killed() {
    decoys();
    let before = look();
    let begin = Instant::now();
    stdout(&host(EVERYTHING));
    let time = u64::try_from(begin.elapsed().as_micros()).unwrap();
    let (mut left, rounds) = (0, 30);
    for n in 0..rounds {
        let mut random = Random::new(seed() + 1000 + n);
        let tag = format!("gc-{n}");
        // The first one is killed when everything is made.
        let mut front = start(&[EVERYTHING, if n == 0 { "sleep(\"100s\");" } else { "" }].concat(), &tag);
        if n == 0 {
            wait_for("all of it", || sh("hostname; ps -eo args").contains("sleep 1001"));
            wait_for("all of it", || tagged(&tag).len() >= 7);
        } else {
            std::thread::sleep(Duration::from_micros(random.below(time * 13 / 10)));
        }
        kill_all(&mut front);
        // A child that has not executed its program yet has the descriptors of the session, and so the lock of its journal.
        let has_executed =
            |pid: &i32| !fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.as_os_str() == NSLAB);
        wait_for("programs that were being started", || tagged(&tag).iter().all(has_executed));
        let journals = journals_there();
        left += usize::from(journals > 0);
        assert!(n > 0 || look() != before, "the control: something is left");
        if n == 0 {
            // In another namespace its interface indexes mean other links.
            let output = Command::new("unshare").args(["--net", NSLAB, "gc"]).output().unwrap();
            assert!(both(&output).contains("the journal belongs to another network namespace"), "{}", both(&output));
            assert_eq!((output.status.code(), journals_there()), (Some(2), 1));
        }
        let said = stdout(&nslab().arg("gc").output().unwrap());
        assert_eq!(said, format!("{journals} left-over journals undone\n"));
        wait_until_none_has(&tag);
        assert_equal(&format!("{n}: after gc"), &before, &look());
    }
    println!("{rounds} sessions killed whole, {left} left a journal: `nslab gc` undid each");
}

#[trial(pretend_host, nft, ps, sysctl, hostname, setsid)]
fn journals_are_private_and_locked() {
    let script = r#"netns("mine"); start("sleep 100"); sleep("100s")"#;
    let mut front = start(script, "journals");
    let mut interpreter = 0;
    wait_for("the interpreter", || {
        let keeper = children(i32::try_from(front.id()).unwrap()).first().copied();
        interpreter = keeper.and_then(|keeper| children(keeper).first().copied()).unwrap_or(0);
        interpreter != 0
    });
    wait_for("a program", || !children(interpreter).is_empty());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("/run/nslab".as_ref()), 0o700);
    let files: Vec<_> = fs::read_dir("/run/nslab").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(mode(&files[0]), 0o600);
    // While its session runs no other one touches it.
    assert_eq!(stdout(&nslab().arg("gc").output().unwrap()), "0 left-over journals undone\n");
    assert!(sh("ip netns list").contains("mine"));
    assert_eq!(stdout(&host(r#"check exec("ip netns list").stdout == "mine\n"; netns("other");"#)), "");
    assert_eq!(sh("ip netns list"), "mine\n");
    kill(Pid::from_raw(i32::try_from(front.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(front.wait().unwrap().code(), Some(143));
    wait_until_none_has("journals");
    assert_eq!(sh("ip netns list"), "");
    // A directory that others can write is not trusted.
    sh("rm -rf /run/nslab; mkdir -m 777 /run/nslab");
    let output = host("1");
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(both(&output).contains("is not a private directory of root"), "{}", both(&output));
}
