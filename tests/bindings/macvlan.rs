//! `macvlan`: what the kernel made, each mode, and packets between two of one link.

use crate::common::passes_for_all;

#[trial(ip, macvlan)]
fn every_mode_is_what_ip_says() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let lower = veth(ns1, "eth0", ns1, "eth1").a;
        for mode in ["private", "vepa", "bridge", "passthru", "source"] {
            let m = macvlan(lower, "m0", #{mode: mode});
            let theirs = dev(ns1, "m0");
            check theirs.linkinfo.info_kind == "macvlan" && theirs.linkinfo.info_data.mode == mode;
            check theirs.link == "eth0" && theirs.operstate == "DOWN";
            check m.ns == ns1 && m.lower == lower && m.lower_index == lower.index && m.peer == () && m.peer_index == ();
            check m.to_string().starts_with(`${m.index}: m0@eth0: <`);
            delete(m);
        }
        check macvlan(ns1, "eth0", "m1").name == "m1" && dev(ns1, "m1").linkinfo.info_data.mode == "bridge";
        "#,
    );
}

/// `a (m0 on eth0) <-> b (m1 on eth0)`
#[trial(macvlan)]
fn two_of_one_link_reach_each_other() {
    passes_for_all(
        r#"
        let a = netns("a");
        let b = netns("b");
        let cable = veth("eth0", "eth1");
        up(cable.a); up(cable.b);
        let first = move_to(macvlan(cable.a, "m0"), a);
        let second = move_to(macvlan(cable.a, "m1"), b);
        check first.lower == cable.a && first.netnsid == 0;
        up(first, "10.0.0.1/24"); up(second, "10.0.0.2/24");
        check ping(a, "10.0.0.2", #{count: 2, interval: "10ms"}).ok;
        "#,
    );
}

#[trial(macvlan)]
fn mistakes_say_what_is_wrong() {
    passes_for_all(
        r#"
        let lower = veth("eth0", "eth1").a;
        let e = expect_error(|| macvlan(lower, "m0", #{mode: "hub"}));
        check e.kind == "usage" && e.message.contains("\"passthru\"");
        macvlan(lower, "m0");
        let e = expect_error(|| macvlan(lower, "m0"));
        check e.kind == "exists" && e.op == "create macvlan" && e.object == "m0" && e.message.contains("on link `eth0`");
        let e = expect_error(|| macvlan("nope", "m1"));
        check e.errno == 19;
        "#,
    );
}
