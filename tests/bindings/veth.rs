//! `veth`: where its ends are, what they know of each other, and when packets pass.

use crate::common::{Shell, passes, passes_for_all};

#[trial(ip)]
fn both_ends_here() {
    let out = Shell::new()
        .script(r#"let c = veth("veth0", "veth1"); print(exec("ip -j -d link").stdout); print(`[${c.a.index}, ${c.b.index}]`);"#)
        .run()
        .success();
    let [links, ours] = <[_; 2]>::try_from(out.json()).unwrap();
    let find = |name: &str| links.as_array().unwrap().iter().find(|link| link["ifname"] == name).unwrap().clone();
    let (a, b) = (find("veth0"), find("veth1"));
    assert_eq!((&a["ifindex"], &b["ifindex"]), (&ours[0], &ours[1]));
    assert_eq!((&a["link"], &b["link"]), (&"veth1".into(), &"veth0".into()));
    assert_eq!((&a["linkinfo"]["info_kind"], &a["operstate"]), (&"veth".into(), &"DOWN".into()));
    assert!(a.get("link_netnsid").is_none());
}

#[trial(ip)]
fn each_end_where_it_was_placed() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let ns2 = netns("netns2");
        //  netns1 eth0 ---- eth0 netns2
        let cable = veth(ns1, "eth0", ns2, "eth0");
        check cable.a.ns == ns1 && cable.b.ns == ns2;
        check cables(host()) == [];
        let a = dev(ns1, "eth0");
        let b = dev(ns2, "eth0");
        check a.link_index == b.ifindex && b.link_index == a.ifindex;
        check a.link_netnsid == cable.a.netnsid && b.link_netnsid == cable.b.netnsid;
        check cable.a.peer == cable.b && cable.b.peer == cable.a && cable.a.peer.ns == ns2;
        check link(ns1, "eth0").peer == cable.b;
        //  here0 ---- eth1 netns1, and the other way round
        let half = veth("here0", ns1, "eth1");
        check half.a.ns == host() && half.b.ns == ns1;
        let other = veth(ns1, "eth2", "here1");
        check other.a.ns == ns1 && other.b.ns == host();
        within ns2 { check veth("in0", "in1").b.ns == ns2; }
        check ip(ns2, "link").map(|l| l.ifname).contains("in1");
        "#,
    );
}

#[trial]
fn the_first_packet_after_up_arrives() {
    passes_for_all(
        r#"
        for n in 0..20 {
            let ns1 = netns("netns1");
            let cable = veth("veth0", ns1, "veth1");
            up(cable.a, "10.1.1.1/24");
            up(cable.b, "10.1.1.2/24");
            let r = ping("10.1.1.2", #{timeout: "500ms"});
            check r.ok && r.rtt < 500.0;
            delete(cable.a);
            delete(ns1);
        }
        "#,
    );
}

#[trial(ip)]
fn the_second_of_a_name_is_eexist() {
    passes(
        r#"
        let ns1 = netns("netns1");
        veth("veth0", ns1, "veth1");
        let e = expect_error(|| veth("veth0", "new"));
        check e.errno == 17 && e.kind == "exists" && e.message.contains("`veth0`") && e.hint.contains("`veth0`");
        let e = expect_error(|| veth("new", ns1, "veth1"));
        check e.errno == 17 && e.hint.contains("`veth1`") && e.hint.contains("netns1");
        let e = expect_error(|| veth("same", "same"));
        check e.kind == "usage" || e.errno == 17;
        // Nothing half-made is left.
        check cables(host()) == ["veth0"];
        check cables(ns1) == ["veth1"];
        "#,
    );
}

#[trial]
fn printing_a_cable_shows_both_ends() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let text = veth("veth0", ns1, "veth1").to_string();
        check text.contains("veth0") && text.contains("veth1") && text.contains("netns1");
        "#,
    );
}
