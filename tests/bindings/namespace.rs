//! `ns_list`, `ns_inode`, `same_ns`, `hold`, `release`, `nsenter`, `unshare`: all namespace types.

use crate::common::{Shell, passes, passes_for_all};

const KINDS: [(&str, &str); 8] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("mount", "mnt"),
    ("net", "net"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

#[trial]
fn a_list_is_what_readlink_says() {
    passes_for_all(
        r#"
        let p = start(netns("netns1"), "sleep 60");
        for pid in [1, p.pid] {
            let ours = ns_list(pid);
            check ours.map(|ns| ns.name) == exec(["ls", `/proc/${pid}/ns`]).lines;
            for ns in ours {
                check ns.target == exec(["readlink", `/proc/${pid}/ns/${ns.name}`]).lines[0];
                check ns.target.contains(`:[${ns.inode}]`);
                if !ns.name.contains("_for_") { check ns_inode(pid, ns.name) == ns.inode; }
            }
        }
        check ns_inode() == ns_inode(1, "net") && ns_inode(p.pid) == ns_inode(open_netns("netns1"));
        check ns_inode(p) == ns_inode(p.pid);
        let e = expect_error(|| ns_list(999999));
        check e.kind == "not_found" && e.message.contains("999999") && e.hint.contains("PID 1");
        let e = expect_error(|| ns_inode(1, "nets"));
        check e.kind == "usage" && e.hint != "";
        "#,
    );
}

#[trial]
fn same_ns_compares_every_kind() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        let q = start(ns1, "sleep 60");
        check same_ns(p.pid, q.pid) && same_ns(p.pid, ns1) && same_ns(ns1, open_netns("netns1"));
        check !same_ns(1, p.pid) && !same_ns(host(), ns1) && same_ns(1, host());
        for kind in ["cgroup", "ipc", "net", "pid", "time", "user", "uts"] {
            let equal = exec(["readlink", `/proc/1/ns/${kind}`]).stdout == exec(["readlink", `/proc/${p.pid}/ns/${kind}`]).stdout;
            check same_ns(1, p.pid, kind) == equal;
        }
        let e = expect_error(|| same_ns(ns1, p.pid, "uts"));
        check e.kind == "usage";
        "#,
    );
}

#[trial]
fn each_kind_alone_is_new_inside_and_nothing_else_is() {
    // In one script for each user: (kind, file in /proc/PID/ns).
    let list = KINDS.map(|(kind, file)| format!("[\"{kind}\", \"{file}\"]")).join(", ");
    passes_for_all(
        &r#"
        let all = [LIST];
        let outside = #{};
        for ns in ns_list(1) { outside[ns.name] = ns.target; }
        for pair in all {
            let box = unshare([pair[0]]);
            check box.kinds == [pair[1]];
            for other in all {
                let inside = exec(box, ["readlink", `/proc/self/ns/${other[1]}`]);
                let differs = inside.lines[0] != outside[other[1]];
                // A program in another network gets a mount namespace too: for that network's /sys.
                if pair[1] != "net" || other[1] != "mnt" { check differs == (other[1] == pair[1]); }
            }
            check release(box) && !release(box);
        }
        "#
        .replace("LIST", &list),
    );
}

#[trial(ip, hostname)]
fn all_kinds_together() {
    passes_for_all(
        r#"
        let kinds = ["cgroup", "ipc", "mount", "net", "pid", "time", "user", "uts"];
        let outside = #{};
        for ns in ns_list(1) { outside[ns.name] = ns.target; }
        bridge("outside");
        let box = unshare(kinds);
        for ns in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
            check exec(box, ["readlink", `/proc/self/ns/${ns}`]).lines[0] != outside[ns];
        }
        check exec(box, ["sh", "-c", "echo $$"]).stdout.parse_int() < 50;
        check exec(box, "id -u").stdout == "0\n";
        check exec("ip -o link").stdout.contains("outside") && !exec(box, "ip -o link").stdout.contains("outside");
        check exec(box, "hostname other").ok && exec(box, "hostname").stdout == "other\n" && exec("hostname").stdout != "other\n";
        check bash(box, "ls -d /proc/[0-9]*").lines.len() < 10;
        within box { up("lo"); check ping("127.0.0.1").ok; }
        check link("lo").state == "DOWN";
        "#,
    );
}

