//! The walkthrough that nslab grew out of, step by step: each row of it is one expression.

use crate::common::{NOBODY, Shell, passes_for_all};

/// host veth0 10.1.1.2 ---- 10.1.1.1 veth1 netns1
const STEPS: &str = r#"
    // ip netns add netns1; ip netns list
    let ns1 = netns("netns1");
    check netns_list().to_string() == "netns1";

    // ip netns exec netns1 ip link list: only lo, and that is DOWN
    check links(ns1)[0].name == "lo" && link(ns1, "lo").state == "DOWN";

    // ip netns exec netns1 ping 127.0.0.1: network unreachable
    let r = ping(ns1, "127.0.0.1");
    check !r.ok && r.error == "Network is unreachable";

    // ip netns exec netns1 ip link set dev lo up
    up(ns1, "lo");
    check ping(ns1, "127.0.0.1").ok;

    // ip link add veth0 type veth peer name veth1
    let cable = veth("veth0", "veth1");
    check cable.a.name == "veth0" && cable.b.name == "veth1" && exists("veth1");

    // ip link set veth1 netns netns1
    move_to(cable.b, ns1);
    check !exists("veth1") && exists(ns1, "veth1");

    // ifconfig veth1 10.1.1.1/24 up, and the other end
    up(cable.b, "10.1.1.1/24");
    up(cable.a, "10.1.1.2/24");

    // ping 10.1.1.1; ip netns exec netns1 ping 10.1.1.2
    check ping("10.1.1.1").ok && ping(ns1, "10.1.1.2").ok;

    // iptables -L -n; route -n: its own, without the rules of the host
    check firewall(ns1).is_empty;
    check routes(ns1).map(|r| r.dst) == ["10.1.1.0/24"];

    // move it back by pid: DOWN, no address
    move_to(cable.b, 1);
    let back = link("veth1");
    check back.state == "DOWN" && back.addrs == [] && back.peer_index == cable.a.index && back.netnsid == ();
    move_to(cable.b, ns1);
    let there = link(ns1, "veth1");
    check there.state == "DOWN" && there.addrs == [] && there.peer_index == cable.a.index && there.netnsid == 0;

    // both ends placed at once
    let ns2 = netns("netns2");
    let across = veth(ns1, "eth0", ns2, "eth0");
    up(across.a, "10.2.2.1/24");
    up(across.b, "10.2.2.2/24");
    check ping(ns1, "10.2.2.2").ok;

    // ls -l /proc/1/ns; same namespace?
    check ns_list(1).len >= 8 && ns_inode(1, "net") == ns_inode() && ns_inode(ns1) != ns_inode();

    // an open descriptor keeps it alive
    let h = hold(ns2);
    check !delete(ns2).gone && links(h).len >= 2;
    release(h);
    wait_gone(across.a);

    // ip netns delete netns1
    delete(ns1);
    wait_gone(cable.a);
    check netns_list().is_empty && !("veth0" in links());
"#;

#[trial]
fn every_step_of_it() {
    passes_for_all(STEPS);
}

#[trial]
fn it_needs_no_helper_program() {
    for user in [None, Some(NOBODY)] {
        let shell = Shell::new().script(STEPS).env("PATH", "");
        let shell = if let Some(user) = user { shell.user(user) } else { shell };
        shell.run().success();
    }
}

#[trial(hostname)]
fn processes_and_all_kinds() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        // alive while a process is in it
        check holders(ns1).some(|h| h.pid == p.pid);
        check delete(ns1).holders.map(|h| h.pid) == [p.pid];
        // nsenter -m -n -t PID
        within nsenter(p.pid, ["mount", "net"]) { check ns_inode() == ns_inode(p.pid, "net") && exists("lo"); }
        check exec(nsenter(1, ["mount", "net"]), "readlink /proc/self/ns/net").stdout.contains(`[${ns_inode()}]`);
        check !same_ns(1, p.pid, "net") && same_ns(1, p.pid, "pid");
        // six namespace types, two illusions: alone, and with a name of one's own
        let box = unshare(["pid", "mount", "uts", "ipc", "net", "user"]);
        exec(box, "hostname sandbox");
        check exec(box, "hostname").stdout == "sandbox\n";
        check exec(box, ["sh", "-c", "echo $$"]).stdout.parse_int() < 10;
        "#,
    );
}

#[trial(ip, ping)]
fn the_real_tools_agree() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a, "10.1.1.2/24");
        up(cable.b, "10.1.1.1/24");
        wait_until(|| !exec(ns1, "ip addr").stdout.contains("tentative") && cable.b.addrs.len() == 2, #{timeout: "10s"});
        check exec("ip netns list").stdout == netns_list().to_string() + "\n";
        check exec(ns1, "ping -c1 10.1.1.2").ok && ping(ns1, "10.1.1.2").ok;
        check exec("ping -c1 10.1.1.1").ok && ping("10.1.1.1").ok;
        check exec("ip netns exec netns1 ping -c1 10.1.1.2").ok;
        for tool in ["ip link list", "ip netns exec netns1 ip link list"] {
            let text = exec(if tool.starts_with("ip netns") { host() } else { ns1 }, tool).stdout;
            for l in links(ns1) { check text.contains(l.mac) && text.contains(`${l.index}: ${l.name}`) && text.contains(`state ${l.state}`); }
        }
        "#,
    );
}
