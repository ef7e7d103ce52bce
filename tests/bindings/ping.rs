//! `ping` and `pingall`: replies, and each way in which there is none.

use crate::common::{Shell, passes, passes_for_all};

/// Two namespaces with a cable: `ns1` is 10.1.1.1 and `fd00::1`, the host 10.1.1.2 and `fd00::2`.
const CABLE: &str = r#"
    let ns1 = netns("netns1");
    let cable = veth("veth0", ns1, "veth1");
    up(cable.a, "10.1.1.2/24"); addr(cable.a, "fd00::2/64");
    up(cable.b, "10.1.1.1/24"); addr(cable.b, "fd00::1/64");
"#;

/// h1 10.0.1.1 --- 10.0.1.2 router 10.0.2.2 --- 10.0.2.1 h2, and the same with fd01 and fd02.
const ROUTER: &str = r#"
    let h1 = netns("h1"); let router = netns("router"); let h2 = netns("h2");
    let left = veth(h1, "eth0", router, "left");
    let right = veth(router, "right", h2, "eth0");
    up(left.a, "10.0.1.1/24"); up(left.b, "10.0.1.2/24"); up(right.a, "10.0.2.2/24"); up(right.b, "10.0.2.1/24");
    addr(left.a, "fd01::1/64"); addr(left.b, "fd01::2/64"); addr(right.a, "fd02::2/64"); addr(right.b, "fd02::1/64");
    sysctl(router, "net.ipv4.ip_forward", 1); sysctl(router, "net.ipv6.conf.all.forwarding", 1);
    add_route(h1, "default", #{via: "10.0.1.2"}); add_route(h2, "default", #{via: "10.0.2.2"});
    add_route(h1, "default", #{via: "fd01::2"}); add_route(h2, "default", #{via: "fd02::2"});
"#;

#[track_caller]
fn on(topology: &str, text: &str) {
    passes_for_all(&(topology.replace('\n', " ") + text));
}

#[trial(ping)]
fn both_families_answer_and_the_real_ping_agrees() {
    on(
        CABLE,
        r#"
        for there in ["10.1.1.1", "fd00::1"] {
            let r = ping(there);
            check r.ok && r.sent == 1 && r.received == 1 && r.loss == 0.0 && r.error == () && r.errno == ();
            check r.addr == there && r.replies.len == 1 && r.replies[0].from == there && r.replies[0].seq == 1;
            check r.replies[0].ttl == 64 && r.replies[0].error == () && r.replies[0].time == r.rtt;
            check r.rtt_min <= r.rtt && r.rtt <= r.rtt_max && r.rtt > 0.0 && r.rtt < 1000.0;
            check exec(["ping", "-c1", "-W2", there]).ok;
        }
        for there in ["10.1.1.2", "fd00::2"] {
            check ping(ns1, there).ok;
            within ns1 { check ping(there).ok; }
            check exec(ns1, ["ping", "-c1", "-W2", there]).ok;
        }
        "#,
    );
}

#[trial(nft)]
fn count_interval_and_size_are_what_goes_over_the_cable() {
    on(
        CABLE,
        r#"
        exec(ns1, ["nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c icmp type echo-request counter; add rule inet t c icmpv6 type echo-request counter"]);
        let r = ping("10.1.1.1", #{count: 5, interval: "20ms", size: 100});
        check r.sent == 5 && r.received == 5 && r.replies.map(|p| p.seq) == [1, 2, 3, 4, 5];
        check r.replies.all(|p| p.bytes == 108);
        // IPv4 header 20, ICMP header 8.
        let rule = firewall(ns1).chains[0].rules[0];
        check rule.packets == 5 && rule.bytes == 5 * 128;
        ping("fd00::1", #{count: 3, interval: "1ms", size: 0});
        let rule = firewall(ns1).chains[0].rules[1];
        check rule.packets == 3 && rule.bytes == 3 * 48;
        let began = timestamp();
        check ping("10.1.1.1", #{count: 4, interval: "50ms"}).ok;
        check began.elapsed >= 0.15;
        // The largest packet there is goes in pieces.
        let r = ping("10.1.1.1", #{size: 65507});
        check r.ok && r.replies[0].bytes == 65515;
        "#,
    );
}

#[trial(ping)]
fn without_a_route_the_network_is_unreachable() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        for there in ["127.0.0.1", "10.1.1.1", "fd00::1"] {
            let r = ping(ns1, there);
            let theirs = exec(ns1, ["ping", "-c1", "-W1", there]);
            check !r.ok && !theirs.ok && r.received == 0 && r.sent == 0 && r.rtt == ();
            // The kernel has other words for an IPv6 address while no link is up.
            check theirs.stderr == `ping: connect: ${r.error}` + "\n";
            if !there.contains(":") { check r.error == "Network is unreachable" && r.errno == 101; }
        }
        up(ns1, "lo");
        check ping(ns1, "127.0.0.1").ok && ping(ns1, "::1").ok;
        check exec(ns1, "ping -c1 127.0.0.1").ok;
        "#,
    );
}

#[trial]
fn an_address_without_a_host_is_unreachable() {
    on(
        CABLE,
        r#"
        up("lo");                   // on which the ICMP error comes back
        let r = ping("10.1.1.77");
        check !r.ok && r.error == "Destination Host Unreachable" && r.errno == 113 && r.sent == 1 && r.loss == 1.0;
        check r.replies.len == 1 && r.replies[0].from == "10.1.1.2" && r.replies[0].error != ();
        "#,
    );
}

#[trial(ping, nft)]
fn a_rule_that_drops_is_a_timeout() {
    on(
        CABLE,
        r#"
        exec(ns1, ["nft", "add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }"]);
        let r = ping("10.1.1.1", #{count: 2, interval: "10ms", timeout: "150ms"});
        check !r.ok && r.sent == 2 && r.received == 0 && r.loss == 1.0 && r.replies.is_empty;
        check r.error == "no reply within 150ms" && r.rtt == ();
        check !exec("ping -c1 -W1 10.1.1.1").ok;
        "#,
    );
}

#[trial(nft)]
fn a_rule_that_rejects_is_named() {
    on(
        CABLE,
        r#"
        exec(ns1, ["nft", "add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c icmp type echo-request reject with icmp admin-prohibited"]);
        let r = ping("10.1.1.1");
        check !r.ok && r.replies.len == 1 && r.replies[0].from == "10.1.1.1";
        check r.error == "Packet filtered";
        "#,
    );
}

#[trial]
fn a_small_ttl_ends_at_the_router() {
    on(
        ROUTER,
        r#"
        for pair in [["10.0.2.1", "10.0.1.2", "Time to live exceeded"], ["fd02::1", "fd01::2", "Time exceeded: Hop limit"]] {
            let there = pair[0];
            let r = ping(h1, there);
            check r.ok && r.replies[0].ttl == 63;
            let r = ping(h1, there, #{ttl: 1});
            check !r.ok && r.error == pair[2] && r.received == 0;
            check r.replies.len == 1 && r.replies[0].from == pair[1];
            check ping(h1, there, #{ttl: 2}).ok;
        }
        "#,
    );
}

#[trial(ip, ping)]
fn a_link_local_address_wants_its_link() {
    on(
        CABLE,
        r#"
        wait_until(|| cable.b.addrs.some(|a| a.starts_with("fe80")), #{timeout: "5s"});
        let there = cable.b.addrs.find(|a| a.starts_with("fe80")).split("/")[0];
        // The kernel looks for duplicates before it answers from it.
        wait_until(|| !exec(ns1, "ip addr").stdout.contains("tentative") && !exec("ip addr").stdout.contains("tentative"), #{timeout: "10s"});
        check ping(there + "%veth0").ok;
        check exec(["ping", "-c1", "-W2", there + "%veth0"]).ok;
        let e = expect_error(|| ping(there + "%nolink"));
        check e.kind == "not_found" && e.message.contains("nolink");
        "#,
    );
}

#[trial(ping)]
fn a_report_prints_as_ping_does() {
    let out = Shell::new()
        .script(
            r#"
            up("lo");
            print(ping("127.0.0.1", #{count: 2, interval: "1ms"}));
            print("====");
            print(exec("ping -c2 -i0.01 127.0.0.1").stdout);
            "#,
        )
        .run()
        .success();
    // All but the times.
    let lasting = |line: &str| line.split(" time").next().unwrap().split(" = ").next().unwrap().to_owned();
    let (ours, theirs) = out.text().split_once("====\n").unwrap();
    let lines = |text: &str| text.trim_end().lines().map(lasting).collect::<Vec<_>>();
    assert_eq!(lines(ours), lines(theirs));
    assert_eq!(lines(ours).len(), 7);
    Shell::new()
        .script(r#"print(ping("10.9.9.9"));"#)
        .run()
        .success()
        .stdout("ping: connect: Network is unreachable\n");
}

#[trial]
fn options_are_checked() {
    passes(
        r#"
        for opts in [#{count: 0}, #{count: 65536}, #{count: -1}, #{count: 1.5}, #{count: "3"}, #{size: -1}, #{size: 65508}, #{ttl: 0},
                     #{ttl: 256}, #{timeout: 3}, #{timeout: "soon"}, #{interval: "-1s"}, #{timeout: "48h"}, #{cuont: 3}] {
            let e = expect_error(|| ping("127.0.0.1", opts));
            check e.kind == "usage" && e.line > 0;
        }
        check expect_error(|| ping("127.0.0.1", #{cuont: 3})).hint.contains("did you mean `count`?");
        "#,
    );
}

#[trial]
fn pingall_asks_everybody_and_says_who_is_missing() {
    passes_for_all(
        r#"
        import "std/topo" as topo;
        let lan = topo::lan(["h1", "h2", "h3"], "10.0.0");
        let all = pingall(lan.nodes);
        check all.ok && all.sent == 6 && all.received == 6 && all.lost == [];
        down(lan.nodes[2], "eth0");
        let all = pingall(lan.nodes, #{timeout: "300ms"});
        check !all.ok && all.received == 2 && all.lost.len() == 4;
        check all.lost.some(|l| l.starts_with("h1 -> h3: "));
        check all.lost.some(|l| l.starts_with("h3 -> h1: "));
        let e = expect_error(|| pingall([lan.nodes[0], 1]));
        check e.kind == "usage";
        "#,
    );
}

/// What was asked while the cable carried nothing is forgotten when it does: or the next ping would wait a second.
#[trial(ip)]
fn a_cable_that_comes_up_has_no_unresolved_neighbours() {
    Shell::new()
        .script(
            r#"
            let ns1 = netns("netns1");
            let cable = veth("veth0", ns1, "veth1");
            up(cable.a, "10.1.1.2/24");
            check !ping("10.1.1.1", #{timeout: "20ms"}).ok;
            check "INCOMPLETE" in exec("ip neigh show dev veth0").stdout;
            up(cable.b, "10.1.1.1/24");
            check exec("ip neigh show dev veth0").stdout == "";
            check ping("10.1.1.1").ok;
            "#,
        )
        .run()
        .success();
}