#[trial(mount)]
fn a_sandbox_keeps_what_programs_do_in_it() {
    passes_for_all(
        r#"
        let box = unshare(["mount", "uts", "ipc"]);
        check exec(box, "mount -t tmpfs none /mnt").ok;
        check exec(box, "touch /mnt/inside").ok && exec(box, "ls /mnt").stdout == "inside\n";
        check !exec("ls /mnt").stdout.contains("inside");
        let p = start(box, "sleep 60");
        check !same_ns(1, p.pid, "mnt") && same_ns(1, p.pid, "net");
        check exec(nsenter(p.pid, ["mount"]), "ls /mnt").stdout == "inside\n";
        "#,
    );
}

#[trial(ip)]
fn nsenter_goes_where_the_process_is() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        let there = nsenter(p.pid, ["mount", "net"]);
        check there.kinds == ["mnt", "net"] && there.net == ns1;
        within there {
            check ns_inode() == ns_inode(ns1) && link("lo").ns == ns1;
            check exec("readlink /proc/self/ns/mnt").lines[0] == `mnt:[${ns_inode(p.pid, "mnt")}]`;
        }
        check exec(there, "ip netns identify").lines == ["netns1"] || exec(there, "readlink /proc/self/ns/net").lines[0] == `net:[${ns_inode(ns1)}]`;
        // Like the document: back to the lab's PID 1.
        within ns1 { within nsenter(1, ["net", "mount"]) { check ns_inode() == ns_inode(host()); } }
        check nsenter(1, ["uts"]).net == ();
        let e = expect_error(|| nsenter(999999, ["net"]));
        check e.kind == "not_found";
        let e = expect_error(|| nsenter(1, ["nett"]));
        check e.kind == "usage" && e.hint.contains("net");
        let e = expect_error(|| nsenter(1, []));
        check e.kind == "usage";
        "#,
    );
}

#[trial(ip)]
fn an_open_descriptor_keeps_a_deleted_namespace_alive() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        let h = hold(ns1);
        let report = delete(ns1);
        check !report.gone && report.holders.all(|x| x.kind == "descriptor");
        check netns_list().is_empty && exists("veth0") && "veth1" in links(h);
        // No process is in it: only pids of this lab's own first namespace are to be found.
        check bash(host(), "readlink /proc/[0-9]*/ns/net | sort -u").lines.len() == 1;
        up(h, "lo");
        check ping(h, "127.0.0.1").ok && exec(h, "ip -o link").stdout.contains(" veth1@");
        within h { check "veth1" in links(); }
        check release(h);
        wait_gone(cable.a);
        check !exec("ip -o link").stdout.contains("veth");
        let e = expect_error(|| links(h));
        check e.kind == "gone";
        check !release(h);
        "#,
    );
}

#[trial]
fn without_hold_the_cable_goes_with_the_namespace() {
    passes("let ns1 = netns(\"netns1\"); let c = veth(\"veth0\", ns1, \"veth1\"); delete(ns1); wait_gone(c.a);");
}

#[trial]
fn a_list_prints_as_ls_does() {
    let out = Shell::new().script("print(ns_list(1)); print(exec(\"ls -l /proc/1/ns\"));").run().success();
    let arrows: Vec<_> = out.text().lines().filter_map(|line| line.split_once(" -> ")).map(|(_, to)| to).collect();
    let (ours, theirs) = arrows.split_at(arrows.len() / 2);
    assert_eq!(ours, theirs);
    assert!(ours.len() >= 8);
}
