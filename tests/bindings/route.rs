//! `routes`, `add_route`, `del_route`: the main table, as `ip route` shows it.

use crate::common::{passes, passes_for_all};

#[trial(ip)]
fn routes_are_what_ip_route_shows() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a, "10.1.1.2/24");
        up(cable.b, "10.1.1.1/24");
        add_route(ns1, "default", #{via: "10.1.1.2"});
        add_route(ns1, "10.9.0.0/16", #{dev: "veth1", metric: 50});
        add_route(ns1, "10.9.1.1/32", #{via: "10.1.1.2", dev: "veth1"});
        let ours = routes(ns1);
        let theirs = ip(ns1, "route show table main");
        check ours.len == theirs.len() && ours.len == 4;
        for r in ours {
            let found = theirs.filter(|t| (if t.dst == "default" { "0.0.0.0/0" } else if t.dst.contains("/") { t.dst } else { t.dst + "/32" }) == r.dst);
            check found.len() == 1;
            let t = found[0];
            check r.dev == t.dev;
            check r.gateway == if "gateway" in t { t.gateway } else { () };
            check r.metric == if "metric" in t { t.metric } else { 0 };
            check r.src == if "prefsrc" in t { t.prefsrc } else { () };
            check r.protocol == t.protocol;
            check r.kind == t.type;
        }
        "#,
    );
}

#[trial]
fn a_table_prints_as_route_n_does() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a);
        up(cable.b, "10.1.1.1/24");
        add_route(ns1, "default", #{via: "10.1.1.2"});
        check routes(ns1).to_string() == `Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
0.0.0.0         10.1.1.2        0.0.0.0         UG    0      0        0 veth1
10.1.1.0        0.0.0.0         255.255.255.0   U     0      0        0 veth1`;
        "#,
    );
}

#[trial(ip)]
fn ipv6_routes() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a, "fd00::2/64");
        up(cable.b, "fd00::1/64");
        add_route(ns1, "default", #{via: "fd00::2", metric: 77});
        let ours = routes(ns1, #{family: "inet6"});
        let theirs = parse_json(exec(ns1, "ip -6 -j route").stdout);
        check ours.filter(|r| r.dst == "::/0").map(|r| r.gateway) == ["fd00::2"];
        check ours.filter(|r| r.dst == "::/0").map(|r| r.metric) == [77];
        check theirs.filter(|r| r.dst == "default")[0].metric == 77;
        check ours.some(|r| r.dst == "fd00::/64" && r.protocol == "kernel");
        del_route(ns1, "default", #{via: "fd00::2"});
        check !routes(ns1, #{family: "inet6"}).some(|r| r.dst == "::/0");
        check exec(ns1, "ip -6 route show default").stdout == "";
        "#,
    );
}

#[trial]
fn a_route_that_is_there_is_eexist_and_one_that_is_not_is_esrch() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a);
        up(cable.b, "10.1.1.1/24");
        add_route(ns1, "10.9.0.0/16", #{via: "10.1.1.2"});
        let e = expect_error(|| add_route(ns1, "10.9.0.0/16", #{via: "10.1.1.2"}));
        check e.errno == 17 && e.kind == "exists" && e.message.contains("10.9.0.0/16");
        let e = expect_error(|| del_route(ns1, "10.8.0.0/16"));
        check e.errno == 3 && e.kind == "not_found";
        let e = expect_error(|| add_route(ns1, "default", #{via: "192.168.7.1"}));
        check e.message.contains("Nexthop has invalid gateway") && e.hint != "";
        let e = expect_error(|| add_route(ns1, "default", #{}));
        check e.kind == "usage" && e.hint.contains("via");
        let e = expect_error(|| add_route(ns1, "default", #{via: "fd00::1", dev: "nodev"}));
        check e.kind == "not_found" && e.message.contains("nodev");
        let e = expect_error(|| add_route(ns1, "10.7.0.0/16", #{via: "fd00::1"}));
        check e.kind == "usage";
        check routes(ns1).len == 2;
        "#,
    );
}

#[trial(ip, ping)]
fn a_packet_takes_the_route() {
    passes_for_all(
        r#"
        //  h1 10.0.1.1 --- 10.0.1.2 router 10.0.2.2 --- 10.0.2.1 h2
        let h1 = netns("h1"); let router = netns("router"); let h2 = netns("h2");
        let left = veth(h1, "eth0", router, "left");
        let right = veth(router, "right", h2, "eth0");
        up(left.a, "10.0.1.1/24"); up(left.b, "10.0.1.2/24");
        up(right.a, "10.0.2.2/24"); up(right.b, "10.0.2.1/24");
        let r = ping(h1, "10.0.2.1");
        check !r.ok && r.error == "Network is unreachable" && r.errno == 101;
        add_route(h1, "10.0.2.0/24", #{via: "10.0.1.2"});
        add_route(h2, "default", #{via: "10.0.2.2"});
        check !ping(h1, "10.0.2.1", #{timeout: "200ms"}).ok;       // the router does not forward
        sysctl(router, "net.ipv4.ip_forward", 1);
        let r = ping(h1, "10.0.2.1");
        check r.ok && r.replies[0].ttl == 63;
        check exec(h1, "ping -c1 -W2 10.0.2.1").stdout.contains("ttl=63");
        check exec(h1, "ip route get 10.0.2.1").stdout.contains("via 10.0.1.2 dev eth0");
        "#,
    );
}
