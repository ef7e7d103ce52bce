//! The trials: rules loaded by the real tools, the listing compared with theirs.

use stdlib::net::firewall::{LEGACY_UNTOUCHED, Message, Rule, legacy_entries, read};

use crate::{dump_with, firewall, legacy_info, run};

/// What `iptables -L -n` prints, with names instead of protocol numbers: only release 1.8.9 prints numbers.
fn iptables(arguments: &str) -> String {
    let printed = run(&format!("iptables {arguments}"), "");
    printed.lines().map(|line| named(line) + "\n").collect()
}

fn named(line: &str) -> String {
    let names =
        [("0", "all"), ("1", "icmp"), ("6", "tcp"), ("17", "udp"), ("47", "gre"), ("58", "ipv6-icmp"), ("132", "sctp")];
    let target = line.find(' ').unwrap_or_default();
    let Some((before, rest)) = line.split_at_checked(target.max(9) + 2) else { return line.to_owned() };
    let Some((number, after)) = rest.split_at_checked(5) else { return line.to_owned() };
    match names.iter().find(|(known, _)| *known == number.trim()) {
        Some((_, name)) => format!("{before}{name:<4} {after}"),
        None => line.to_owned(),
    }
}

#[track_caller]
fn same(ours: &str, theirs: &str) {
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {number}");
    }
    assert_eq!(ours, theirs);
}

#[trial(user_namespace, iptables)]
fn an_empty_namespace_prints_what_iptables_prints() {
    let ours = firewall();
    assert!(ours.tables.is_empty());
    // Before `iptables` is asked: asking may create the tables.
    let printed = ours.to_string();
    same(&printed, &run("iptables -L -n", ""));
    assert!(
        printed.starts_with(
            "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination         \n\n"
        )
    );
}

const FILTER: &str = r#"
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT
-A INPUT ! -s 10.1.0.0/12 ! -d 1.2.3.4 ! -p tcp -j DROP
-A INPUT -p tcp --syn --dport 1:5 -j DROP
-A INPUT -p tcp ! --sport 5 ! --dport 1:5 -j DROP
-A INPUT -p tcp --tcp-flags ALL SYN,ACK --dport 80
-A INPUT -p udp --dport 53 -j RETURN
-A INPUT -p udp ! --sport 1024:2048 -j DROP
-A INPUT -m state --state NEW -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -m conntrack ! --ctstate INVALID
-A INPUT -p icmp --icmp-type echo-request -m limit --limit 3/min -j REJECT
-A INPUT -p icmp ! --icmp-type 3/1 -j REJECT --reject-with icmp-host-prohibited
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
-A INPUT -j LOG --log-prefix "hi " --log-level debug --log-tcp-options
-A INPUT -s 192.168.1.7 -d 10.2.0.0/16 -j DROP
-N foo
-A INPUT -j foo
-A INPUT -p tcp --dport 9 -g foo
-A foo -m multiport -p tcp --dports 1,2,5:9 -m comment --comment "hello w" -j RETURN
-A foo -m multiport -p udp ! --sports 1,2
-A foo -m mark --mark 0x1 -j DROP
-A foo -m mark ! --mark 0x1/0xff -j DROP
-A foo -m mark ! --mark 16 -j DROP
-A foo -m statistic --mode random --probability 0.1 -j DROP
-A foo -m statistic --mode nth --every 3 --packet 0 -j DROP
-A foo -m addrtype --dst-type LOCAL -j DROP
-A foo -p tcp --tcp-flags ALL SYN,ACK --tcp-option 5
-A foo -f -j DROP
-A foo ! -f -j DROP
-A foo -m limit --limit 10/sec --limit-burst 20 -j LOG
-A foo -p gre
-N bar
-A bar -p tcp ! --syn -j ACCEPT
-A foo -j bar
-P FORWARD DROP
"#;

fn load(rules: &str) {
    for rule in rules.lines().filter(|rule| !rule.is_empty()) {
        run(&format!("iptables {rule}"), "");
    }
}

#[trial(user_namespace, iptables)]
fn iptables_filter_prints_what_iptables_prints() {
    load(FILTER);
    same(&firewall().to_string(), &iptables("-L -n"));
}

