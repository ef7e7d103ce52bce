//! `links`, `link`, `exists`, `up`, `down`, `rename`, `set_mtu`, `move_to`, `delete`, `info`.

use crate::common::{NOBODY, Shell, passes, passes_for_all};

/// A function for scripts: everything about a link that the binding says must be what `ip -d -j` says.
const SAME: &str = r#"
fn same(l) {
    let theirs = dev(l.ns, l.name);
    check l.index == theirs.ifindex;
    check l.state == theirs.operstate;
    check l.mtu == theirs.mtu;
    check l.mac == theirs.address;
    let flags = theirs.flags;
    check l.flags == flags.filter(|f| f != "M-DOWN");
    check l.is_up == ("UP" in flags);
    check l.carrier == ("LOWER_UP" in flags);
    check l.kind == if "linkinfo" in theirs { theirs.linkinfo.info_kind } else { "" };
    check l.netnsid == if "link_netnsid" in theirs { theirs.link_netnsid } else { () };
    if "link_index" in theirs { check l.peer_index == theirs.link_index; }
    check l.addrs == theirs.addr_info.map(|a| `${a.local}/${a.prefixlen}`);
    // The text is the text of `ip link`, and that of its addresses the text of `ip addr`.
    same_text(l.to_string(), exec(l.ns, ["ip", "link", "show", "dev", l.name]).lines);
    let theirs = [];
    for other in links(l.ns) {
        if other.addrs.len() > 0 { theirs += exec(l.ns, ["ip", "addr", "show", "dev", other.name]).lines; }
    }
    same_text(addrs(l.ns).to_string(), theirs);
}
fn same_text(ours, theirs) {
    let ours = if ours == "" { [] } else { ours.split("\n") };
    for n in 0..theirs.len() { check trimmed(ours[n]) == trimmed(theirs[n]); }
    check ours.len() == theirs.len();
}
fn trimmed(line) { let copy = line; copy.trim(); copy.replace(" proto kernel_ll", ""); copy.replace(" proto kernel_lo", ""); copy.replace("link-netns netns1", "link-netnsid 0"); copy }
"#;

#[track_caller]
fn reading(text: &str) -> Shell {
    Shell::new().reading(&(SAME.to_owned() + text))
}

#[trial(ip)]
fn lo_is_what_ip_says_down_and_up() {
    for user in [0, NOBODY] {
        let shell = reading(
            r#"
            let ns1 = netns("netns1");
            let lo = link(ns1, "lo");
            same(lo);
            check lo.state == "DOWN" && lo.peer == () && lo.peer_index == () && lo.master == ();
            up(lo);
            same(lo);
            check lo.state == "UNKNOWN" && lo.addrs == ["127.0.0.1/8", "::1/128"];
            down(lo);
            same(lo);
            "#,
        );
        let shell = if user == 0 { shell } else { shell.user(user) };
        shell.run().success();
    }
}

