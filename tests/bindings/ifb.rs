//! `ifb`: what the kernel made, and packets that are redirected to it.

use crate::common::passes_for_all;

/// `a <-> b`: what arrives at `b` passes `ifb0` first, which counts it.
#[trial(ip, tc, ifb)]
fn incoming_packets_pass_it() {
    passes_for_all(
        r#"
        let a = netns("a"); let b = netns("b");
        let block = up(ifb(b, "ifb0"));
        let theirs = dev(b, "ifb0");
        check theirs.linkinfo.info_kind == "ifb" && block.kind == "ifb" && block.lower == () && block.peer == ();
        let cable = veth(a, "eth0", b, "eth0");
        up(cable.a, "10.0.0.1/24"); up(cable.b, "10.0.0.2/24");
        check bash(b, "tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress u32 match u32 0 0 action mirred egress redirect dev ifb0").ok;
        check ping(a, "10.0.0.2", #{count: 3, interval: "10ms"}).ok;
        check ip(b, "-s link show dev ifb0")[0].stats64.rx.packets >= 3;
        "#,
    );
}
