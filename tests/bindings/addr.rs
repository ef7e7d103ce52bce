//! `addr`, `del_addr`, and addresses given to `up`.

use crate::common::{passes, passes_for_all};

#[trial(ip)]
fn addresses_are_what_ip_addr_shows() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let l = veth(ns1, "veth0", ns1, "veth1").a;
        addr(l, "10.1.1.1/24");
        addr(l, "10.1.2.1/32");
        addr(l, "fd00::1/64");
        let theirs = dev(ns1, "veth0").addr_info;
        check theirs.map(|a| `${a.local}/${a.prefixlen}`) == ["10.1.1.1/24", "10.1.2.1/32", "fd00::1/64"];
        check l.addrs == theirs.map(|a| `${a.local}/${a.prefixlen}`);
        check theirs[0].broadcast == "10.1.1.255" && theirs[0].scope == "global";
        check "nodad" in theirs[2] && !("tentative" in theirs[2]);
        del_addr(l, "10.1.1.1/24");
        del_addr(l, "fd00::1/64");
        check dev(ns1, "veth0").addr_info.map(|a| a.local) == ["10.1.2.1"];
        "#,
    );
}

#[trial]
fn the_second_of_an_address_is_eexist() {
    passes(
        r#"
        let l = veth("veth0", "veth1").a;
        for a in ["10.1.1.1/24", "fd00::1/64"] {
            addr(l, a);
            let e = expect_error(|| addr(l, a));
            check e.errno == 17 && e.kind == "exists" && e.message.contains(a) && e.message.contains("`veth0`");
        }
        "#,
    );
}

#[trial]
fn deleting_what_is_not_there_says_so() {
    passes(
        r#"
        let l = veth("veth0", "veth1").a;
        let e = expect_error(|| del_addr(l, "10.1.1.1/24"));
        check e.errno == 99 && e.message.contains("10.1.1.1/24");
        "#,
    );
}

#[trial(ip)]
fn an_ipv6_address_is_usable_at_once_unless_dad_is_asked_for() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a);
        up(cable.b);
        addr(cable.a, "fd00::1/64");
        addr(cable.b, "fd00::2/64", #{dad: true});
        let asked = dev(ns1, "veth1").addr_info.filter(|a| a.local == "fd00::2")[0];
        check "tentative" in asked || !("nodad" in asked);
        addr(cable.b, "fd00::3/64");
        check ping("fd00::3").ok;
        "#,
    );
}

#[trial]
fn a_bad_address_is_refused_in_the_kernels_own_words() {
    passes(
        r#"
        let l = veth("veth0", "veth1").a;
        let e = expect_error(|| addr(l, "ff02::1/64"));
        check e.errno == 99;
        let e = expect_error(|| add_route("10.9.0.0/16", #{via: "10.1.1.1"}));
        check e.message.contains("Nexthop has invalid gateway");
        for bad in ["10.1.1.1/33", "fd00::1/129", "10.1.1.1/255", "10.1.1.1/-1", "10.1.1.1", "10.1.1./24", "010.1.1.1/24", "", "/24"] {
            let e = expect_error(|| addr(l, bad));
            check e.kind == "usage" && e.errno == 0 && e.hint != "";
        }
        check l.addrs == [];
        "#,
    );
}
