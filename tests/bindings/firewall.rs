//! `firewall`: rules made by `nft` and `iptables`, as a script sees them. The decoder has trials of its own.

use crate::common::{Shell, passes, passes_for_all};

#[trial(iptables)]
fn an_empty_one_prints_what_iptables_prints() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        let fw = firewall(ns1);
        check fw.is_empty && fw.tables == [] && fw.chains.is_empty;
        check fw.to_string() + "\n" == exec(ns1, "iptables -L -n").stdout || fw.to_string() == exec(ns1, "iptables -L -n").stdout;
        "#,
    );
}

#[trial(nft)]
fn rules_of_nft() {
    let out = Shell::new()
        .script(
            r#"
            let ns1 = netns("netns1");
            exec(ns1, ["nft", "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }; add chain inet t side; add rule inet t in ip saddr 10.0.0.0/8 tcp dport 22 counter accept; add rule inet t in jump side; add rule inet t side udp dport 53 drop"]);
            let fw = firewall(ns1);
            check !fw.is_empty && fw.tables == ["inet t"] && firewall().is_empty;
            let input = fw.chains.find(|c| c.name == "in");
            check input.hook == "input" && input.policy == "DROP" && input.family == "inet" && input.table == "t";
            let side = fw.chains.find(|c| c.name == "side");
            check side.hook == () && side.policy == ();
            let ssh = input.rules[0];
            check ssh.target == "ACCEPT" && ssh.prot == "tcp" && ssh.source == "10.0.0.0/8" && ssh.destination == "";
            check ssh.extra.contains("tcp dport 22") && ssh.packets == 0 && ssh.bytes == 0;
            check input.rules[1].target == "side" && side.rules[0].packets == ();
            print(exec(ns1, "nft -j list ruleset").stdout);
            print("[" + fw.chains.map(|c| c.rules.len).reduce(|s, n| if s == () { `${n}` } else { `${s}, ${n}` }) + "]");
            let listing = exec(ns1, "nft list ruleset").stdout;
            for c in fw.chains { for r in c.rules { check listing.contains(r.text); } }
            "#,
        )
        .run()
        .success();
    let [theirs, ours] = <[_; 2]>::try_from(out.json()).unwrap();
    let objects = theirs["nftables"].as_array().unwrap();
    let count = |chain: &str| objects.iter().filter(|object| object["rule"]["chain"] == chain).count();
    assert_eq!(ours, serde_json::json!([count("in"), count("side")]));
}

#[trial(iptables)]
fn rules_of_iptables() {
    passes(
        r#"
        let ns1 = netns("netns1");
        for rule in ["-A INPUT -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT", "-A INPUT -p icmp -j DROP", "-P FORWARD DROP"] {
            check exec(ns1, "iptables " + rule).ok;
        }
        // Release 1.8.9 prints numbers of protocols, all others names.
        let named = |text| { let t = text; t.replace("DROP       1   ", "DROP       icmp"); t.replace("ACCEPT     6    ", "ACCEPT     tcp  "); t };
        let theirs = named.call(exec(ns1, "iptables -L -n").stdout);
        let ours = firewall(ns1).to_string();
        check ours == theirs || ours + "\n" == theirs;
        let input = firewall(ns1).chains.find(|c| c.name == "INPUT");
        check input.rules.map(|r| r.target) == ["ACCEPT", "DROP"];
        check firewall(ns1).chains.find(|c| c.name == "FORWARD").policy == "DROP";
        "#,
    );
}

#[trial(nft)]
fn counters_count_what_passed() {
    passes_for_all(
        r#"
        up("lo");
        exec(["nft", "add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c icmp type echo-request counter"]);
        ping("127.0.0.1", #{count: 3, interval: "1ms"});
        let rule = firewall().chains[0].rules[0];
        check rule.packets == 3 && rule.bytes == 252;
        "#,
    );
}

/// The tables of `iptables-legacy` are named, as `iptables` names them.
#[trial(iptables, iptables-legacy)]
fn tables_of_iptables_legacy_are_named() {
    passes_for_all(
        r##"
        let ns1 = netns("netns1");
        check firewall(ns1).legacy == [] && firewall().legacy == [];
        check exec(ns1, "iptables-legacy -A INPUT -j DROP").ok;
        let fw = firewall(ns1);
        check fw.legacy == ["ip filter"] && !fw.is_empty && fw.tables == [] && firewall().legacy == [];
        let warning = "# Warning: iptables-legacy tables present, use iptables-legacy to see them";
        check exec(ns1, ["sh", "-c", "iptables -L -n 2>&1"]).stdout.contains(warning);
        check fw.to_string().ends_with(warning + "\n# ip filter");
        "##,
    );
}

#[trial(nft)]
fn sets_and_counters_of_nft() {
    passes_for_all(
        r##"
        exec(["nft", "add table ip t; add set ip t s { type ipv4_addr; }; add element ip t s { 10.0.0.1, 10.0.0.2 }; add counter ip t c; add map ip t m { type inet_service : verdict; }"]);
        let fw = firewall();
        check "s" in fw.sets && fw.sets.map(|s| s.is_map) == [false, true];
        check fw.sets[0].elements == ["10.0.0.1", "10.0.0.2"] && fw.sets[0].table == "ip t";
        check fw.counters.map(|c| c.name) == ["c"] && fw.counters[0].packets == 0 && fw.counters[0].bytes == 0;
        check fw.to_string() == "Table ip t\nSet s { 10.0.0.1, 10.0.0.2 }\nMap m { }\nCounter c packets 0 bytes 0";
        "##,
    );
}