#[trial(user_namespace, iptables)]
fn iptables_without_an_input_chain() {
    load("-A OUTPUT -d 10.0.0.1 -j DROP");
    assert_eq!(firewall().tables[0].chains.len(), 1);
    same(&firewall().to_string(), &iptables("-L -n"));
}

/// The rules of `table` as nslab reads them, in the order iptables lists the chains, as `iptables -L -n` shows them.
#[trial(user_namespace, iptables)]
fn iptables_nat_and_mangle() {
    load(
        "-t nat -A POSTROUTING -o eth0 -j MASQUERADE
-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 10-20 --random
-t nat -A POSTROUTING -s 10.0.0.0/24 -j SNAT --to-source 1.2.3.4
-t nat -A POSTROUTING -p tcp -j SNAT --to-source 1.2.3.4-1.2.3.9:1-100
-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 10.0.0.1:8080
-t nat -A PREROUTING -d 1.2.3.4 -j DNAT --to 10.0.0.1
-t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353
-t mangle -A FORWARD -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu
-t mangle -A FORWARD -p tcp --syn -j TCPMSS --set-mss 1400
-t mangle -A FORWARD -j MARK --set-mark 5
-t mangle -A FORWARD -j MARK --set-xmark 0x1/0xff
-t mangle -A FORWARD -j MARK --or-mark 0x10",
    );
    let printed = firewall().to_string();
    let (filter, rest) = printed.split_once("\nTable ip nat\n").unwrap();
    let (nat, mangle) = rest.split_once("\nTable ip mangle\n").unwrap();
    same(filter, &iptables("-L -n"));
    same(nat, &iptables("-t nat -L -n"));
    same(mangle, &iptables("-t mangle -L -n"));
}

#[trial(user_namespace, ip6tables)]
fn ip6tables() {
    run("ip6tables -A INPUT -p icmpv6 --icmpv6-type echo-request -s fe80::/10 -j REJECT", "");
    run("ip6tables -A INPUT -p tcp --dport 22 ! -d 2001:db8::1 -j ACCEPT", "");
    run("ip6tables -A INPUT -j REJECT --reject-with icmp6-adm-prohibited", "");
    run("ip6tables -t nat -A PREROUTING -p tcp -j DNAT --to [2001:db8::1]:80", "");
    run("ip6tables -t nat -A POSTROUTING -p tcp -j SNAT --to 2001:db8::1-2001:db8::5", "");
    let printed = firewall().to_string();
    let (_, rest) = printed.split_once("\nTable ip6 filter\n").unwrap();
    let (filter, nat) = rest.split_once("\nTable ip6 nat\n").unwrap();
    let theirs = |arguments: &str| run(arguments, "").lines().map(|line| named(line) + "\n").collect::<String>();
    same(filter, &theirs("ip6tables -L -n"));
    same(nat, &theirs("ip6tables -t nat -L -n"));
}

/// The rules of a listing by nft, in its own words.
fn nft_rules() -> Vec<String> {
    let (mut rules, mut inside) = (Vec::new(), false);
    for line in run("nft list ruleset", "").lines().map(str::trim) {
        match line {
            line if line.starts_with("chain ") => inside = true,
            "}" => inside = false,
            line if inside && !line.is_empty() && !line.starts_with("type ") => rules.push(line.to_owned()),
            _ => {}
        }
    }
    rules
}

fn our_rules() -> Vec<Rule> {
    firewall().tables.into_iter().flat_map(|table| table.chains).flat_map(|chain| chain.rules).collect()
}

