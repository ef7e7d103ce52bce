//! `--host` and what the kernel removes with a link: a machine that has one of each is the same afterwards.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::snapshot::{Snapshot, assert_equal};
use crate::common::{both, nslab, sh, wait_for};

/// Links of each kind that this kernel has, and one of each thing that may hang on a link.
const MACHINE: &str = "
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
for n in d p q down; do ip link add ${n}0 type veth peer name ${n}1; done
ip link add br0 type bridge; ip link add empty type bridge
for l in d0 d1 p0 p1 q0 q1 br0 empty; do ip link set $l up; done
ip link set p0 master br0; ip link set q0 master br0
ip link add mv0 link d1 type macvlan; ip link set mv0 up
ip addr add 192.168.7.1/24 dev d0; ip addr add 192.168.7.9/24 dev d0; ip addr add 10.44.0.1 peer 10.44.0.2/32 dev d0
ip addr add 192.168.8.1/24 dev d1; ip addr add 10.50.0.1/24 dev br0; ip addr add 10.96.0.1/24 dev mv0
ip addr add fd77::1/64 dev d0 nodad; ip addr add fd77::50/64 dev d0; ip addr add fd78::1/64 dev d1 nodad
ip addr add fd77::aa/64 dev d0 nodad valid_lft 5000 preferred_lft 4000; ip addr add fd50::1/64 dev br0 nodad
ip addr add fe80::77/64 dev d0 nodad

ip route add 10.55.0.0/16 via 192.168.7.2
ip route add 10.56.0.0/16 nexthop via 192.168.7.3 weight 2 nexthop via 192.168.8.3 weight 1
ip route add 10.57.0.0/16 nexthop via 192.168.7.3 weight 2 nexthop via 192.168.7.4 weight 1
ip route add 10.58.0.0/16 dev d0 table 100; ip route add default via 192.168.7.254 table 100
ip route add 10.59.0.0/16 via 192.168.7.5 table 1000 mtu 1400 metric 9 src 192.168.7.9
ip route add 10.60.0.0/16 via inet6 fd77::5 dev d0
ip route add 10.65.0.0/16 via 10.9.9.9 onlink dev d0; ip route add multicast 239.9.0.0/16 dev d0 table 100
ip route add blackhole 10.64.0.0/16; ip route add local 10.99.0.0/16 dev lo
ip route add fd55::/64 via fd77::2; ip route add fd58::/64 dev d0 table 100
ip route add fd56::/64 nexthop via fd77::3 nexthop via fd78::3
ip route add fd57::/64 nexthop via fd77::3 nexthop via fd77::4
ip route add fd59::/64 via fe80::2 dev d0 metric 7 table 1000
ip route add fd5a::/64 via fd77::2 mtu 1400; ip route add fd5b::/64 via fd77::2 src fd77::50
ip route add unreachable fd5c::/64; ip route add blackhole fd5d::/64 metric 5; ip route add local fd5e::/64 dev lo

ip nexthop add id 1 via 192.168.7.6 dev d0; ip nexthop add id 2 via 192.168.8.6 dev d1; ip nexthop add id 3 dev d0
ip nexthop add id 4 blackhole; ip nexthop add id 6 via fd77::6 dev d0; ip nexthop add id 7 via fd78::6 dev d1
ip nexthop add id 40 dev br0; ip nexthop add id 10 group 1/2; ip nexthop add id 12 group 6/7
ip nexthop add id 5 group 1,3/2,5; ip nexthop add id 13 group 1/2 type resilient buckets 8
ip route add 10.61.0.0/16 nhid 1; ip route add 10.62.0.0/16 nhid 10; ip route add 10.63.0.0/16 nhid 3
ip route add fd61::/64 nhid 6; ip route add fd62::/64 nhid 12; ip route add 10.97.0.0/16 nhid 40

