//! Results that tell the truth: usable addresses, first packets, the end of a namespace, each name a name.

use crate::common::{passes, passes_for_all};

/// `a <-> b`: the address is usable when `addr` returns, forty times.
#[trial]
fn an_ipv6_address_is_usable_at_once() {
    passes_for_all(
        r#"
        for n in 0..40 {
            let b = netns(`b${n}`);
            let cable = veth(`e${n}`, b, "e0");
            up(cable.a); up(cable.b);
            addr(cable.b, "fd22::3/64"); addr(cable.a, "fd22::9/64");
            check ping("fd22::3", #{timeout: "500ms"}).ok;
            // The address comes first, the link up later.
            down(cable.b); addr(cable.b, "fd23::3/64"); up(cable.b);
            addr(cable.a, "fd23::9/64");
            check ping("fd23::3", #{timeout: "500ms"}).ok;
            delete(b); wait_gone(cable.a);
        }
        "#,
    );
}

/// `a <-> r <-> b`: the first packet through a router needs no second try.
#[trial]
fn the_first_forwarded_ipv6_packet_arrives() {
    passes_for_all(
        r#"
        for n in 0..10 {
            let a = netns("a"); let r = netns("r"); let b = netns("b");
            let left = veth(a, "eth0", r, "left"); let right = veth(r, "right", b, "eth0");
            sysctl(r, "net.ipv6.conf.all.forwarding", 1);
            up(left.a, "fd01::1/64"); up(left.b, "fd01::2/64"); up(right.a, "fd02::2/64"); up(right.b, "fd02::1/64");
            add_route(a, "default", #{via: "fd01::2"}); add_route(b, "default", #{via: "fd02::2"});
            check ping(a, "fd02::1", #{timeout: "500ms"}).ok;
            delete(a); delete(r); delete(b);
        }
        "#,
    );
}

#[trial(ip)]
fn duplicate_address_detection_is_off_unless_it_is_asked_for() {
    passes_for_all(
        r#"
        for ns in [host(), netns("netns1"), unshare(["net"]).net, unshare(["user", "net"]).net] {
            check sysctl(ns, "net.ipv6.conf.default.accept_dad") == 0;
        }
        let cable = veth("v0", "v1");
        check sysctl("net.ipv6.conf.v0.accept_dad") == 0;
        up(cable.a); up(cable.b);
        addr(cable.a, "fd00::1/64", #{dad: true});
        check sysctl("net.ipv6.conf.v0.accept_dad") == 1;
        let found = addrs().filter(|a| a.addr == "fd00::1/64")[0];
        check found.tentative && "tentative" in found.flags && !("nodad" in found.flags);
        let theirs = ip(host(), "addr show dev v0")[0].addr_info.filter(|a| a.local == "fd00::1")[0];
        check theirs.tentative;
        "#,
    );
}

#[trial(ip)]
fn addresses_have_peers_flags_lifetimes_and_labels() {
    passes_for_all(
        r#"
        let l = up(veth("d0", "d1").a);
        for words in ["addr add 10.0.0.1/24 dev d0 valid_lft 1000 preferred_lft 500", "addr add 10.0.0.2/24 dev d0 label d0:two",
                      "addr add 10.9.0.1 peer 10.9.0.2/32 dev d0", "addr add fd01::1 peer fd01::2/64 dev d0 nodad",
                      "addr add fd02::1/64 dev d0 nodad preferred_lft 0", "addr add fd03::1/64 dev d0 nodad noprefixroute"] {
            check exec("ip " + words).ok;
        }
        let theirs = ip(host(), "addr show dev d0")[0].addr_info.filter(|a| a.scope != "link");
        let ours = addrs().filter(|a| a.dev == "d0" && a.scope != "link");
        check ours.len() == theirs.len();
        for n in 0..ours.len() {
            let a = ours[n]; let b = theirs[n];
            check a.addr == `${b.local}/${b.prefixlen}`;
            check a.peer == if "address" in b { b.address } else { () };
            check a.label == if "label" in b { b.label } else { () };
            for flag in ["secondary", "dynamic", "deprecated", "tentative", "nodad", "noprefixroute"] {
                check (flag in a.flags) == (flag in b);
            }
            check (a.valid_lft == ()) == (b.valid_life_time == 4294967295);
            check (a.preferred_lft == ()) == (b.preferred_life_time == 4294967295);
        }
        "#,
    );
    passes_for_all(
        r#"
        let l = up(veth("d0", "d1").a);
        exec("ip addr add 10.9.0.1 peer 10.9.0.2/32 dev d0"); exec("ip addr add fd01::1 peer fd01::2/64 dev d0 nodad");
        check l.to_string().contains("inet 10.9.0.1 peer 10.9.0.2/32 scope global d0");
        del_addr(l, "10.9.0.1/32"); del_addr(l, "fd01::1/64");
        check addrs().filter(|a| a.dev == "d0" && a.scope == "global").len() == 0;
        "#,
    );
}

#[trial(ip)]
fn routes_of_every_kind_are_those_of_the_tools() {
    passes_for_all(
        r#"
        let l = up(veth("d0", "d1").a, "10.0.0.1/24"); up("d1");
        addr(l, "fd00::1/64");
        for words in ["route add unreachable 10.1.0.0/16", "route add blackhole 10.2.0.0/16", "route add prohibit 10.3.0.1",
                      "route add 10.4.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3", "route add 10.5.0.0/16 via inet6 fd00::2 dev d0",
                      "nexthop add id 5 via 10.0.0.9 dev d0", "nexthop add id 6 via 10.0.0.8 dev d0", "nexthop add id 7 group 5/6",
                      "route add 10.6.0.0/16 nhid 5", "route add 10.7.0.0/16 nhid 7", "-6 route add fd03::/64 nexthop via fd00::2 nexthop via fd00::3"] {
            check exec("ip " + words).ok;
        }
        let all = routes();
        let to = |dst| all.filter(|r| r.dst == dst)[0];
        check to.call("10.1.0.0/16").kind == "unreachable" && to.call("10.1.0.0/16").dev == () && to.call("10.1.0.0/16").next_hops.is_empty;
        check to.call("10.2.0.0/16").kind == "blackhole" && to.call("10.3.0.1/32").kind == "prohibit";
        let multi = to.call("10.4.0.0/16").next_hops;
        check multi.map(|h| [h.gateway, h.dev, h.weight]) == [["10.0.0.2", "d0", 2], ["10.0.0.3", "d0", 1]];
        check multi[0].to_string() == "nexthop via 10.0.0.2 dev d0 weight 2";
        check to.call("10.5.0.0/16").gateway == "fd00::2" && to.call("10.6.0.0/16").nhid == 5 && to.call("10.7.0.0/16").next_hops.len() == 2;
        check "10.4.0.0/16" in all && !("9.9.9.9/32" in all) && !("default" in all);
        check routes(#{family: "inet6"}).filter(|r| r.dst == "fd03::/64")[0].next_hops.len() == 2;
        let e = expect_error(|| add_route("default", #{via: "fe80::1%nope"}));
        check e.errno == 19;
        add_route("default", #{via: "fe80::1%d1"});
        check "default" in routes(#{family: "inet6"}) && routes(#{family: "inet6"}).filter(|r| r.dst == "::/0")[0].dev == "d1";
        "#,
    );
}

#[trial(route, ip)]
fn the_table_is_that_of_route_n() {
    passes_for_all(
        r#"
        let l = up(veth("d0", "d1").a, "10.0.0.1/24"); up("d1");
        exec("ip route add unreachable 10.1.0.0/16"); exec("ip route add blackhole 10.2.0.0/16"); exec("ip route add prohibit 10.3.0.1");
        exec("ip route add 10.4.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3");
        check routes().to_string() + "\n" == exec("route -n").stdout;
        "#,
    );
}

#[trial(ip)]
fn each_name_of_a_namespace_is_a_name() {
    passes_for_all(
        r#"
        let one = netns("one");
        let p = start(one, "sleep 60");
        check exec(["ip", "netns", "attach", "two", `${p.pid}`]).ok;
        let two = open_netns("two");
        check two.name == "two" && one.name == "one" && two == one;
        delete(two);
        check exec("ip netns list").stdout.contains("one") && !exec("ip netns list").stdout.contains("two");
        check "lo" in links(one);
        // A name that is given to a namespace without one.
        let q = start(netns(), "sleep 60");
        exec(["ip", "netns", "attach", "uno", `${q.pid}`]);
        let uno = open_netns("uno");
        check uno.name == "uno" && netns_list().map(|n| n.name) == ["one", "uno"];
        delete(uno);
        check netns_list().map(|n| n.name) == ["one"];
        "#,
    );
}

#[trial(perl)]
fn a_socket_keeps_a_namespace_and_gone_says_so() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let report = delete(ns1);
        check report.gone && report.to_string() == "namespace `netns1`: gone, nothing holds it";
        wait_gone(ns1, #{timeout: "5s"});
        // A program opens a socket there, and goes elsewhere with it.
        let ns2 = netns("netns2");
        let program = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0); open(my $n, "<", "/proc/1/ns/net"); syscall(308, fileno($n), 0) == 0 or die; $| = 1; print "on\n"; sleep 60`;
        let p = start(ns2, ["perl", "-e", program]);
        wait_until(|| p.stdout == "on\n");
        let report = delete(ns2);
        check !report.gone && report.holders.is_empty;
        check report.to_string().contains("something that cannot be seen holds it");
        kill(p, "KILL"); wait(p);
        wait_gone(ns2);
        "#,
    );
}

/// `a <-> b`, set up by the real tool after a ping in vain.
#[trial(ip)]
fn a_ping_does_not_suffer_from_an_earlier_one() {
    passes(
        r#"
        let b = netns("b");
        let cable = veth("veth0", b, "veth1");
        up(cable.b, "10.0.0.2/24"); addr(cable.a, "10.0.0.1/24");
        check !ping(b, "10.0.0.1", #{timeout: "1500ms"}).ok;
        exec("ip link set veth0 up");
        wait_until(|| cable.b.state == "UP");
        check ping(b, "10.0.0.1").ok;
        "#,
    );
}

#[trial]
fn a_wait_for_a_reply_is_no_time_of_the_ping() {
    passes(
        r#"
        let b = netns("b");
        let cable = veth("veth0", b, "veth1");
        up(cable.a, "10.0.0.1/24"); up(cable.b);
        let text = ping("10.0.0.9", #{timeout: "300ms"}).to_string();
        check text.contains("100% packet loss, time 0ms");
        "#,
    );
}

#[trial]
fn a_sysctl_of_a_link_with_a_dot() {
    passes_for_all(
        r#"
        up(bridge("eth0.100"));
        sysctl("net.ipv4.conf.eth0.100.forwarding", 1);
        check sysctl("net.ipv4.conf.eth0/100.forwarding") == 1 && sysctl("net.ipv4.conf.eth0.100.forwarding") == 1;
        "#,
    );
}