#[trial(ip)]
fn cables_in_every_state_are_what_ip_says() {
    reading(
        r#"
        let ns1 = netns("netns1");
        for cable in [veth("here0", "here1"), veth("veth0", ns1, "veth1")] {
            for change in [|c| c, |c| up(c.a, "10.1.1.1/24"), |c| up(c.b, "10.1.1.2/24"), |c| addr(c.b, "fd00::1/64"),
                           |c| down(c.a), |c| up(c.a), |c| down(c.b)] {
                change.call(cable);
                // The kernel makes link-local addresses a moment after the carrier.
                for end in [cable.a, cable.b] {
                    if end.carrier { wait_until(|| end.addrs.some(|a| a.starts_with("fe80")), #{timeout: "10s"}); }
                }
                wait_until(|| !(addrs().some(|a| a.tentative) || addrs(ns1).some(|a| a.tentative)), #{timeout: "10s"});
                same(cable.a);
                same(cable.b);
            }
        }
        "#,
    )
    .run()
    .success();
}

/// A cable that is cut has no carrier in a list either, which the kernel fills from what it has updated so far.
#[trial(ip)]
fn a_list_shows_the_far_end_of_a_link_that_is_down() {
    passes_for_all(
        r#"
        for n in 0..40 {
            let ns = netns(`n${n}`);
            let cable = veth(`a${n}`, ns, "b");
            up(cable.a); up(cable.b); down(cable.b);
            let far = ip(host(), "link").filter(|l| l.ifname == `a${n}`)[0];
            check far.operstate != "UP" && "NO-CARRIER" in far.flags;
            check cable.a.is_up && !cable.a.carrier && cable.a.state in ["DOWN", "LOWERLAYERDOWN"];
            delete(ns);
        }
        "#,
    );
}

#[trial(ip)]
fn an_alternative_name_may_be_long() {
    passes_for_all(
        r#"
        let long = "an-alternative-name-of-a-link-with-40-by";
        veth("d0", "d1");
        for name in [long, "short"] { check exec(["ip", "link", "property", "add", "dev", "d0", "altname", name]).ok; }
        check exec("ip link set d0 alias a-text").ok;
        let l = link(long);
        check l.name == "d0" && l == link("d0") && link("short").name == "d0" && l.altnames == dev(host(), "d0").altnames;
        check exists(long) && !exists("an-alternative-name-that-no-link-has");
        up(long, "10.0.0.1/24"); up("d1");
        check addr(long, "10.0.0.2/24").name == "d0" && set_mtu(long, 1400).mtu == 1400;
        add_route("10.1.0.0/16", #{dev: long});
        check "10.1.0.0/16" in routes();
        check l.to_string().split("\n") == exec("ip link show dev d0").lines;
        delete(long);
        check !exists("d0");
        // A new name is shorter.
        for f in [|| veth(long, "d2"), || rename("lo", long)] { check expect_error(f).kind == "usage"; }
        "#,
    );
}

#[trial(ip)]
fn a_list_has_them_all() {
    passes(
        r#"
        let ns1 = netns("netns1");
        veth(ns1, "a0", ns1, "a1");
        bridge(ns1, "br0");
        let theirs = ip(ns1, "link").map(|l| l.ifname);
        check links(ns1).map(|l| l.name) == theirs;
        check links(ns1).len == theirs.len() && theirs.len() >= 4 && !links(ns1).is_empty && links(ns1)[0].name == "lo" && links(ns1)[-1].name == "br0";
        check !("br0" in links());
        within ns1 { check "br0" in links(); }
        let names = [];
        for l in links(ns1) { names.push(l.name); }
        check names == theirs;
        check expect_error(|| links(ns1)[400]) != ();
        "#,
    );
}

#[trial]
fn a_missing_link_is_named_with_its_namespace() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let e = expect_error(|| link(ns1, "eth7"));
        check e.errno == 19 && e.kind == "not_found" && e.message.contains("`eth7`") && e.ns == "namespace `netns1`";
        check !exists(ns1, "eth7") && exists(ns1, "lo");
        for f in [|| up(ns1, "eth7"), || down(ns1, "eth7"), || set_mtu(ns1, "eth7", 1400), || delete(ns1, "eth7"),
                  || rename(ns1, "eth7", "eth8"), || addr(ns1, "eth7", "10.0.0.1/24"), || nomaster(ns1, "eth7"),
                  || move_to(ns1, "eth7", host()), || info(ns1, "eth7")] {
            let e = expect_error(f);
            check e.errno == 19 && e.message.contains("eth7");
        }
        "#,
    );
}

#[trial(ip)]
fn mtu_and_name_are_what_the_kernel_took() {
    passes_for_all(
        r#"
        let l = veth("veth0", "veth1").a;
        check set_mtu(l, 1400).mtu == 1400;
        check dev(host(), "veth0").mtu == 1400;
        rename(l, "uplink");
        check l.name == "uplink" && dev(host(), "uplink").ifindex == l.index;
        check !exists("veth0") && l.peer.name == "veth1" && l.peer.peer == l;
        let e = expect_error(|| rename(l, "veth1"));
        check e.errno == 17 && l.name == "uplink";
        let e = expect_error(|| set_mtu(l, 67));
        check e.errno == 22 && e.message.contains("mtu less than device minimum");
        let e = expect_error(|| set_mtu(l, 65536));
        check e.errno == 22 && e.message.contains("mtu greater than device maximum");
        check l.mtu == 1400;
        "#,
    );
}

#[trial(ip)]
fn a_move_takes_state_addresses_and_routes() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", "veth1");
        up(cable.a);
        up(cable.b, "10.1.1.1/24");
        check ip(host(), "route").len() == 1;

        move_to(cable.b, ns1);
        check cable.b.ns == ns1;
        let there = dev(ns1, "veth1");
        check there.operstate == "DOWN" && there.addr_info == [] && !("UP" in there.flags);
        check cable.b.state == "DOWN" && cable.b.addrs == [] && !cable.b.is_up;
        check ip(ns1, "route") == [] && ip(host(), "route") == [] && routes(ns1).is_empty && routes().is_empty;
        check !exists(host(), "veth1");
        // Each end names the other by its number, and the namespace by an id.
        check cable.b.peer_index == dev(host(), "veth0").ifindex && cable.b.peer_index == there.link_index;
        check cable.a.peer_index == there.ifindex && dev(host(), "veth0").link_index == there.ifindex;
        check cable.b.netnsid == there.link_netnsid && cable.a.netnsid == dev(host(), "veth0").link_netnsid;
        check cable.a.netnsid == 0 && exec("ip netns list").stdout == "netns1 (id: 0)\n";

        up(cable.b, "10.1.1.1/24");
        move_to(cable.b, 1);
        check cable.b.ns == host();
        let back = dev(host(), "veth1");
        check back.operstate == "DOWN" && back.addr_info == [] && !("link_netnsid" in back);
        check cable.b.netnsid == () && cable.a.netnsid == ();
        check cable.b.peer_index == cable.a.index && cable.a.peer_index == cable.b.index;
        check cables(ns1) == [];
        "#,
    );
}