ip neigh add 192.168.7.2 lladdr 02:00:00:00:00:02 dev d0 nud permanent
ip neigh add 192.168.7.4 lladdr 02:00:00:00:00:04 dev d0 nud noarp
ip neigh add fd77::2 lladdr 02:00:00:00:00:02 dev d0 nud permanent router
ip neigh add 192.168.7.5 lladdr 02:00:00:00:00:05 dev d0 nud stale extern_learn
ip neigh add 192.168.7.8 dev d0 managed
ip neigh add proxy 192.168.7.77 dev d0; ip neigh add proxy fd77::77 dev d0
ip rule add iif d0 lookup 100 pref 500; ip rule add oif d0 lookup 100 pref 501; ip -6 rule add iif d0 lookup 100 pref 500
bridge fdb add 02:00:00:00:00:11 dev p0 master static; bridge fdb add 02:00:00:00:00:12 dev br0 self permanent
bridge fdb add 01:00:5e:00:00:99 dev d0 self; bridge mdb add dev br0 port p0 grp 239.1.1.1 permanent
bridge link set dev p0 cost 7 priority 5; ip maddr add 01:00:5e:01:02:03 dev d0
tc qdisc add dev d0 root tbf rate 1mbit burst 10k latency 50ms; tc qdisc add dev d0 ingress
nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c iif d0 drop
     add table netdev n; add chain netdev n i { type filter hook ingress device d0 priority 0; }'
echo 0 > /proc/sys/net/ipv6/conf/d0/accept_ra; echo 7 > /proc/sys/net/ipv6/neigh/d0/mcast_solicit
echo 2 > /proc/sys/net/ipv4/conf/d0/rp_filter

# What the kernel makes with an address was deleted.
ip link add e0 type veth peer name e1; ip link set e0 up; ip link set e1 up
ip addr add 10.95.0.1/24 dev e0; ip addr add fd95::1/64 dev e0 nodad; ip route del 10.95.0.0/24; ip route del fd95::/64
# A link that is down has things, too. (It has its queue from the first up.)
ip link set down0 up; ip link set down0 down
ip addr add fd99::1/64 dev down0 nodad; ip addr add 10.98.0.1/24 dev down0
ip neigh add 10.98.0.2 lladdr 02:00:00:00:00:02 dev down0 nud permanent
";

/// Each may be lost, and must come back.
const SCRIPTS: [&str; 20] = [
    r#"down("d0")"#,
    r#"down("d1")"#,
    r#"down("d1"); down("d0")"#,
    r#"down("d0"); down("d1"); up("d0")"#,
    r#"down("d0"); up("d0"); down("d0")"#,
    r#"down("br0")"#,
    r#"down("p0"); down("q0")"#,
    r#"down("p1"); down("q1")"#,
    r#"down("e0")"#,
    r#"down("mv0")"#,
    r#"allow_host_device("lo"); down("lo")"#,
    r#"allow_host_device("lo"); set_mtu(link("lo"), 60)"#,
    r#"set_mtu(link("d0"), 1300)"#,
    r#"set_mtu(link("d0"), 1000)"#,
    r#"set_mtu(link("d1"), 1000)"#,
    r#"set_mtu(link("d1"), 1300); down("d1")"#,
    r#"up("down0")"#,
    r#"up("down0"); down("down0"); set_mtu(link("down0"), 1000)"#,
    r#"set_master(veth("t0", "t1").a, link("br0"))"#,
    r#"addr("d0", "192.168.7.200/24"); addr("d0", "fd77::200/64"); down("d0")"#,
];

/// Members whose values change by themselves, or that are measurements.
const VOLATILE: [&str; 10] = [
    "valid_life_time",
    "preferred_life_time",
    "expires",
    "fdb_n_learned",
    "used",
    "promiscuity",
    "updated",
    "probes",
    "operstate",
    "refcnt",
];

fn steady(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !VOLATILE.contains(&name.as_str()) && !name.ends_with("timer"));
            members.values_mut().for_each(steady);
        }
        Value::Array(items) => {
            items.retain(|item| !is_volatile(item));
            items.iter_mut().for_each(steady);
        }
        _ => {}
    }
}

