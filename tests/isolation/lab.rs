//! What is inside a lab is the lab's own.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use super::snapshot::{assert_equal, snapshot};
use crate::common::{NSLAB, TAG, both, keeper_and_interpreter, run, stdout, wait_for, wait_until_none_has};

/// A shell that leaves descriptors 7 and 9 open: a file, and the host's network.
fn leaky() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec 7</dev/null 9</proc/self/ns/net; exec \"$0\" \"$@\""]);
    command.arg(NSLAB).stdin(Stdio::null());
    command
}

#[trial]
fn programs_get_three_descriptors() {
    // `ls` has the directory open, as 3.
    let script = r#"
        for n in 0..20 { netns(`n${n}`); }
        let ns = open_netns("n7");
        up(ns, "lo");
        ping(ns, "127.0.0.1");
        let look = "ls -l /proc/self/fd";
        for text in [exec(look).stdout, exec(ns, look).stdout, wait(start(look)).stdout, wait(start(ns, look)).stdout,
                     exec(unshare(["pid", "mount", "user", "net"]), look).stdout] {
            print(text.split("\n").filter(|l| l.contains("->")).len());
        }
    "#;
    let output = stdout(&leaky().args(["-c", script]).output().unwrap());
    assert_eq!(output, "4\n".repeat(5), "standard input, output, error, and the directory that is listed");
}

#[trial]
fn every_thread_stays_at_home() {
    let script = r#"
        for n in 0..30 {
            let a = netns(`a${n}`); let b = netns();
            let cable = veth(a, "eth0", b, "eth0");
            up(cable.a, "10.0.0.1/24"); up(cable.b, "10.0.0.2/24");
            ping(a, "10.0.0.2");
            sysctl(a, "net.ipv4.ip_forward", 1);
            links(a); routes(a); firewall(a);
            exec(a, "true");
            start(a, "sleep 100");
            release(hold(b));
            expect_error(|| netns(`a${n}`));
        }
        exec(unshare(["pid", "mount", "user", "net"]), "true");
        unshare(["net", "uts", "ipc", "cgroup", "mount", "time"]);
        print(exec(["sh", "-c", "for t in /proc/$PPID/task/*; do for k in net mnt uts ipc pid user cgroup; do readlink $t/ns/$k; done; done | sort | uniq -c"]));
    "#;
    let text = stdout(&run(script));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "one namespace of each type: {text}");
    // A thread may end while it is read.
    for line in lines {
        let count = line.split_whitespace().next().and_then(|count| count.parse::<usize>().ok());
        assert!(count.is_some_and(|count| count > 30), "there are threads to look at: {text}");
    }
}

