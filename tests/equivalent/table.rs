//! The rows: a call, the commands that it shows, and how they are compared. A `*` in a command is a number.

/// One sample call.
pub(super) struct Row {
    pub(super) function: &'static str,
    pub(super) setup: &'static str,
    pub(super) call: &'static str,
    pub(super) shows: &'static [&'static str],
    pub(super) proof: Proof,
    pub(super) user: User,
}

/// Whose lab it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    Any,
    Root,
    Nobody,
}

/// How a call and its commands are compared.
#[derive(Debug)]
pub(super) enum Proof {
    /// The call changes this expression. In another lab the commands give it the same value.
    State(&'static str),
    /// The same, with an expression of their own for what the commands have made.
    States(&'static str, &'static str),
    /// The call changes `state`, `undo` takes that back, and the commands change it again in the same lab.
    Again { state: &'static str, undo: &'static str },
    /// `ours` prints what the commands write, with `more` behind them.
    Text { ours: &'static str, more: &'static str },
    /// The call is true if the commands succeed.
    Status,
    /// The commands run; why no more than that can be compared.
    Runs { reason: &'static str },
    /// There are no commands, and the line says why.
    None,
}

use Proof::{Again, Runs, State, States, Status, Text};

const NS: &str = "let ns1 = netns(`netns1`);";
const CABLE: &str = "let ns1 = netns(`netns1`); let cable = veth(`veth0`, ns1, `veth1`);";
const ADDRESSED: &str = "let ns1 = netns(`netns1`); let cable = veth(`veth0`, ns1, `veth1`); up(cable.a, `10.1.1.2/24`); \
                         up(cable.b, `10.1.1.1/24`); addr(cable.a, `fd00::2/64`); addr(cable.b, `fd00::1/64`);";
const SLEEPER: &str = "let ns1 = netns(`netns1`); let p = start(ns1, `sleep 60`);";
const BOX: &str = "let box = unshare([`pid`, `mount`, `uts`]); exec(box, `hostname before`);";
const ROOTS: &str = "sh(`readlink /proc/self/ns/* | sort > roots`); let box = nsenter(1, [`uts`]);";

const BOTH: Proof = State("network(host()) + network(ns1)");
const THERE: Proof = State("network(ns1)");
const HERE: Proof = State("network(host())");

/// A `sh` in the namespaces of the only `sleep`, entered from outside with these options.
macro_rules! inside {
    ($flags:literal) => {
        concat!("sh(`nsenter -t $(pgrep -x sleep) ", $flags, " --wdns=\"$PWD\" sh namespaces`)")
    };
}

/// The row of a kind of link that has no parameters but its name.
pub(super) fn plain_kind(name: &'static str) -> Row {
    let shows = format!("ip -n netns1 link add name link0 type {name}");
    row(name, NS, format!("{name}(ns1, `link0`);").leak(), vec![&*shows.leak()].leak(), THERE)
}

fn row(
    function: &'static str,
    setup: &'static str,
    call: &'static str,
    shows: &'static [&'static str],
    proof: Proof,
) -> Row {
    Row { function, setup, call, shows, proof, user: User::Any }
}

/// A call whose printed value is what the commands write.
fn prints(
    function: &'static str,
    setup: &'static str,
    call: &'static str,
    shows: &'static [&'static str],
    ours: &'static str,
) -> Row {
    row(function, setup, call, shows, Text { ours, more: "" })
}

