//! `netns`, `open_netns`, `netns_list`, `host`, `current`, `holders`, `delete`, `wait_gone`, `within`.

use crate::common::{Shell, passes, passes_for_all};

#[trial(ip)]
fn ip_netns_sees_what_netns_made() {
    let out = Shell::new()
        .script(r#"let a = netns("red"); let b = netns("blue"); print(exec("ip -j netns list").stdout);"#)
        .run()
        .success();
    let list = out.json().remove(0);
    let mut names: Vec<_> = list.as_array().unwrap().iter().map(|ns| ns["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["blue", "red"]);
}

#[trial(ip)]
fn netns_list_sees_what_ip_netns_made() {
    passes_for_all(
        r#"
        exec("ip netns add green");
        check netns_list().map(|ns| ns.name) == ["green"];
        let green = open_netns("green");
        check green.name == "green" && !green.is_host && !green.deleted;
        exec("ip netns exec green ip link set lo up");
        check link(green, "lo").state == "UNKNOWN";
        exec("ip netns delete green");
        check netns_list().is_empty;
        "#,
    );
}

#[trial(ip)]
fn a_listing_prints_as_ip_netns_list_does() {
    passes(
        r#"
        let ns1 = netns("netns1");
        check netns_list().to_string() + "\n" == exec("ip netns list").stdout;
        veth("veth0", ns1, "veth1");
        check exec("ip netns list").stdout == "netns1 (id: 0)\n";
        check netns_list().to_string() == "netns1 (id: 0)";
        check ns1.id == 0 && netns_list()[0].id == 0;
        // Seen from the other side it has no id.
        check netns_list(ns1)[0].id == ();
        "#,
    );
}

#[trial]
fn the_inode_is_that_of_the_mounted_file() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        check ns1.inode == bash(host(), "stat -L -c %i /run/netns/netns1").lines[0].parse_int();
        check exec(ns1, "readlink /proc/self/ns/net").lines[0] == `net:[${ns1.inode}]`;
        "#,
    );
}

#[trial]
fn the_second_of_a_name_is_eexist() {
    passes(
        r#"
        netns("twice");
        let e = ();
        try {
            netns("twice");
        } catch (error) { e = error; }
        check e.errno == 17 && e.kind == "exists";
        check e.line == 6 && e.position == 13 && e.source == "main.rhai";
        check e.message == "create namespace `twice`: File exists (EEXIST 17)";
        check e.hint.contains("open_netns");
        check type_of(e.op) == "string" && type_of(e.ns) == "string";
        // The one that was there is unharmed.
        check netns_list().len == 1;
        "#,
    );
}

#[trial]
fn a_namespace_without_a_name_is_in_no_list() {
    passes_for_all(
        r#"
        let quiet = netns();
        check quiet.name == () && netns_list().is_empty;
        check bash(host(), "ls /run/netns | wc -l").stdout == "0\n";
        up(quiet, "lo");
        check ping(quiet, "127.0.0.1").ok;
        check delete(quiet).gone && quiet.deleted;
        "#,
    );
}

#[trial]
fn opening_what_is_not_there_says_so() {
    passes(
        r#"
        let e = expect_error(|| open_netns("nowhere"));
        check e.kind == "not_found" && e.errno == 2 && e.message.contains("`nowhere`");
        "#,
    );
}

#[trial]
fn two_handles_of_one_namespace_are_equal() {
    passes(
        r#"
        let a = netns("one");
        let b = open_netns("one");
        let c = netns("other");
        check a == b;
        check a != c;
        check host() == current() && host().is_host;
        within a { check current() == b && current() != host() && !current().is_host; }
        check current() == host();
        "#,
    );
}

#[trial(ip)]
fn holders_are_what_proc_shows() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        let q = start(["sh", "-c", "exec 7</run/netns/netns1; echo open; exec sleep 60"]);
        wait_until(|| q.stdout.contains("open"));
        let all = holders(ns1);
        let of = |kind| all.filter(|h| h.kind == kind);
        check of.call("process").len() == 1;
        check of.call("process")[0].pid == p.pid && of.call("process")[0].command == "sleep";
        check of.call("mount").map(|h| h.detail) == ["/run/netns/netns1"];
        check of.call("descriptor").some(|h| h.pid == q.pid && h.detail == "fd 7");
        check exec("ip netns pids netns1").stdout == `${p.pid}` + "\n";
        "#,
    );
}