/// All that the tools list, one object a line.
fn dump() -> Snapshot {
    let mut all = BTreeMap::new();
    for command in [
        "ip -j -d link",
        "ip -j -d addr",
        "ip -j -d -4 route show table all",
        "ip -j -d -6 route show table all",
        "ip -j -d nexthop",
        "ip -j -d neigh show nud permanent",
        "ip -j -d neigh show nud noarp",
        "ip -j -d neigh show proxy",
        "ip -j -d -6 neigh show proxy",
        "ip -j -d rule",
        "ip -j -d -6 rule",
        "bridge -j fdb",
        "bridge -j vlan",
        "bridge -j -d link",
        "bridge -j -d mdb",
        "tc -j qdisc",
        "nft -j list ruleset",
    ] {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        let mut value: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        steady(&mut value);
        let items = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        let mut lines: Vec<String> = items.iter().map(Value::to_string).collect();
        lines.sort();
        all.insert(command.to_owned(), lines.join("\n"));
    }
    for file in ["conf", "neigh"] {
        let command = format!("cd /proc/sys/net; grep -s . ipv[46]/{file}/[depqblm]*/* | grep -v stable_secret");
        all.insert(format!("sysctls of {file}"), sh(&command));
    }
    all.insert(
        "extern_learn".into(),
        sh("ip neigh | grep -E 'extern_learn|managed' | sed 's/ [A-Z]*$//; s/managed.*/managed/'"),
    );
    all
}

/// Whether it is an entry that comes and goes by itself.
fn is_volatile(item: &Value) -> bool {
    // The queue of a link that was up once stays.
    let queue = item["kind"] == "noqueue";
    // What a bridge has learnt: a host, a group.
    let learnt = item["mac"].is_string() && item["state"] == "" || item["state"] == "temp";
    // The group of all nodes, which the kernel joins when it gives IPv6 to a link, up or down.
    let all_nodes = item["mac"] == "33:33:00:00:00:01";
    // The kernel has entries for multicast and broadcast as long as it sends there.
    let is_group = |mac: &str| u8::from_str_radix(&mac[..2], 16).is_ok_and(|first| first & 1 == 1);
    queue || learnt || all_nodes || item["lladdr"].as_str().is_some_and(is_group)
}

#[trial(pretend_host, nft)]
fn what_goes_with_a_link_comes_back() {
    sh(MACHINE);
    wait_for("IPv6 addresses", || !sh("ip -6 addr").contains("tentative"));
    let before = dump();
    for script in SCRIPTS {
        let output = nslab().args(["--host", "-c", &format!("{script}; ()")]).output().unwrap();
        assert_eq!((both(&output), output.status.code()), (String::new(), Some(0)), "{script}");
        // A link-local address comes with the carrier, and queues and neighbours settle.
        let end = Instant::now() + Duration::from_secs(4);
        while dump() != before && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_equal(script, &before, &dump());
    }
    assert!(!std::path::Path::new("/run/nslab").exists());
}