/// A function without equivalent commands.
fn none(function: &'static str, setup: &'static str, call: &'static str, shows: &'static [&'static str]) -> Row {
    row(function, setup, call, shows, Proof::None)
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(namespaces());
    rows.extend(links());
    rows.extend(kinds());
    rows.extend(network());
    rows.extend(programs());
    rows.extend(all_types());
    rows.extend(script());
    rows
}

#[rustfmt::skip]
fn namespaces() -> Vec<Row> {
    vec![
        row("netns", "", "netns(`blue`);", &["ip netns add blue"], State("sh(`ls /run/netns; ip -n blue addr`)")),
        row("netns", "let un = host();", "let un = netns();", &["unshare --net sleep infinity &"],
            States("ns_inode(un) != ns_inode()", "sh(`[ /proc/$(pgrep -x sleep)/ns/net -ef /proc/1/ns/net ] || echo true`)")),
        row("netns", "let ns1 = netns(`a`);", "within ns1 { netns(`b`); }", &["ip netns add b"], State("sh(`ls /run/netns; ip -n b addr`)")),
        none("open_netns", NS, "open_netns(`netns1`);", &["no equivalent command: the tools take the name itself"]),
        none("keep_hosts", "", "keep_hosts(false);", &["no equivalent command: a script for the shell would write the file itself"]),
        none("host", "", "host();", &["no equivalent command: the tools work in it unless told otherwise"]),
        prints("netns_list", CABLE, "netns_list();", &["ip netns list"], "netns_list()"),
        row("netns_list", "let ns1 = netns(`netns1`); let ns2 = netns(`netns2`); veth(ns1, `a`, ns2, `b`);", "netns_list(ns1);",
            &["ip -n netns1 netns list"], Text { ours: "netns_list(ns1)", more: " | sort" }),
        row("current", NS, "within ns1 { current(); }", &["ip -n netns1 netns identify"], Text { ours: "`netns1`", more: "" }),
        row("delete", NS, "delete(ns1);", &["ip netns delete netns1"], State("sh(`ls /run/netns; echo .`)")),
        row("delete", CABLE, "delete(cable.b);", &["ip -n netns1 link delete dev veth1"], BOTH),
        row("delete", CABLE, "delete(`veth0`);", &["ip link delete dev veth0"], BOTH),
        none("delete", "let un = netns();", "delete(un);", &["no equivalent command: namespace net:[*] has no name"]),
        row("holders", SLEEPER, "holders(ns1);", &["ip netns pids netns1"],
            Text { ours: "holders(ns1).filter(|h| h.kind == `process`)[0].pid", more: "" }),
        none("wait_gone", "let ns1 = netns(`netns1`); delete(ns1);", "wait_gone(ns1);", &["no equivalent command: no tool waits for the end of either"]),
    ]
}

#[rustfmt::skip]
fn links() -> Vec<Row> {
    vec![
        prints("links", "let ns1 = netns(`netns1`); up(ns1, `lo`); addr(ns1, `lo`, `10.0.0.1/24`); bridge(ns1, `br0`);", "links(ns1);", &["ip -n netns1 link"], "links(ns1)"),
        prints("links", "let un = netns(); veth(`veth0`, un, `veth1`);", "links();", &["ip link"], "links()"),
        prints("links", CABLE, "within ns1 { links(); }", &["ip -n netns1 link"], "links(ns1)"),
        prints("links", "let un = netns();", "links(un);", &["nsenter --net=/proc/*/fd/* ip link"], "links(un)"),
        prints("links", "let box = unshare([`net`, `pid`]);", "links(box);", &["nsenter --net=/proc/*/ns/net ip link"], "links(box)"),
        prints("links", "let ns1 = netns(`netns1`); let h = hold(ns1);", "links(h);", &["ip -n netns1 link"], "links(h)"),
        prints("links", "let ns1 = netns(`netns1`); let h = hold(ns1); delete(ns1);", "links(h);", &["nsenter --net=/proc/*/fd/* ip link"], "links(h)"),
        none("links", "let ns1 = netns(`netns1`); delete(ns1);", "attempt(|| links(ns1));",
            &["no equivalent command: it runs code of the script", "no equivalent command: namespace `netns1` was deleted"]),
        prints("link", CABLE, "link(ns1, `veth1`);", &["ip -n netns1 link show dev veth1"], "link(ns1, `veth1`)"),
        prints("link", "up(`lo`);", "link(`lo`);", &["ip link show dev lo"], "link(`lo`)"),
        row("exists", CABLE, "exists(ns1, `veth1`);", &["ip -n netns1 link show dev veth1"], Status),
        row("exists", CABLE, "exists(`veth1`);", &["ip link show dev veth1"], Status),
        row("info", CABLE, "info(cable.b);", &["ip -n netns1 -d addr show dev veth1"], Runs { reason: "a map, not the tool's text" }),
        row("set_master", "let ns1 = netns(`netns1`); let br = bridge(ns1, `br0`); let cable = veth(`veth0`, ns1, `veth1`);",
            "set_master(cable.b, br);", &["ip -n netns1 link set dev veth1 master br0"], THERE),
        row("nomaster", "let br = bridge(`br0`); let cable = veth(`veth0`, `veth1`); set_master(cable.a, br);",
            "nomaster(cable.a);", &["ip link set dev veth0 nomaster"], HERE),
        row("up", NS, "up(ns1, `lo`);", &["ip -n netns1 link set dev lo up"], THERE),
        row("up", NS, "within ns1 { up(`lo`); }", &["ip -n netns1 link set dev lo up"], THERE),
        row("up", "let ns1 = netns(`netns1`); let cable = veth(`veth0`, ns1, `veth1`); up(cable.a);", "up(cable.b, `10.1.1.1/24`);",
            &["ip -n netns1 addr add 10.1.1.1/24 brd + dev veth1", "ip -n netns1 link set dev veth1 up"], BOTH),
        row("up", "let cable = veth(`veth0`, `veth1`); up(cable.b);", "up(cable.a, `fd00::1/64`);",
            &["ip addr add fd00::1/64 dev veth0 nodad", "ip link set dev veth0 up"], HERE),
        row("down", "up(`lo`);", "down(`lo`);", &["ip link set dev lo down"], HERE),
        row("addr", CABLE, "addr(ns1, `veth1`, `10.1.1.1/24`);", &["ip -n netns1 addr add 10.1.1.1/24 brd + dev veth1"], THERE),
        row("addr", CABLE, "addr(cable.a, `10.1.1.1/32`);", &["ip addr add 10.1.1.1/32 dev veth0"], HERE),
        row("addr", CABLE, "addr(cable.a, `127.0.0.2/8`);", &["ip addr add 127.0.0.2/8 brd + dev veth0"], HERE),
        row("addr", CABLE, "addr(cable.a, `fd00::1/64`);", &["ip addr add fd00::1/64 dev veth0 nodad"], HERE),
        row("addr", CABLE, "addr(cable.a, `fd00::1/64`, #{dad: true});", &["ip addr add fd00::1/64 dev veth0"],
            State("sh(`ip -o addr show dev veth0 | sed 's/ tentative//'; echo .`)")),
        row("del_addr", ADDRESSED, "del_addr(cable.b, `10.1.1.1/24`);", &["ip -n netns1 addr del 10.1.1.1/24 dev veth1"], THERE),
        row("del_addr", ADDRESSED, "del_addr(cable.b, `fd00::1/64`);", &["ip -n netns1 addr del fd00::1/64 dev veth1"], THERE),
        row("move_to", CABLE, "move_to(cable.a, ns1);", &["ip link set dev veth0 netns netns1"], BOTH),
        row("move_to", CABLE, "move_to(cable.b, 1);", &["ip -n netns1 link set dev veth1 netns 1"], BOTH),
        row("move_to", CABLE, "move_to(cable.b, current());", &["ip netns identify", "ip -n netns1 link set dev veth1 netns 1"], BOTH),
        row("move_to", "let ns1 = netns(`1`); let cable = veth(`veth0`, ns1, `veth1`);", "move_to(cable.b, 1);",
            &["ip -n 1 link set dev veth1 netns /proc/1/ns/net"], BOTH),
        row("move_to", "let un = netns(); let cable = veth(`veth0`, `veth1`);", "move_to(cable.b, un);",
            &["ip link set dev veth1 netns /proc/*/fd/*"], Again { state: "network(host())", undo: "move_to(un, `veth1`, 1);" }),
        row("rename", CABLE, "rename(cable.a, `uplink`);", &["ip link set dev veth0 name uplink"], HERE),
        row("rename", CABLE, "rename(cable.a, `a;b&$c`);", &["ip link set dev veth0 name 'a;b&$c'"], HERE),
        row("set_mtu", CABLE, "set_mtu(cable.b, 1400);", &["ip -n netns1 link set dev veth1 mtu 1400"], THERE),
        none("allow_host_device", "", "allow_host_device(`lo`);", &["no equivalent command: other programs guard no device"]),
    ]
}

#[rustfmt::skip]
fn kinds() -> Vec<Row> {
    vec![
        row("veth", "", "veth(`veth0`, `veth1`);", &["ip link add name veth0 type veth peer name veth1"], HERE),
        row("veth", NS, "veth(`veth0`, ns1, `veth1`);", &["ip link add name veth0 type veth peer name veth1 netns netns1"], BOTH),
        row("veth", NS, "veth(ns1, `veth1`, `veth0`);", &["ip -n netns1 link add name veth1 type veth peer name veth0 netns 1"], BOTH),
        row("veth", NS, "veth(ns1, `a`, ns1, `b`);", &["ip -n netns1 link add name a type veth peer name b"], THERE),
        row("veth", NS, "within ns1 { veth(`a`, host(), `b`); }",
            &["no equivalent command: the tools work in it unless told otherwise", "ip -n netns1 link add name a type veth peer name b netns 1"], BOTH),
        row("macvlan", CABLE, "macvlan(cable.b, `m0`);", &["ip -n netns1 link add name m0 link veth1 type macvlan mode bridge"], THERE),
        row("macvlan", CABLE, "macvlan(`veth0`, `m0`, #{mode: `private`});", &["ip link add name m0 link veth0 type macvlan mode private"], HERE),
    ]
}

#[rustfmt::skip]
fn network() -> Vec<Row> {
    vec![
        row("addrs", "let ns1 = netns(`netns1`); up(ns1, `lo`);", "addrs(ns1);", &["ip -n netns1 addr"],
            Text { ours: "addrs(ns1)", more: " | sed 's/ proto kernel_l[lo]//'" }),
        prints("routes", ADDRESSED, "routes(ns1);", &["ip netns exec netns1 route -n"], "routes(ns1)"),
        row("routes", ADDRESSED, "routes(ns1, #{family: `inet6`});", &["ip -n netns1 -f inet6 route"],
            Text { ours: "routes(ns1, #{family: `inet6`}).map(|r| r.dst).filter(|d| d.starts_with(`fd`))[0]", more: " | sed -n 's/^\\(fd[^ ]*\\) .*/\\1/p'" }),
        row("add_route", ADDRESSED, "add_route(ns1, `10.9.0.0/16`, #{dev: `veth1`});", &["ip -n netns1 route add 10.9.0.0/16 dev veth1"], THERE),
        row("add_route", ADDRESSED, "add_route(ns1, `default`, #{via: `10.1.1.2`, metric: 7});", &["ip -n netns1 route add default via 10.1.1.2 metric 7"], THERE),
        row("add_route", ADDRESSED, "add_route(ns1, `10.9.9.9`, #{via: `10.1.1.2`, dev: `veth1`});", &["ip -n netns1 route add 10.9.9.9/32 via 10.1.1.2 dev veth1"], THERE),
        row("add_route", ADDRESSED, "add_route(`fd09::/48`, #{via: `fd00::1`});", &["ip route add fd09::/48 via fd00::1"], HERE),
        row("add_route", ADDRESSED, "add_route(`default`, #{via: `fd00::1`});", &["ip route add default via fd00::1"], HERE),
        row("del_route", ADDRESSED, "del_route(ns1, `10.1.1.0/24`);", &["ip -n netns1 route del 10.1.1.0/24"], THERE),
        row("del_route", ADDRESSED, "del_route(`fd00::/64`, #{dev: `veth0`});", &["ip route del fd00::/64 dev veth0"], HERE),
        row("ping", ADDRESSED, "ping(ns1, `10.1.1.2`, #{count: 2, interval: `10ms`, ttl: 5, size: 100});",
            &["ip netns exec netns1 ping -c 2 -i 0.01 -s 100 -W 4 -t 5 10.1.1.2"],
            Text { ours: "exec(`sed -f untimed`, #{stdin: ping(ns1, `10.1.1.2`, #{count: 2, interval: `10ms`, ttl: 5, size: 100}).to_string()})", more: " | sed -f untimed" }),
        prints("ping", "", "ping(`10.1.1.1`);", &["ping -c 1 -W 4 10.1.1.1"], "ping(`10.1.1.1`)"),
        none("pingall", ADDRESSED, "pingall([ns1]);", &["no equivalent command: it takes one `ping -c 1` for each pair"]),
        prints("firewall", NS, "firewall(ns1);", &["ip netns exec netns1 iptables -L -n"], "firewall(ns1)"),
        row("firewall", "let ns1 = netns(`netns1`); exec(ns1, `iptables -A INPUT -p tcp --dport 22 -j DROP`);", "firewall(ns1);",
            &["ip netns exec netns1 iptables -L -n"], Text { ours: "firewall(ns1)", more: " | sed 's/ 6    --/ tcp  --/'" }),
        row("firewall", "let ns1 = netns(`netns1`); exec(ns1, `nft add table inet own`);", "firewall(ns1);",
            &["ip netns exec netns1 iptables -L -n", "ip netns exec netns1 nft list ruleset"],
            Runs { reason: "tables of nft print as iptables would print them" }),
        row("firewall", "exec(`nft add table ip filter`); sh(`nft 'add chain ip filter own { type filter hook input priority 0; }'`);", "firewall();",
            &["nft list ruleset"], Runs { reason: "tables of nft print as iptables would print them" }),
        prints("sysctl", NS, "sysctl(ns1, `net.ipv4.ip_default_ttl`);", &["ip netns exec netns1 sysctl -n net.ipv4.ip_default_ttl"], "sysctl(ns1, `net.ipv4.ip_default_ttl`)"),
        row("sysctl", NS, "sysctl(ns1, `net.ipv4.ip_forward`, true);", &["ip netns exec netns1 sysctl -w net.ipv4.ip_forward=1"],
            State("exec(ns1, `cat /proc/sys/net/ipv4/ip_forward`).stdout")),
        row("sysctl", "", "sysctl(`net.ipv4.ip_local_port_range`, `20000 30000`);", &["sysctl -w net.ipv4.ip_local_port_range='20000 30000'"],
            State("exec(`cat /proc/sys/net/ipv4/ip_local_port_range`).stdout")),
    ]
}

#[rustfmt::skip]
fn programs() -> Vec<Row> {
    vec![
        prints("exec", "", "exec([`sh`, `-c`, `echo $((40 + 2)) 'a  b'`]);", &[r#"sh -c 'echo $((40 + 2)) '"'a  b'""#], "exec([`sh`, `-c`, `echo $((40 + 2)) 'a  b'`])"),
        prints("exec", "let words = [`printf`, `%s|`, `two\nlines`, ``, `\\tab`];", "exec(words);", &[r#"printf '%s|' "$(printf %b 'two\nlines')" '' "\\tab""#], "exec(words)"),
        prints("exec", CABLE, "exec(ns1, `ls /sys/class/net`);", &["ip netns exec netns1 ls /sys/class/net"], "exec(ns1, `ls /sys/class/net`)"),
        prints("exec", "let un = netns(); veth(un, `a`, un, `b`);", "exec(un, `ls /sys/class/net network`);",
            &["nsenter --mount=/proc/*/fd/* --net=/proc/*/fd/* --wdns=\"$PWD\" ls /sys/class/net network"], "exec(un, `ls /sys/class/net network`)"),
        prints("exec", NS, "exec(ns1, `cat - /sys/class/net/lo/ifindex`, #{stdin: `it's\n`, timeout: `5s`});",
            &["printf %b 'it'\\''s\\n' | ip netns exec netns1 timeout -s 9 5 cat - /sys/class/net/lo/ifindex"], "exec(ns1, `cat - /sys/class/net/lo/ifindex`, #{stdin: `it's\n`})"),
        row("exec", BOX, "exec(box, `hostname inside`);", &["nsenter -t * -p -m -u --wdns=\"$PWD\" hostname inside"],
            Again { state: "exec(box, `hostname`).stdout + exec(`hostname`).stdout", undo: "exec(box, `hostname before`);" }),
        row("exec", "let box = unshare(`uts`); exec(box, `hostname before`);", "within box { exec(`hostname inside`); }", &["nsenter --uts=/proc/*/fd/* hostname inside"],
            Again { state: "exec(box, `hostname`).stdout + exec(`hostname`).stdout", undo: "exec(box, `hostname before`);" }),
        prints("exec", "let ns1 = netns(`netns1`); let box = unshare(`uts`); exec(box, `hostname inside`);", "within box { exec(ns1, `sh -c 'hostname; ls /sys/class/net'`); }",
            &["ip netns exec netns1 nsenter --uts=/proc/*/fd/* sh -c 'hostname; ls /sys/class/net'"], "\"inside\\nlo\""),
        prints("sh", NS, "sh(ns1, `echo a | tr a b`);", &["ip netns exec netns1 sh -c 'echo a | tr a b'"], "`b`"),
        row("start", NS, "start(ns1, `sleep 77`);", &["ip netns exec netns1 sleep 77 &"],
            State("sh(`for p in $(ip netns pids netns1); do tr '\\0' ' ' < /proc/$p/cmdline; done; echo .`)")),
        row("start", BOX, "start(box, `sleep 77`);", &["nsenter -t * -p -m -u --wdns=\"$PWD\" sleep 77 &"],
            Again { state: "sh(`for p in $(pgrep -x sleep); do readlink /proc/$p/ns/uts; done; echo .`)", undo: "sh(`pkill -x sleep`);" }),
        prints("exec", "", "exec(`sh -c 'pwd; echo $A'`, #{env: #{A: `x y`}, cwd: `/usr`});",
            &["env -C /usr 'A=x y' sh -c 'pwd; echo $A'"], "\"/usr\\nx y\""),
        prints("exec", "", "exec(`sh -c 'ulimit -n; ulimit -t'`, #{max_files: 99, max_cpu: `7s`});",
            &["prlimit --cpu=7 prlimit --nofile=99 sh -c 'ulimit -n; ulimit -t'"], "\"99\\n7\""),
        prints("exec", "", "exec(`env`, #{clear_env: true, env: #{A: 1}});", &["env -i 'A=1' env"], "`A=1`"),
        row("start", "", "start(`echo out`, #{log: `/run/log`});", &["echo out >> /run/log 2>&1 &"], State("sh(`cat /run/log; echo .`)")),
        none("stop", SLEEPER, "stop(p);", &["no equivalent command: `kill -- -PID` ends one process group"]),
        none("processes", SLEEPER, "processes();", &["no equivalent command: `jobs` of a shell lists those of the shell"]),
        none("tmpfiles", "", "tmpfiles();", &["no equivalent command: `systemd-tmpfiles --create --prefix=/run` makes more than directories"]),
        row("wait", SLEEPER, "attempt(|| wait(p, #{timeout: `50ms`})).ok;",
            &["no equivalent command: it runs code of the script", "timeout 0.05 tail --pid=* -f /dev/null"], Status),
        none("wait", "let p = start(`true`); wait(p);", "wait(p);", &["no equivalent command: process * has ended"]),
        row("kill", SLEEPER, "kill(p, `STOP`);", &["kill -s STOP *"],
            Again { state: "sh(`sed 's/.*) //; s/ .*//' /proc/` + p.pid + `/stat`)", undo: "kill(p, `CONT`);" }),
        row("kill", "let p = start(`sh -c 'trap \"echo got\" TERM; echo ready; while :; do sleep 0.05; done'`); wait_until(|| `ready` in p.stdout); let n = 0;", "kill(p);", &["kill *"],
            Again { state: r#"p.stdout.split("\n").len - n"#, undo: "n += 1;" }),
        row("alive", SLEEPER, "alive(p);", &["kill -0 *"], Status),
    ]
}

#[rustfmt::skip]
fn all_types() -> Vec<Row> {
    vec![
        row("ns_list", "", "ns_list(1);", &["ls -l /proc/1/ns"], Text { ours: "ns_list(1)", more: r" | sed -n 's/.* \([a-z_]* -> .*\)/\1/p'" }),
        prints("ns_inode", "", "ns_inode();", &["stat -L -c %i /proc/1/ns/net"], "ns_inode()"),
        prints("ns_inode", NS, "ns_inode(ns1);", &["stat -L -c %i /run/netns/netns1"], "ns_inode(ns1)"),
        prints("ns_inode", "let un = netns();", "ns_inode(un);", &["stat -L -c %i /proc/*/fd/*"], "ns_inode(un)"),
        prints("ns_inode", SLEEPER, "ns_inode(p, `uts`);", &["stat -L -c %i /proc/*/ns/uts"], "ns_inode(p, `uts`)"),
        prints("ns_inode", BOX, "ns_inode(box, `uts`);", &["stat -L -c %i /proc/*/ns/uts"], "ns_inode(box, `uts`)"),
        row("same_ns", SLEEPER, "same_ns(1, p, `uts`);", &["test /proc/1/ns/uts -ef /proc/*/ns/uts"], Status),
        row("same_ns", SLEEPER, "same_ns(1, p);", &["test /proc/1/ns/net -ef /proc/*/ns/net"], Status),
        row("same_ns", SLEEPER, "same_ns(ns1, p);", &["test /run/netns/netns1 -ef /proc/*/ns/net"], Status),
        row("same_ns", BOX, "same_ns(box, 1, `uts`);", &["test /proc/*/ns/uts -ef /proc/1/ns/uts"], Status),
        row("hold", NS, "let h = hold(ns1);", &["sleep infinity < /run/netns/netns1 &"],
            State("sh(`stat -L -c %i /proc/[0-9]*/fd/* 2> /dev/null | grep -cx ` + ns_inode(ns1))")),
        none("release", "let ns1 = netns(`netns1`); let h = hold(ns1);", "release(h);", &["no equivalent command: the descriptors are those of nslab"]),
        row("nsenter", SLEEPER, "let n = nsenter(p, [`net`, `uts`]);", &["nsenter -t * -n -u"],
            Text { ours: "exec(n, [`sh`, `-c`, `readlink /proc/self/ns/net /proc/self/ns/uts`])", more: " sh -c 'readlink /proc/self/ns/net /proc/self/ns/uts'" }),
        row("nsenter", "", "let n = nsenter(1, [`user`, `uts`]);", &["nsenter -t 1 -u"],
            Text { ours: "exec(n, `readlink /proc/self/ns/user`)", more: " readlink /proc/self/ns/user" }),
        Row { user: User::Nobody, ..row("unshare", ROOTS, "let box = unshare([`pid`, `mount`, `uts`]);", &["unshare -p -m -u --fork --mount-proc sleep infinity &"],
            States("exec(box, `sh namespaces`).stdout", inside!("-p -m -u"))) },
        Row { user: User::Root, ..none("unshare", "", "unshare([`pid`, `mount`, `uts`]);",
            &["no equivalent command: in a lab of root no program can mount another `/proc`, or a `/sys` to write to"]) },
        row("unshare", ROOTS, "let box = unshare([`uts`, `ipc`]);", &["unshare -u -i sleep infinity &"],
            States("exec(box, `sh namespaces`).stdout", inside!("-u -i"))),
        Row { user: User::Nobody, ..row("unshare", ROOTS, "let box = unshare([`net`, `mount`]);", &["unshare -n -m sh -c 'mount -t sysfs none /sys; exec \"$@\"' sh sleep infinity &"],
            States("exec(box, `sh namespaces`).stdout", inside!("-n -m"))) },
        row("unshare", ROOTS, "let box = unshare([`time`, `cgroup`]);", &["unshare -T -C --fork sleep infinity &"],
            States("exec(box, `sh namespaces`).stdout", inside!("-T -C"))),
        Row { user: User::Root, ..none("unshare", "", "unshare([`user`]);", &["no equivalent command: unshare(1) maps root alone"]) },
        Row { user: User::Nobody, ..row("unshare", ROOTS, "let box = unshare([`user`, `pid`, `mount`]);", &["unshare -U -p -m --fork --mount-proc --map-root-user sleep infinity &"],
            States("exec(box, `sh namespaces`).stdout", inside!("-U -p -m --preserve-credentials"))) },
    ]
}

#[rustfmt::skip]
fn script() -> Vec<Row> {
    let reason = &["no equivalent command: it runs code of the script"];
    vec![
        none("attempt", "", "attempt(|| 1);", reason),
        none("expect_error", "", "expect_error(|| 1 / 0);", reason),
        none("wait_until", "", "wait_until(|| true);", reason),
        none("wait_listen", "", "attempt(|| wait_listen(`tcp`, 80, #{timeout: `1ms`}));", &["no equivalent command: it runs code of the script", "no equivalent command: `ss -ltn` or `ss -lun` shows one moment"]),
        none("wait_output", "let p = start(`echo done`);", "wait_output(p, `done`);", &["no equivalent command: `grep -m 1` reads only what is still to come"]),
        none("wait_file", "", "wait_file(`/run`);", &["no equivalent command: `inotifywait` misses a file that is there already"]),
        none("wait_link", "", "wait_link(`lo`);", &["no equivalent command: `ip monitor link` shows changes only"]),
        none("wait_exit", "let p = start(`true`);", "wait_exit(p);", &["no equivalent command: it is about a handle of the script"]),
        prints("env", "", "env(`HOME`);", &["printenv HOME"], "env(`HOME`)"),
        prints("read_file", "", "read_file(`/proc/sys/kernel/ostype`);", &["cat /proc/sys/kernel/ostype"], "`Linux`"),
        row("write_file", "", "write_file(`/run/a`, `x'y`, #{append: true, mode: `0600`});", &["printf %b 'x'\\''y' | tee -a /run/a > /dev/null", "chmod 0600 /run/a"],
            Again { state: "sh(`cat /run/a; stat -c %a /run/a`)", undo: "sh(`rm /run/a`);" }),
        none("memory", "", "memory();", &["no equivalent command: it is about nslab itself"]),
    ]
}