#[trial]
fn no_handle_of_the_host_is_open() {
    let tag = "no-handle";
    let script = r#"let n = netns("n"); ping("127.0.0.1"); links(n); start(n, "sleep 100"); sleep("100s")"#;
    let mut front = leaky().args(["-c", script]).env(TAG, tag).spawn().unwrap();
    let (keeper, interpreter) = keeper_and_interpreter(i32::try_from(front.id()).unwrap());
    let open_namespaces = || {
        let entries = fs::read_dir(format!("/proc/{interpreter}/fd")).unwrap();
        let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.map(|target| target.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    wait_for("a namespace in the lab", || {
        open_namespaces().iter().filter(|target| target.starts_with("net:[")).count() >= 2
    });
    let host = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned();
    let kinds = ["net", "mnt", "pid", "user", "uts", "ipc"];
    let of_host: BTreeSet<String> = kinds.map(host).into();
    // Every socket of the host's network is in one of these lists.
    let lists = ["netlink", "raw", "raw6", "packet", "icmp", "icmp6", "udp", "udp6", "tcp", "tcp6"];
    let mut sockets = String::new();
    for list in lists {
        sockets.push_str(&fs::read_to_string(format!("/proc/self/net/{list}")).unwrap_or_default());
    }
    let sockets: BTreeSet<&str> = sockets.split_whitespace().collect();
    for target in open_namespaces() {
        assert!(!of_host.contains(&target), "the interpreter has {target} of the host open");
        if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            assert!(!sockets.contains(inode), "the interpreter has a socket of the host's network open");
        }
    }
    for kind in kinds {
        for pid in [keeper, interpreter] {
            let there = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
            assert!(!of_host.contains(&*there.to_string_lossy()), "{pid} is in the host's {kind} namespace");
        }
    }
    // The control: such a handle is seen in the front, which has it from the shell.
    let front_has = fs::read_link(format!("/proc/{}/fd/9", front.id())).unwrap();
    assert!(of_host.contains(&*front_has.to_string_lossy()));
    front.kill().unwrap();
    front.wait().unwrap();
    wait_until_none_has(tag);
}

/// As root the ids of the lab are the machine's, and many files ask for nothing but the id.
#[trial(root)]
fn kernel_wide_files_are_read_only_for_root() {
    let before = fs::read_to_string("/proc/sys/kernel/panic").unwrap();
    for place in
        ["", "netns(\"n\"), ", "unshare([\"pid\", \"mount\"]), ", "unshare([\"pid\", \"mount\", \"net\", \"user\"]), "]
    {
        for file in
            ["/proc/sys/kernel/panic", "/proc/sys/vm/swappiness", "/sys/kernel/mm/ksm/run", "/proc/sysrq-trigger"]
        {
            if fs::metadata(file).is_err() {
                continue;
            }
            // Opened for writing, but nothing is written: the test must not do what it shows to be impossible.
            let script = format!("print(exec({place}[\"sh\", \"-c\", \": >> {file}\"]))");
            let said = both(&run(&script));
            assert!(said.contains("Read-only file system"), "{place}{file}: {said}");
        }
    }
    let error = both(&run(r#"sysctl("kernel.panic", 1)"#));
    assert!(error.contains("no sysctl of a network namespace is called `kernel.panic`"), "{error}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/panic").unwrap(), before);
    // What belongs to the lab can be written by programs, too.
    let own = r#"
        bridge("br0");
        let write = |file, value| exec(["sh", "-c", `echo ${value} > ${file} && cat ${file}`]).stdout;
        check write.call("/proc/sys/net/ipv4/ip_forward", 1) == "1\n";
        check write.call("/proc/sys/kernel/hostname", "lab") == "lab\n";
        check write.call("/sys/class/net/br0/bridge/stp_state", 1) == "1\n";
    "#;
    stdout(&run(own));
}

#[trial(ip, nft, mount, hostname)]
fn sysctls_and_links_of_the_lab_are_its_own() {
    let before = snapshot();
    let script = r#"
        sysctl("net.ipv4.ip_forward", 1);
        sysctl("net.ipv4.conf.all.rp_filter", 2);
        sysctl("net.ipv6.conf.all.forwarding", 1);
        check exec("ip link set lo up").ok && exec("ip link set lo down").ok;
        up("lo"); down("lo");
        exec("hostname lab");
        exec("ip netns add real");
        check exec("nft add table ip t").ok;
        check exec("mount -t tmpfs tmpfs /mnt").ok;
        check netns_list().map(|n| n.name) == ["real"];
        print(exec("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter"));
    "#;
    assert_eq!(stdout(&run(script)), "1\n2\n");
    assert_equal("the machine", &before, &snapshot());
}

#[trial(ip)]
fn thirty_labs_with_equal_names() {
    let script = r#"
        let a = netns("netns1"); let b = netns("netns2");
        let cable = veth(a, "eth0", b, "eth0");
        veth("veth0", "veth1");
        bridge("br0");
        up(cable.a, "10.0.0.1/24"); up(cable.b, "10.0.0.2/24");
        check ping(a, "10.0.0.2").ok;
        check netns_list().map(|n| n.name) == ["netns1", "netns2"];
        check links().filter(|l| l.kind in ["veth", "bridge"]).map(|l| l.name) == ["veth1", "veth0", "br0"];
        print(exec(a, "ip netns identify").stdout.trim());
    "#;
    let labs: Vec<_> = (0..30).map(|_| thread::spawn(move || run(script))).collect();
    for lab in labs {
        stdout(&lab.join().unwrap());
    }
}