#[trial(ip, mount)]
fn delete_reports_who_still_holds_it() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let p = start(ns1, "sleep 60");
        let q = start(["sh", "-c", "exec 7</run/netns/netns1; echo open; exec sleep 60"]);
        wait_until(|| q.stdout.contains("open"));
        exec("touch /run/elsewhere");
        check exec("mount --bind /run/netns/netns1 /run/elsewhere").ok;
        let report = delete(ns1);
        check !report.gone;
        check report.holders.map(|h| h.kind) == ["process", "descriptor", "mount"];
        check report.holders[0].pid == p.pid;
        check report.holders[1].pid == q.pid && report.holders[1].detail == "fd 7";
        check report.holders[2].detail == "/run/elsewhere";
        check report.to_string().contains(`process ${p.pid} (sleep) is in it`);
        // Its name is gone, for `ip` as well.
        check exec("ip netns list").stdout == "" && netns_list().is_empty;
        // Still alive while the process is: its own view works on.
        check exec(nsenter(p.pid, ["net"]), "ip link").stdout.contains("lo");
        "#,
    );
}

#[trial(ip)]
fn delete_of_a_namespace_that_nobody_holds_ends_it_and_its_cables() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        up(cable.a);
        let report = delete(ns1);
        check report.gone && report.holders.is_empty;
        wait_gone(cable.a);
        check !exec("ip -o link").stdout.contains("veth0");
        let again = netns("netns1");            // the name is free
        check again != ns1;
        "#,
    );
}

#[trial]
fn a_deleted_handle_says_that_it_was_deleted() {
    passes(
        r#"
        let ns1 = netns("netns1");
        let cable = veth("veth0", ns1, "veth1");
        let other = open_netns("netns1");
        delete(ns1);
        for f in [|| links(ns1), || up(ns1, "lo"), || exec(ns1, "true"), || ping(ns1, "127.0.0.1"), || delete(ns1),
                  || routes(ns1), || firewall(ns1), || ns_inode(ns1), || hold(ns1), || cable.b.state] {
            let e = expect_error(f);
            check e.kind == "gone" && e.message.contains("`netns1`") && e.message.contains("deleted");
        }
        check ns1.deleted && ns1.name == "netns1";
        check !exists(cable.b);
        "#,
    );
}

#[trial(ip)]
fn the_host_cannot_be_deleted() {
    passes(
        r#"
        let e = expect_error(|| delete(host()));
        check e.kind == "usage" || e.kind == "permission";
        check exec("ip link").ok;
        "#,
    );
}

#[trial]
fn wait_gone_gives_up_in_time() {
    passes(
        r#"
        let e = expect_error(|| wait_gone("lo", #{timeout: "30ms"}));
        check e.kind == "timeout" && e.message.contains("30ms");
        wait_gone("never-there");
        "#,
    );
}

#[trial]
fn within_is_left_by_every_way_out() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let home = ns_inode();
        let inside = ns_inode(ns1);
        check inside != home;

        let value = within ns1 { 40 + 2 };
        check value == 42 && ns_inode() == home;

        for n in 0..5 {
            within ns1 { if n == 2 { break; } check ns_inode() == inside; }
        }
        check ns_inode() == home;

        let seen = [];
        for n in 0..4 {
            within ns1 { if n == 2 { continue; } seen.push(n); }
        }
        check seen == [0, 1, 3] && ns_inode() == home;

        fn early(ns) { within ns { return ns_inode(); } 0 }
        check early(ns1) == inside && ns_inode() == home;

        try { within ns1 { throw "out"; } } catch (e) { check e == "out"; }
        check ns_inode() == home;

        try { within ns1 { link("nothing"); } } catch (e) { check e.errno == 19; }
        check ns_inode() == home;

        let n = 0;
        while n < 3 { within ns1 { n += 1; } }
        check n == 3;
        "#,
    );
}

#[trial(ip)]
fn within_nests_and_reaches_into_functions_and_closures() {
    passes(
        r#"
        let a = netns("a");
        let b = netns("b");
        fn where_am_i() { current().name }
        let ask = || current().name;
        within a {
            check where_am_i() == "a" && ask.call() == "a";
            within b { check where_am_i() == "b" && ask.call() == "b"; }
            check where_am_i() == "a";
            within host() { check current() == host(); }
            check [1, 2].map(|n| where_am_i()) == ["a", "a"];
            // An explicit namespace wins.
            check link(b, "lo").ns == b && exec(b, "ip netns identify").lines == ["b"];
            let p = start("sleep 60");
            check same_ns(p.pid, a);
        }
        "#,
    );
}