/// Every rule in nft's own words, except where `other` says (theirs, ours).
#[track_caller]
fn same_rules(other: &[(&str, &str)]) {
    let (ours, theirs) = (our_rules(), nft_rules());
    let mut wrong = Vec::new();
    for (ours, theirs) in ours.iter().map(|rule| &rule.text).zip(&theirs) {
        let expected = other.iter().find(|(from, _)| from == theirs).map_or(theirs.as_str(), |(_, to)| to);
        if ours != expected {
            wrong.push(format!("nft:  {expected}\nours: {ours}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(ours.len(), theirs.len());
    for (theirs, _) in other {
        assert!(nft_rules().iter().any(|rule| rule == theirs), "not a rule any more: {theirs}");
    }
}

#[trial(user_namespace, iptables, nft)]
fn iptables_rules_in_nft_words() {
    load(FILTER);
    let theirs = |words: &str| words.replace("  ", " ").replace("tcp tcp", "tcp").replace("udp udp", "udp");
    let (ours, nft) = (our_rules(), nft_rules());
    assert_eq!(ours.len(), nft.len());
    // nft translates the extensions with the help of iptables; these it does not, or it says less.
    let mut checked = 0;
    for (ours, nft) in
        ours.iter().zip(&nft).filter(|(_, nft)| !nft.contains("xt match") && !nft.contains("tcp option 5"))
    {
        let ours = ours.text.replace(" comment \"hello w\"", "").replace("meta l4proto tcp tcp", "meta l4proto tcp");
        let ours = ours.replace("meta l4proto udp udp", "meta l4proto udp");
        let nft = theirs(nft).replace("reject with icmp type", "reject with icmp");
        assert_eq!(ours, nft);
        checked += 1;
    }
    assert!(checked > 25, "{checked}");
}

#[trial(user_namespace, iptables)]
fn unknown_xt_extensions_name_themselves() {
    load(
        "-A INPUT -m length --length 100:200 -j DROP\n-A INPUT -p tcp -m connlimit --connlimit-above 5 -j NFQUEUE --queue-num 3",
    );
    let rules = our_rules();
    assert_eq!(rules[0].text, "<xt length> counter packets 0 bytes 0 drop");
    assert_eq!(rules[1].text, "meta l4proto tcp <xt connlimit> counter packets 0 bytes 0 <xt NFQUEUE>");
    assert_eq!((rules[1].target.as_str(), rules[1].prot.as_str()), ("NFQUEUE", "tcp"));
    let printed = firewall().to_string();
    assert!(
        printed.contains("NFQUEUE    tcp  --  0.0.0.0/0            0.0.0.0/0            <xt connlimit> <xt NFQUEUE>\n"),
        "{printed}"
    );
}

const INET: &str = r#"
table inet filter {
 set s1 { type ipv4_addr; elements = { 1.1.1.1 }; }
 set dyn { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
 counter c1 { }
 chain helper { }
 chain input { type filter hook input priority 0; policy drop;
  ct state established,related accept
  ct state vmap { invalid : drop, new : jump helper }
  iif lo accept
  iifname "eth*" tcp dport { 22, 80-90 } counter accept
  ip saddr 10.0.0.0/8 ip daddr 10.1.0.0/12 tcp sport 1 tcp dport 2 accept
  ip6 saddr fe80::/10 icmpv6 type nd-neighbor-solicit accept
  ip saddr != 10.0.0.1-10.0.0.9 udp dport 53 drop
  tcp dport 1-5 tcp flags & (fin|syn|rst|ack) == syn drop
  tcp flags syn drop
  tcp flags == syn drop
  ip saddr @s1 reject
  ip saddr != @s1 tcp dport 22 reject
  reject
  reject with tcp reset
  reject with icmp host-unreachable
  reject with icmpv6 addr-unreachable
  reject with icmpx admin-prohibited
  limit rate 3/minute burst 7 packets log prefix "hi " level debug flags all
  limit rate over 10 mbytes/second drop
  numgen random mod 100 < 10 drop
  numgen inc mod 2 offset 5 6
  numgen inc mod 2 vmap { 0 : jump helper, 1 : goto helper }
  fib saddr . iif oif missing drop
  fib daddr type { local, broadcast } accept
  meta mark 0x1 accept
  meta mark & 0xff == 0x1 meta mark set 0x2
  meta l4proto { tcp, udp } th dport 53 accept
  meta nfproto ipv4 accept
  meta nfproto ipv4 tcp dport 5
  ip protocol tcp accept
  ip dscp cs1 accept
  ip6 dscp ef accept
  ip frag-off & 0x1fff != 0 drop
  meta pkttype broadcast drop
  ct count over 5 drop
  counter name c1
  add @dyn { ip saddr timeout 90s }
  update @dyn { ip saddr limit rate over 5/second } drop
  ip saddr . tcp dport { 1.1.1.1 . 22, 2.2.2.2 . 80 } accept comment "pairs"
  icmp type { echo-request, echo-reply } accept
  meta skuid 1000 accept
  tcp option maxseg size set 1400
  quota over 10 mbytes drop
  ct mark set meta mark
  meta length > 1400 drop
  ip ttl < 5 drop
  ct status dnat accept
  ct direction original accept
  ct original ip saddr 1.2.3.4 accept
  iifname { "a", "b" } drop
  tcp dport != { 22, 23 } drop
  ip saddr { 10.0.0.0/8, 192.168.0.0/16, 172.16.0.1-172.16.0.9, 1.2.3.4 } accept
  notrack
  log group 2 prefix "x"
  meta protocol ip accept
  ether saddr 00:11:22:33:44:55 accept
  socket transparent 1 accept
  jhash ip saddr mod 2 0 accept
  meta cpu 0 accept
  icmp type echo-request meta nftrace set 1
  ip6 saddr ::1 ip6 daddr != ::2 jump helper
  ip6 nexthdr udp udp sport >= 1024 goto helper
  sctp dport 5 accept
  iif lo oifname != "eth0" accept
 }
}
"#;

#[trial(user_namespace, nft)]
fn nft_inet() {
    run("nft -f -", INET);
    same_rules(&[]);
}

#[trial(user_namespace, nft)]
fn nft_ip() {
    run(
        "nft -f -",
        r#"
table ip t {
 chain a {
 ip protocol tcp tcp dport 22 drop
 tcp flags & syn == 0 drop
 tcp flags & (syn|ack) != syn drop
 ct state != established
 ct state ! established
 ip protocol { tcp, udp } drop
 ip dscp { cs1, af11 } drop
 ip saddr & 0.0.0.255 == 0.0.0.5 drop
 @nh,0,8 0x45 drop
 tcp dport set 80
 ip saddr 1.2.3.4 tcp dport vmap { 22 : accept, 80-90 : drop }
 meta mark set ct mark and 0xff
 ct state established ct mark set 7
 limit rate 5 kbytes/second burst 2 kbytes
 reject
 reject with icmp host-unreachable
 udp dport != 53 log
 ip saddr . ip daddr { 10.0.0.0/8 . 1.1.1.1-1.1.1.9 } drop
 meta mark { 1-5, 9 }
 meta mark vmap { 1 : accept, * : drop }
 iif . meta mark { lo . 1 }
 ip daddr 224.0.0.0/4
 meta l4proto icmp
 ip option rr exists
 iifname . ip saddr vmap { "a" . 1.1.1.1 : accept }
 counter packets 5 bytes 6
 meta random 5
 tcp dport 22 ct state new limit rate 3/minute counter accept comment "x"
 log flags tcp sequence,options
 log level info
 fib daddr . iif type local
 fib saddr oif "lo"
 meta iifgroup 5
 ip length 100-200
 ct zone 5
 icmp code 1
 meta l4proto != { tcp, udp } drop
 ip daddr != { 10.0.0.1, 10.0.0.2 } drop
 udp length 8 udp checksum 0
 meta hour "10:00"
 return
 continue
 }
}
"#,
    );
    // nft writes codes in the words of `destination-unreachable`, whatever the type.
    same_rules(&[("icmp code host-unreachable", "icmp code 1")]);
}

#[trial(user_namespace, nft)]
fn nft_nat() {
    run(
        "nft -f -",
        r#"
table ip nat {
 chain pre { type nat hook prerouting priority dstnat;
  tcp dport 80 dnat to 10.0.0.1:8080
  udp dport 53 redirect to :5353
  redirect
  dnat to tcp dport map { 1 : 1.1.1.1, 2 : 2.2.2.2 }
  dnat to 10.0.0.1-10.0.0.9
  dnat to 10.0.0.1 random,persistent
 }
 chain post { type nat hook postrouting priority srcnat;
  oifname "eth0" masquerade random
  masquerade
  ip saddr 10.0.0.0/24 snat to 1.2.3.4
  meta l4proto tcp masquerade to :1000-2000
  meta l4proto tcp snat to 1.2.3.4:1-100
 }
}
table inet nat {
 chain pre { type nat hook prerouting priority dstnat;
  dnat ip to 10.0.0.1
  meta l4proto tcp dnat ip6 to [2001:db8::1]:80
 }
}
"#,
    );
    same_rules(&[]);
    let rules = our_rules();
    assert_eq!((rules[0].target.as_str(), rules[0].extra.as_str()), ("DNAT", "tcp dport 80 to 10.0.0.1:8080"));
}

#[trial(user_namespace, nft)]
fn nft_other_families() {
    run(
        "nft -f -",
        r"
table ip6 f6 { chain a { ip6 daddr 2001:db8::1 tcp dport 22 reject
 reject with icmpv6 no-route
 }
}
table arp a { chain input { type filter hook input priority 0;
 arp operation request arp saddr ip 1.2.3.4 drop
 }
}
table bridge b { chain forward { type filter hook forward priority 0;
 ether type ip ip saddr 1.2.3.4 drop
 vlan id 5 drop
 ip saddr 1.2.3.4 tcp dport 22 drop
 ether type arp drop
 ether saddr 00:11:22:33:44:55 ether daddr 00:11:22:33:44:66 drop
 }
}
table netdev n { chain i { type filter hook ingress device lo priority 0;
 ip saddr 1.2.3.4 drop
 ip6 saddr ::1 tcp dport 22 drop
 }
}
",
    );
    same_rules(&[]);
}

#[trial(user_namespace, nft)]
fn columns() {
    run(
        "nft -f -",
        r#"
table inet t {
 set s { type ipv4_addr; }
 chain c {
  ip saddr != 10.0.0.0/8 ip daddr @s tcp dport 22 iifname "eth0" counter packets 3 bytes 180 log prefix "no " drop
  meta l4proto != udp jump d
  ip6 daddr ::1 log prefix "p"
  reject with icmpx admin-prohibited
  ct state new
 }
 chain d { }
}
"#,
    );
    let rules = our_rules();
    let row = |rule: &Rule| {
        [&rule.target, &rule.prot, &rule.source, &rule.destination, &rule.extra].map(String::clone).join("|")
    };
    assert_eq!(row(&rules[0]), "DROP|tcp|!10.0.0.0/8|@s|tcp dport 22 iifname \"eth0\" log prefix \"no \"");
    assert_eq!((rules[0].packets, rules[0].bytes), (Some(3), Some(180)));
    assert_eq!(row(&rules[1]), "d|!udp|||");
    assert_eq!(row(&rules[2]), "LOG|||::1|prefix \"p\"");
    assert_eq!(row(&rules[3]), "REJECT||||with icmpx admin-prohibited");
    assert_eq!(row(&rules[4]), "||||ct state new");
    assert!(rules.iter().all(|rule| rule.handle > 0));
    let printed = firewall().to_string();
    let (_, ours) = printed.split_once("\nTable ").unwrap();
    same(
        ours,
        r#"inet t
Chain c (0 references)
target     prot opt source               destination         
DROP       tcp  -- !10.0.0.0/8           @s                   tcp dport 22 iifname "eth0" log prefix "no "
d         !udp  --  anywhere             anywhere            
LOG        all  --  ::/0                 ::1                  prefix "p"
REJECT     all  --  anywhere             anywhere             with icmpx admin-prohibited
           all  --  anywhere             anywhere             ct state new

Chain d (1 references)
target     prot opt source               destination         
"#,
    );
}

#[trial(user_namespace, nft)]
fn hooks_and_heading() {
    run(
        "nft -f -",
        r"
table inet filter { chain input { type filter hook input priority -5; policy drop; }; }
table netdev n { chain i { type filter hook ingress device lo priority 7; }; }
table ip r { chain o { type route hook output priority mangle; }; }
table arp a { chain o { type filter hook output priority 0; }; }
",
    );
    let printed = firewall().to_string();
    assert!(printed.starts_with("Chain INPUT (policy ACCEPT)\n"));
    let heads: Vec<&str> =
        printed.lines().skip(8).filter(|line| line.starts_with("Table") || line.starts_with("Chain")).collect();
    let expected = [
        "Table inet filter",
        "Chain input (hook input, priority -5, policy DROP)",
        "Table netdev n",
        "Chain i (hook ingress, device lo, priority 7, policy ACCEPT)",
        "Table ip r",
        "Chain o (hook output, priority -150, policy ACCEPT)",
        "Table arp a",
        "Chain o (hook output, priority 0, policy ACCEPT)",
    ];
    let mut sorted = heads.clone();
    sorted.sort_unstable();
    let mut wanted = expected.to_vec();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    let route = firewall().tables.into_iter().find(|table| table.name == "r").unwrap();
    assert_eq!(route.chains[0].hook.as_ref().unwrap().kind, "route");
}

#[trial(user_namespace, iptables, nft)]
fn an_nft_table_called_filter_is_not_iptables() {
    run("nft -f -", "table ip filter { chain input { type filter hook input priority 0; tcp dport 22 drop; }; }");
    let printed = firewall().to_string();
    assert!(printed.contains("\nTable ip filter\nChain input (hook input, priority 0, policy ACCEPT)\n"), "{printed}");
    assert!(
        printed.contains("DROP       tcp  --  0.0.0.0/0            0.0.0.0/0            tcp dport 22\n"),
        "{printed}"
    );
}

#[trial(user_namespace, iptables, ip, ping)]
fn counters_count() {
    run("ip link set lo up", "");
    load("-A INPUT -p icmp -j ACCEPT");
    run("ping -c 2 -i 0.01 -q 127.0.0.1", "");
    let rule = &our_rules()[0];
    // Two requests and two replies come in.
    assert_eq!((rule.packets, rule.bytes), (Some(4), Some(336)));
}

#[trial(user_namespace, iptables-legacy)]
fn legacy_is_invisible() {
    run("iptables-legacy -A INPUT -j DROP", "");
    assert!(firewall().tables.is_empty());
}

#[trial(user_namespace, iptables)]
fn a_name_cannot_forge_a_line() {
    run("iptables -A INPUT -j LOG --log-prefix \"a\u{1b}[2J\" -m comment --comment \"b\rc\"", "");
    let printed = firewall().to_string();
    assert!(printed.contains("/* b\u{fffd}c */ LOG flags 0 level 4 prefix \"a\u{fffd}[2J\"\n"), "{printed}");
}

#[trial(user_namespace, nft)]
fn many_rules() {
    run("nft -f -", "add table ip t\nadd chain ip t c\n");
    // In portions: without the machine's own rights nft cannot ask for a larger buffer.
    for portion in 0..10 {
        let rules = (portion * 200..(portion + 1) * 200)
            .map(|n| format!("add rule ip t c tcp dport {} ip saddr 10.0.{}.{} drop\n", n + 1, n / 200, n % 200));
        run("nft -f -", &rules.collect::<String>());
    }
    same_rules(&[]);
    assert_eq!(our_rules().len(), 2000);
}

#[trial(user_namespace, iptables-legacy)]
fn legacy_tables_count_their_entries() {
    for (table, untouched) in LEGACY_UNTOUCHED {
        // A kernel without that table answers ENOENT.
        if let Some(info) = legacy_info(table) {
            assert_eq!(legacy_entries(&info), untouched, "{table}");
        } else {
            println!("no table {table} in this kernel");
        }
    }
    run("iptables-legacy -A INPUT -j DROP", "");
    run("iptables-legacy -A FORWARD -j DROP", "");
    assert_eq!(legacy_entries(&legacy_info("filter").unwrap()), 6);
}

/// Real answers of the kernel, then with a bit turned, a byte replaced, or cut short.
#[trial(user_namespace, iptables, nft)]
fn damaged_answers_do_not_panic() {
    run("nft -f -", INET);
    load(FILTER);
    let mut recorded: Vec<(Message, Vec<Message>)> = Vec::new();
    let whole = dump_with(|request, reply| recorded.push((request.clone(), reply.to_vec())));
    assert_eq!(whole, firewall());
    let (mut state, mut changed) = (88_172_645_463_325_252_u64, 0);
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap() % below.max(1)
    };
    for _ in 0..1500 {
        let damaged = read::<()>(|request| {
            let (_, replies) =
                recorded.iter().find(|(known, _)| *known == request).cloned().unwrap_or((request, Vec::new()));
            let mut replies = replies;
            for _ in 0..3 {
                let which = random(replies.len());
                let Some(bytes) = replies.get_mut(which).map(|reply| &mut reply.attributes) else { continue };
                let at = random(bytes.len());
                if bytes.is_empty() {
                    continue;
                }
                match random(3) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] ^= 1 << random(8),
                    _ => bytes[at] = u8::try_from(random(256)).unwrap(),
                }
            }
            Ok(replies)
        });
        let _ = damaged.as_ref().map(ToString::to_string);
        changed += usize::from(damaged != Ok(whole.clone()));
    }
    assert!(changed > 1000, "{changed}");
}
