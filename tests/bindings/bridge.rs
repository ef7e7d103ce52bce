//! `bridge`, `set_master`, `nomaster`: a switch, its ports, and what crosses it.

use crate::common::{passes, passes_for_all};

#[trial(ip)]
fn a_bridge_is_one_for_ip_and_starts_down() {
    passes_for_all(
        r#"
        let sw = netns("switch");
        let br = bridge(sw, "br0");
        let theirs = dev(sw, "br0");
        check theirs.linkinfo.info_kind == "bridge" && theirs.operstate == "DOWN" && !("UP" in theirs.flags);
        check br.kind == "bridge" && br.state == "DOWN" && br.ns == sw && br.index == theirs.ifindex;
        let e = expect_error(|| bridge(sw, "br0"));
        check e.errno == 17 && e.kind == "exists" && e.message == "create bridge `br0` in namespace `switch`: File exists (EEXIST 17)";
        "#,
    );
}

#[trial(ip)]
fn ports_are_what_the_bridge_tool_shows() {
    passes_for_all(
        r#"
        let sw = netns("switch");
        let br = bridge(sw, "br0");
        let a = veth(sw, "port1", netns("h1"), "eth0").a;
        let b = veth(sw, "port2", netns("h2"), "eth0").a;
        set_master(a, br);
        set_master(sw, "port2", sw, "br0");
        let ports = parse_json(exec(sw, "bridge -j link").stdout);
        check ports.map(|p| p.ifname) == ["port1", "port2"];
        check ports.all(|p| p.master == "br0");
        check a.master == br && b.master.name == "br0" && dev(sw, "port1").master == "br0";
        nomaster(a);
        check a.master == ();
        check parse_json(exec(sw, "bridge -j link").stdout).map(|p| p.ifname) == ["port2"];
        check !("master" in dev(sw, "port1"));
        "#,
    );
}

#[trial(ip, ping)]
fn hosts_on_a_bridge_reach_each_other() {
    passes_for_all(
        r#"
        //  h1 eth0 --- port1 [br0] port2 --- eth0 h2
        let sw = netns("switch");
        let br = up(bridge(sw, "br0"));
        let nodes = [];
        for n in 1..=3 {
            let node = netns(`h${n}`);
            let cable = veth(sw, `port${n}`, node, "eth0");
            up(set_master(cable.a, br));
            up(cable.b, `10.0.0.${n}/24`);
            nodes.push(node);
        }
        check pingall(nodes).ok;
        check exec(nodes[0], "ping -c1 -W2 10.0.0.3").ok;
        // What the bridge has learned is in its table.
        let learned = parse_json(exec(sw, "bridge -j fdb show br br0").stdout).map(|e| e.mac);
        for node in nodes { check learned.contains(link(node, "eth0").mac); }
        // Off the bridge no host is reached.
        nomaster(sw, "port3");
        let r = ping(nodes[0], "10.0.0.3", #{timeout: "300ms"});
        check !r.ok;
        "#,
    );
}

#[trial]
fn a_port_must_be_beside_its_bridge() {
    passes(
        r#"
        let sw = netns("switch");
        let br = bridge(sw, "br0");
        let cable = veth("here", sw, "there");
        let e = expect_error(|| set_master(cable.a, br));
        check e.kind == "usage" && e.message.contains("`here`") && e.message.contains("`br0`") && e.hint.contains("move_to");
        let e = expect_error(|| set_master(cable.b, link(sw, "lo")));
        check e.kind == "unsupported" && e.errno == 95 && e.hint.contains("bridge");
        let e = expect_error(|| set_master(sw, "lo", br));
        check e.errno == 22;
        "#,
    );
}