/// The kernel sets VLANs down with the link below, and all of them up with it.
#[trial(pretend_host, nft, vlan)]
fn links_on_top_come_back() {
    sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
        ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
        ip link add link d0 name d0.5 type vlan id 5; ip link set d0.5 up
        ip link add link d0 name d0.6 type vlan id 6; ip link set d0.6 up; ip link set d0.6 down
        ip addr add 192.0.2.1/24 dev d0.5; ip addr add fd11::1/64 dev d0.5 nodad
        ip route add 198.51.100.0/24 via 192.0.2.2; ip route add fd12::/64 via fd11::2
        ip nexthop add id 1 via 192.0.2.3 dev d0.5; ip route add 198.51.101.0/24 nhid 1");
    let before = dump();
    for script in
        [r#"down("d0")"#, r#"down("d0"); up("d0")"#, r#"set_mtu(link("d0"), 1300)"#, r#"set_mtu(link("d0"), 1000)"#]
    {
        let output = nslab().args(["--host", "-c", &format!("{script}; ()")]).output().unwrap();
        assert_eq!((both(&output), output.status.code()), (String::new(), Some(0)), "{script}");
        let end = Instant::now() + Duration::from_secs(4);
        while dump() != before && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_equal(script, &before, &dump());
    }
}

/// The oracle sees what is lost: each of these things goes with a link that is set down and up by hand.
#[trial(pretend_host, nft)]
fn the_comparison_sees_what_is_lost() {
    sh(MACHINE);
    let before = dump();
    sh("ip link set d0 down; ip link set d0 up");
    let after = dump();
    for aspect in [
        "ip -j -d addr",
        "ip -j -d -4 route show table all",
        "ip -j -d -6 route show table all",
        "ip -j -d nexthop",
        "ip -j -d neigh show nud permanent",
        "ip -j -d neigh show nud noarp",
        "ip -j -d neigh show proxy",
        "extern_learn",
    ] {
        assert_ne!(before[aspect], after[aspect], "{aspect}");
    }
}

#[trial(pretend_host, nft)]
fn a_failed_step_does_not_stop_the_others() {
    sh(
        "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
        ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
        ip addr add 192.168.7.1/24 dev d0; ip route add 10.55.0.0/16 via 192.168.7.2; ip route add 10.56.0.0/16 dev d0",
    );
    // What the route needs goes away, so that it cannot be restored.
    let script = r#"
        netns("mine"); sysctl("net.ipv4.ip_forward", 1); down("d0"); exec("ip addr del 192.168.7.1/24 dev d0"); veth("x", "y"); ()"#;
    let output = nslab().args(["--host", "-c", script]).output().unwrap();
    let text = both(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let error = "error: not as before: restore route `10.55.0.0/16 via 192.168.7.2 dev d0` in the host: \
                 Network is unreachable (ENETUNREACH 101): Nexthop has invalid gateway";
    assert!(text.contains(error) && text.contains("hint: `nslab gc` tries once more"), "{text}");
    assert!(sh("ip route").contains("10.56.0.0/16 dev d0"), "{}", sh("ip route"));
    assert!(sh("ip link show d0").contains("UP"));
    assert!(!sh("ip link").contains(" x@") && sh("ip netns list").is_empty());
    assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    // `gc` can do it once its cause is mended.
    sh("ip addr add 192.168.7.1/24 dev d0");
    let output = nslab().arg("gc").output().unwrap();
    assert_eq!((output.status.code(), both(&output)), (Some(0), "1 left-over journals undone\n".into()));
    assert!(sh("ip route").contains("10.55.0.0/16 via 192.168.7.2"));
    // A script that failed has its own status.
    let output = nslab().args(["--host", "-c", &format!("{script}; check 1 == 2")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(both(&output).contains("not as before"), "{}", both(&output));
}

/// An empty bridge loses its hardware address with its last port.
#[trial(pretend_host)]
fn a_bridge_has_its_hardware_address_back() {
    let mac = || sh("ip -o link show empty").split_once("ether ").map(|(_, rest)| rest[..17].to_owned());
    sh("ip link add empty type bridge");
    let before = mac();
    let output =
        nslab().args(["--host", "-c", r#"set_master(veth("t0", "t1").a, link("empty")); ()"#]).output().unwrap();
    assert_eq!((both(&output), mac()), (String::new(), before));
}

/// Below 1280 bytes the kernel forgets these, and no message gives them back.
#[trial(pretend_host, perl)]
fn what_cannot_be_put_back_is_refused() {
    sh("ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip token set ::99 dev d0");
    let refused = |link: &str, mtu: u32| {
        let script = format!("let e = expect_error(|| set_mtu(link(\"{link}\"), {mtu})); print(e.kind); print(e.hint)");
        both(&nslab().args(["--host", "-c", &script]).output().unwrap())
    };
    let text = refused("d0", 1000);
    assert!(text.starts_with("permission\n") && text.contains("the token `::99`"), "{text}");
    // A program that has joined ff02::99 on d1: IPV6_ADD_MEMBERSHIP is 20.
    let join = "use Socket; socket(S, AF_INET6, SOCK_DGRAM, 0) or die; my ($index) = `ip -o link show d1` =~ /^(\\d+)/;
                setsockopt(S, 41, 20, Socket::inet_pton(AF_INET6, \"ff02::99\") . pack(\"i\", $index)) or die $!;
                system(\"touch /run/joined\"); sleep 100";
    let mut program = Command::new("perl").args(["-e", join]).spawn().unwrap();
    wait_for("the group", || std::path::Path::new("/run/joined").exists());
    let text = refused("d1", 1000);
    assert!(text.starts_with("permission\n") && text.contains("the group `ff02::99`"), "{text}");
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(sh("ip token").contains("::99"));
}

/// A link that could not be made is no link of the session, whatever gets its name later.
#[trial(pretend_host)]
fn a_link_that_was_never_made_is_not_removed() {
    sh("ip link add taken type bridge");
    let script = r#"expect_error(|| veth("fresh", "taken")); exec("ip link add fresh type bridge"); ()"#;
    let output = nslab().args(["--host", "-c", script]).output().unwrap();
    assert_eq!(both(&output), "");
    assert!(sh("ip link").contains("fresh"), "a link of another program was removed");
}
