//! What programs in a namespace see of the file system, compared with what `ip netns exec` shows.

use std::process::Command;

use crate::common::{Shell, both, passes_for_all};

/// Functions for scripts: `both` is what a program prints that `exec` starts, and is the same under `ip netns exec`.
const BOTH: &str = r#"
fn both(ns, words) {
    let shown = bash(ns, words).stdout;
    check exec(["ip", "netns", "exec", ns.name, "sh", "-c", words]).stdout == shown;
    shown
}
"#;

#[track_caller]
fn agrees_for_all(script: &str) {
    passes_for_all(&format!("{BOTH}{script}"));
}

#[trial(ip)]
fn programs_see_the_links_of_their_namespace_below_sys() {
    agrees_for_all(
        r#"
        let h1 = netns("h1");
        let h2 = netns("h2");
        veth(h1, "eth1", h2, "eth2");
        check both(h1, "ls /sys/class/net | grep eth") == "eth1\n";
        check both(h2, "ls /sys/class/net | grep eth") == "eth2\n";
        check both(h1, "cat /sys/class/net/eth1/ifindex") == link(h1, "eth1").index.to_string() + "\n";
        veth(h1, "eth3", "eth4");
        check both(h1, "ls /sys/class/net | grep eth") == "eth1\neth3\n";
        check bash(host(), "ls /sys/class/net | grep eth").stdout == "eth4\n";
        "#,
    );
}

#[trial(ip, mount)]
fn what_is_mounted_in_the_root_appears_in_all_namespaces() {
    agrees_for_all(
        r#"
        let h1 = netns("h1");
        bash(h1, "true"); // its view exists before the mount
        check bash(host(), "mkdir /run/new && mount -t tmpfs new /run/new && echo text >/run/new/file").ok;
        check both(h1, "cat /run/new/file") == "text\n";
        check both(netns("h2"), "cat /run/new/file") == "text\n";
        check bash(host(), "umount /run/new").ok;
        check both(h1, "ls /run/new; grep -c ' /run/new ' /proc/self/mountinfo") == "0\n";
        check both(open_netns("h2"), "ls /run/new") == "";
        "#,
    );
}

#[trial(mount)]
fn what_a_program_in_a_namespace_mounts_stays_there() {
    passes_for_all(
        r#"
        let h1 = netns("h1");
        check bash(h1, "mkdir /run/own && mount -t tmpfs own /run/own && echo text >/run/own/file").ok;
        check bash(h1, "cat /run/own/file").stdout == "text\n";
        check bash(netns("h2"), "ls /run/own").stdout == "";
        check bash(host(), "ls /run/own; grep -c ' /run/own ' /proc/self/mountinfo").stdout == "0\n";
        // All handles of a namespace are one place.
        check bash(hold(h1), "cat /run/own/file").stdout == "text\n";
        let p = start(h1, "sleep 1000");
        check bash(nsenter(p.pid, ["net"]), "cat /run/own/file").stdout == "text\n";
        check bash(nsenter(p.pid, ["mount"]), "cat /run/own/file").stdout == "text\n";
        check bash(h1, "umount /run/own && ls /run/own").stdout == "";
        "#,
    );
}

#[trial(ip, stat)]
fn a_name_that_is_made_in_a_namespace_appears_in_all() {
    passes_for_all(
        r#"
        let h1 = netns("h1");
        check exec(h1, "ip netns add inner").ok;
        check ns_inode(open_netns("inner")) != ns_inode(h1);
        check bash(netns("h2"), "stat -f -c %T /run/netns/inner").stdout == "nsfs\n";
        check bash(h1, "stat -f -c %T /run/netns/h2").stdout == "nsfs\n";
        check exec(h1, "ip netns delete inner").ok;
        check netns_list().map(|ns| ns.name) == ["h1", "h2"];
        check bash(h1, "ls /run/netns").stdout == "h1\nh2\n";
        "#,
    );
}

/// On a machine whose `/etc` is a copy.
#[trial(pretend_host, ip, mount)]
fn files_below_etc_netns_cover_those_in_etc() {
    let copy = tempfile::tempdir().unwrap();
    let prepare = "cp -a /etc/. \"$0\" && mount --bind \"$0\" /etc && mkdir -p /etc/netns/h1 /etc/netns/h1/skel && \
                   echo one >/etc/netns/h1/resolv.conf && echo two >/etc/netns/h1/nowhere && \
                   echo in >/etc/netns/h1/skel/file && echo machine >/etc/resolv.conf";
    let output = Command::new("sh").args(["-c", prepare]).arg(copy.path()).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let script = r#"
        let h1 = netns("h1");
        let look = "cat /etc/resolv.conf; ls /etc/nowhere /etc/skel";
        check both(h1, look) == "one\n/etc/skel:\nfile\n";
        check both(h1, "cat /etc/skel/file") == "in\n";
        // Another namespace, and the root, have those of `/etc`.
        check both(netns("h2"), "cat /etc/resolv.conf") == "machine\n";
        check bash(host(), "cat /etc/resolv.conf").stdout == "machine\n";
        // A program that runs keeps its files, the next one has those that are there then.
        for step in [
            ["echo two >/etc/netns/h1/resolv.conf", "two\n"],
            ["echo three >/etc/new && mv /etc/new /etc/netns/h1/resolv.conf", "three\n"],
            ["echo machine >/etc/new && mv /etc/new /etc/resolv.conf", "three\n"],
            ["rm /etc/netns/h1/resolv.conf", "machine\n"],
            ["echo four >/etc/netns/h1/resolv.conf", "four\n"],
            ["rm -r /etc/netns/h1", "machine\n"],
            ["mkdir /etc/netns/h1 && echo five >/etc/netns/h1/resolv.conf", "five\n"],
        ] {
            check bash(host(), step[0]).ok;
            check both(h1, "cat /etc/resolv.conf") == step[1];
        }
        check both(h1, "ls /etc/skel | grep -c '^file$'") == "0\n";
        check bash(host(), "cat /etc/resolv.conf").stdout == "machine\n";
        "#;
    Shell::new().reading(&format!("{BOTH}{script}")).run().success();
}

