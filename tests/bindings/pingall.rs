//! `pingall`: which addresses it asks, and a neighbour table that has no room for all pairs.

use crate::common::{passes, passes_for_all};

#[trial]
fn it_asks_every_node_and_says_which_are_missing() {
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
        check pingall([lan.nodes[0]]).ok && pingall([]).ok;
        "#,
    );
}

/// An address on `lo` is asked only if no other link has one.
#[trial]
fn an_address_on_lo_is_the_last_choice() {
    passes_for_all(
        r#"
        let a = netns("a"); let b = netns("b");
        for ns in [a, b] { up(ns, "lo"); addr(ns, "lo", "10.9.9.9/32"); addr(ns, "lo", "127.0.0.2/8"); }
        let cable = veth(a, "eth0", b, "eth0");
        up(cable.a, "fd00::1/64"); up(cable.b, "fd00::2/64");
        check pingall([a, b]).ok;
        // They reach each other: nothing answers when the cable is cut.
        down(cable.b);
        check pingall([a, b], #{timeout: "50ms"}).lost[0].starts_with("a -> b: both have the address 10.9.9.9");
        // Only lo has one.
        let c = netns("c"); let d = netns("d");
        for (ns, n) in [c, d] { up(ns, "lo"); addr(ns, "lo", `10.8.8.${n + 1}/32`); }
        let cable = veth(c, "eth0", d, "eth0");
        up(cable.a); up(cable.b);
        check pingall([c, d], #{timeout: "50ms"}).lost.len() == 2;
        add_route(c, "10.8.8.2/32", #{dev: "eth0"}); add_route(d, "10.8.8.1/32", #{dev: "eth0"});
        check pingall([c, d]).ok;
        let e = expect_error(|| pingall([a, netns("empty")]));
        check e.kind == "usage" && e.message.contains("has no address to ping");
        "#,
    );
}

/// `v4, both, v6` on one bridge.
#[trial]
fn a_pair_uses_a_family_that_both_have() {
    passes_for_all(
        r#"
        let sw = netns("sw"); let br = up(bridge(sw, "br0"));
        let nodes = ["v4", "both", "v6"].map(|name| netns(name));
        for (ns, n) in nodes {
            let cable = veth(ns, "eth0", sw, `port${n}`);
            set_master(cable.b, br); up(cable.b); up(cable.a);
            if n < 2 { addr(cable.a, `10.0.0.${n + 1}/24`); }
            if n > 0 { addr(cable.a, `fd00::${n + 1}/64`); }
        }
        let all = pingall(nodes);
        check all.sent == 6 && all.received == 4;
        check all.lost == ["v4 -> v6: no common family: only IPv4 and only IPv6 addresses",
                           "v6 -> v4: no common family: only IPv6 and only IPv4 addresses"];
        "#,
    );
}

#[trial]
fn a_sandbox_with_a_network_is_a_node() {
    passes_for_all(
        r#"
        let a = netns("a"); let box = unshare(["net", "uts"]);
        let cable = veth(a, "eth0", box.net, "eth0");
        up(cable.a, "10.0.0.1/24"); up(cable.b, "10.0.0.2/24");
        check pingall([a, box]).ok;
        let e = expect_error(|| pingall([a, unshare(["uts"])]));
        check e.kind == "usage" && e.message.contains("has no network namespace of its own");
        "#,
    );
}

/// 64 nodes on one bridge: 4,032 pairs, four times as many as the neighbour table has room for.
#[trial(ip)]
fn no_ping_is_lost_to_a_full_neighbour_table() {
    for (net, length) in [("10.0.0.", 24), ("fd00::", 64)] {
        passes(&format!(
            r#"
            let sw = netns(); let br = up(bridge(sw, "br0"));
            let nodes = [];
            for n in 1..=64 {{
                let ns = netns(`h${{n}}`);
                let cable = veth(ns, "eth0", sw, `port${{n}}`);
                set_master(cable.b, br); up(cable.b); up(cable.a);
                addr(cable.a, `{net}${{n}}/{length}`);
                nodes.push(ns);
            }}
            exec(nodes[0], "ip neigh add {net}99 lladdr 02:00:00:00:00:99 dev eth0 nud reachable");
            let all = pingall(nodes);
            check all.sent == 4032;
            check all.lost == [];
            // What was there before stays.
            check exec(nodes[0], "ip neigh show").stdout.contains("{net}99");
            check !exec(nodes[0], "ip neigh show").stdout.contains("{net}9 ");
            "#
        ));
    }
}