#[trial(ip)]
fn a_move_by_pid_goes_where_the_process_is() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        let cable = veth("veth0", "veth1");
        move_to(cable.b, p.pid);
        check cable.b.ns == ns1 && dev(ns1, "veth1").operstate == "DOWN";
        // Into a namespace that no handle knows: a sandbox's.
        let box = unshare(["net"]);
        move_to(cable.b, box.net);
        check exec(box, "ip -o link").stdout.contains("veth1@");
        let e = expect_error(|| move_to(cable.b, 999999));
        check e.kind == "not_found" && e.message.contains("999999");
        "#,
    );
}

#[trial(ip)]
fn a_move_onto_a_taken_name_is_eexist_and_changes_nothing() {
    passes(
        r#"
        let ns1 = netns("netns1");
        veth(ns1, "eth0", ns1, "eth1");
        let cable = veth("eth0", "other");
        up(cable.a, "10.0.0.1/24");
        let e = expect_error(|| move_to(cable.a, ns1));
        check e.errno == 17 && e.kind == "exists" && e.hint != "";
        check cable.a.ns == host() && dev(host(), "eth0").addr_info.some(|a| a.local == "10.0.0.1");
        "#,
    );
}

#[trial]
fn lo_stays_where_it_is() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let e = expect_error(|| move_to("lo", ns1));
        check e.errno == 22 && e.hint.contains("each namespace has its own loopback device");
        let e = expect_error(|| delete("lo"));
        check e.errno == 95;
        check exists("lo") && links(ns1).filter(|l| l.name.contains("lo")).len() == 1;
        "#,
    );
}

#[trial(ip)]
fn deleting_one_end_takes_the_other() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        delete(cable.a);
        check cables(host()) == [] && cables(ns1) == [];
        check !exists(cable.a) && !exists(cable.b);
        let e = expect_error(|| cable.b.state);
        check e.errno == 19;
        "#,
    );
}

#[trial]
fn info_is_a_snapshot() {
    passes(
        r#"
        let before = info("lo");
        up("lo");
        check before.state == "DOWN" && info("lo").state == "UNKNOWN" && before.mtu == 65536;
        check before.name == "lo" && type_of(before) == "map";
        check type_of(info("lo").addrs) == "array";
        "#,
    );
}

#[trial]
fn allow_host_device_is_for_host_mode() {
    passes(r#"allow_host_device("lo"); up("lo"); check ping("127.0.0.1").ok;"#);
}