#[trial(ip)]
fn the_options_of_netns_are_files_that_its_programs_see() {
    agrees_for_all(
        r#"
        let look = "cat /etc/hosts /etc/resolv.conf";
        let h1 = netns("h1", #{hosts: #{db: "10.0.0.5", www: ["10.0.0.6", "fd00::6"]}, resolv_conf: ["10.0.0.53", "fd00::53"]});
        let localhost = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        check both(h1, look) == localhost + "10.0.0.5\tdb\n10.0.0.6\twww\nfd00::6\twww\n" +
            "nameserver 10.0.0.53\nnameserver fd00::53\n";
        let h2 = netns("h2", #{hosts: "10.0.0.7 own", resolv_conf: "options ndots:3\n"});
        check both(h2, look) == "10.0.0.7 own\noptions ndots:3\n";
        check both(netns("h3", #{hosts: ""}), "cat /etc/hosts") == "";
        // They go with the namespace.
        delete(h1);
        check both(netns("h1"), "cat /etc/hosts") == bash(host(), "cat /etc/hosts").stdout;
        check bash(host(), "ls /etc/netns/h1 /etc/netns/h2").stdout == "/etc/netns/h1:\n\n/etc/netns/h2:\nhosts\nresolv.conf\n";
        for wrong in [#{hosts: 5}, #{hosts: #{a: "10.0.0"}}, #{hosts: #{"a b": "10.0.0.1"}}, #{resolv_conf: ["dns"]}, #{x: ""}] {
            check expect_error(|| netns("h4", wrong)).kind == "usage";
        }
        check expect_error(|| netns(#{hosts: ""})).message.contains("without a name");
        check netns_list().map(|ns| ns.name) == ["h1", "h2", "h3"];
        "#,
    );
}

#[trial(ip)]
fn hosts_has_the_names_of_the_namespaces_and_their_addresses() {
    passes_for_all(
        r#"
        // What `nslab` has added to the file of the machine.
        let machine = bash(host(), "cat /etc/hosts").lines;
        let names = |ns| bash(ns, "cat /etc/hosts").lines.filter(|line| !(line in machine) && !line.starts_with("\x23"));
        let h1 = netns("h1");
        check names.call(h1) == [];
        let cable = veth(h1, "eth0", netns("h2"), "eth0");
        up(cable.a, "10.0.0.1/24");
        check names.call(h1) == ["10.0.0.1\th1"];
        up(cable.b, "10.0.0.2/24");
        addr(cable.a, "fd00::1/64");
        check names.call(host()) == ["10.0.0.1\th1", "fd00::1\th1", "10.0.0.2\th2"] ||
            names.call(host()) == ["fd00::1\th1", "10.0.0.1\th1", "10.0.0.2\th2"];
        // What programs change.
        exec(h1, "ip addr del 10.0.0.1/24 dev eth0");
        exec("ip netns add h3");
        exec("ip -n h3 addr add 10.0.3.3/24 dev lo");
        check names.call(h1) == ["fd00::1\th1", "10.0.0.2\th2", "10.0.3.3\th3"];
        // Another namespace of the same name, at once.
        exec("ip netns delete h3");
        exec("ip netns add h3");
        check names.call(h1) == ["fd00::1\th1", "10.0.0.2\th2"];
        let h5 = netns("h5");
        addr(link(h5, "lo"), "10.0.5.5/32");
        check names.call(h1) == ["fd00::1\th1", "10.0.0.2\th2", "10.0.5.5\th5"];
        delete(h5);
        check names.call(h1) == ["fd00::1\th1", "10.0.0.2\th2"];
        // Other lines stay.
        bash(host(), "sed '1s/^/10.9.9.9 mine\\n/' /etc/hosts >/etc/new && mv /etc/new /etc/hosts && echo 10.9.9.8 last >>/etc/hosts");
        addr(cable.a, "10.0.0.9/24");
        let found = names.call(netns("h4"));
        check "10.9.9.9 mine" in found && "10.9.9.8 last" in found && "10.0.0.9\th1" in found;
        keep_hosts(false);
        check names.call(h1) == ["10.9.9.9 mine", "10.9.9.8 last"];
        addr(cable.a, "10.0.0.10/24");
        check names.call(h1) == ["10.9.9.9 mine", "10.9.9.8 last"];
        keep_hosts(true);
        check "10.0.0.10\th1" in names.call(h1);
        "#,
    );
}
