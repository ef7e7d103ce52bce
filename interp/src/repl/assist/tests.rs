//! Completion, hints and colours as functions on strings, over the real catalog and an invented lab.

use std::sync::LazyLock;

use stdlib::catalog::Catalog;
use stdlib::lab::Lab;

use super::complete::{World, complete};
use super::highlight::highlight;
use super::hint::signature;
use crate::console::{Console, Palette};
use crate::language::engine::build;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| build(&Lab::here(None).unwrap(), &Console::standard()).1);

/// Two namespaces in variables, a cable, a map.
struct Made;

impl World for Made {
    fn variables(&self) -> Vec<(String, String)> {
        [
            ("ns1", "NetNs"),
            ("ns2", "NetNs"),
            ("cable", "Veth"),
            ("report", "Ping"),
            ("opts", "map"),
            ("all", "Links"),
            ("nodes", "array"),
        ]
        .map(|(name, of)| (name.to_owned(), of.to_owned()))
        .to_vec()
    }
    fn functions(&self) -> Vec<(String, String)> {
        vec![("setup".into(), "setup(ns)".into())]
    }
    fn keys(&self, variable: &str) -> Vec<(String, String)> {
        if variable == "opts" {
            vec![("delay".into(), "int".into()), ("ns".into(), "NetNs".into()), ("name".into(), "string".into())]
        } else {
            Vec::new()
        }
    }
    fn element(&self, variable: &str) -> Option<String> {
        (variable == "nodes").then(|| "NetNs".into())
    }
    fn namespaces(&self) -> Vec<String> {
        vec!["netns1".into(), "netns2".into()]
    }
    fn links(&self, variable: Option<&str>) -> Vec<String> {
        match variable {
            Some("ns1" | "opts.ns" | "nodes[0]") => vec!["lo".into(), "veth1".into()],
            _ => vec!["lo".into(), "veth0".into()],
        }
    }
    fn addresses(&self) -> Vec<String> {
        vec!["10.1.1.1".into(), "10.1.1.2".into()]
    }
    fn sysctls(&self, prefix: &str) -> Vec<String> {
        if prefix == "net.ipv4.ip_f" { vec!["net.ipv4.ip_forward".into()] } else { vec!["net.ipv4.".into()] }
    }
    fn files(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// What Tab offers at the end of the text.
fn offered(text: &str) -> Vec<String> {
    complete(&CATALOG, &Made, text, text.len()).1.into_iter().map(|candidate| candidate.text).collect()
}

#[test]
fn functions_variables_and_keywords_complete_a_word() {
    assert_eq!(offered("pin"), ["ping(", "pingall("]);
    assert_eq!(offered("let x = se"), ["set_master(", "set_mtu(", "setup("]);
    assert_eq!(offered("ns"), ["ns1", "ns2", "ns_inode(", "ns_list(", "nsenter("]);
    assert_eq!(offered("wi"), ["within "]);
    assert_eq!(offered("whil"), ["while"]);
    let (_, found) = complete(&CATALOG, &Made, "netns_l", 7);
    assert_eq!(found[0].shown, "netns_list([ns: NetNs]) -> NetNsNames");
    assert_eq!(found[0].doc, "Lists the names of network namespaces, with the id that each has in `ns`.");
}

#[test]
fn members_follow_the_type_of_a_variable_and_of_a_call_chain() {
    assert_eq!(offered("cable."), ["a", "b"]);
    assert_eq!(offered("cable.a.peer_"), ["peer_index"]);
    assert_eq!(offered("cable.b.ns.ino"), ["inode"]);
    assert_eq!(offered("veth(ns1, \"x\", ns2, \"y\").b.peer.na"), ["name"]);
    assert_eq!(offered("links(ns1)[0].mt"), ["mtu"]);
    assert_eq!(offered("all[0].sta"), ["state"]);
    assert_eq!(offered("all.fil"), ["filter("]);
    assert_eq!(offered("report.rtt"), ["rtt", "rtt_max", "rtt_min"]);
    assert_eq!(offered("opts.d"), ["delay"]);
    assert_eq!(offered("opts.ns.ino"), ["inode"]);
    assert_eq!(offered("nodes[0].ino"), ["inode"]);
    assert_eq!(offered("opts.name.sp"), ["split("]);
    assert_eq!(offered("opts.name.ne"), [""; 0]);
    assert_eq!(offered("nodes.ma"), ["map("]);
    assert_eq!(offered("ns1.pin"), ["ping("]);
    assert_eq!(offered("nobody."), [""; 0]);
}

#[test]
fn a_method_is_shown_without_what_stands_before_the_dot() {
    let shown = |text: &str| complete(&CATALOG, &Made, text, text.len()).1.remove(0).shown;
    assert_eq!(shown("ns1.pin"), "ping(addr: string, [opts: map]) -> Ping");
    assert_eq!(shown("cable.a.up"), "up([addr: string]) -> Link");
    assert_eq!(shown("ns1.up"), "up(link: string, [addr: string]) -> Link");
    assert_eq!(shown("report.ok"), "ok: bool");
    assert_eq!(offered("ns1.i"), ["id", "inode", "is_host", "ifb(", "info("]);
}

#[test]
fn strings_complete_to_what_the_lab_has() {
    assert_eq!(offered("open_netns(\"ne"), ["netns1", "netns2"]);
    assert_eq!(offered("up(ns1, \"ve"), ["veth1"]);
    assert_eq!(offered("up(\"ve"), ["veth0"]);
    assert_eq!(offered("ns1.link(\"ve"), ["veth1"]);
    assert_eq!(offered("ping(ns1, \"10.1"), ["10.1.1.1", "10.1.1.2"]);
    assert_eq!(offered("ping(\"10.1.1.2"), ["10.1.1.2"]);
    assert_eq!(offered("sysctl(ns1, \"net.ipv4.ip_f"), ["net.ipv4.ip_forward"]);
    assert_eq!(offered("unshare([\"us"), ["user"]);
    assert_eq!(offered("unshare([\"net\", \"mo"), ["mount"]);
    assert_eq!(offered("ns_inode(1, \"u"), ["user", "uts"]);
    assert_eq!(offered("kill(p, \"K"), ["KILL"]);
    assert_eq!(offered("print(\"ve"), [""; 0]);
    assert_eq!(offered("up(opts.ns, \"ve"), ["veth1"]);
    assert_eq!(offered("up(nodes[0], \"ve"), ["veth1"]);
    assert_eq!(offered("within ns1 { up(\"ve"), ["veth1"]);
    assert_eq!(offered("within ns1 { } up(\"ve"), ["veth0"]);
}

#[test]
fn option_maps_complete_their_keys_and_values() {
    assert_eq!(offered("ping(ns1, \"10.1.1.1\", #{co"), ["count: "]);
    assert_eq!(offered("ping(\"10.1.1.1\", #{count: 3, i"), ["interval: "]);
    assert_eq!(offered("add_route(ns1, \"default\", #{via: \"10"), ["10.1.1.1", "10.1.1.2"]);
    assert_eq!(offered("add_route(ns1, \"default\", #{dev: \"ve"), ["veth1"]);
}

#[test]
fn the_hint_marks_the_argument_at_the_cursor() {
    let hint = |text: &str| signature(&CATALOG, &Made, text, text.len()).unwrap_or_default();
    assert_eq!(hint("ping("), "  ping(‹[ns: NetNs]›, addr: string, [opts: map])");
    assert_eq!(hint("ping(ns1, "), "  ping([ns: NetNs], ‹addr: string›, [opts: map])");
    assert_eq!(hint("ping(\"10.1.1.1\", "), "  ping([ns: NetNs], addr: string, ‹[opts: map]›)");
    assert_eq!(hint("ping(\"10."), "  ping([ns: NetNs], ‹addr: string›, [opts: map])");
    assert_eq!(
        hint("ping(ns1, \"x\", #{"),
        "  ping([ns: NetNs], addr: string, ‹[opts: map]›)  count, interval, size, timeout, ttl"
    );
    assert_eq!(hint("up(ns1, \"veth1\", "), "  up(link: Link, ‹[addr: string]›)");
    assert_eq!(hint("veth(ns1, \"a\", "), "  veth(a: string, ‹b: string›)");
    assert_eq!(hint("ns1.ping("), "  ping([ns: NetNs], ‹addr: string›, [opts: map])");
    for ns in ["current()", "nodes[0]", "opts.ns", "open_netns(\"x\")"] {
        let marked = "  ping([ns: NetNs], ‹addr: string›, [opts: map])";
        assert_eq!(hint(&format!("ping({ns}, ")), marked, "{ns}");
    }
    assert_eq!(hint("opts.ns.ping("), "  ping([ns: NetNs], ‹addr: string›, [opts: map])");
    assert_eq!(hint("setup("), "  setup(‹ns›)");
    assert_eq!(hint("ping(ns1)"), "");
    assert_eq!(hint("nothing("), "");
}

#[test]
fn colours_change_no_character() {
    let text = "let é = ping(ns1, \"ü\"); // x\nwithin ns1 { `a ${b} c` }";
    let coloured = highlight(&CATALOG, Palette::COLOURED, text);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    assert_eq!(plain, text);
    assert!(coloured.contains("\x1b[35mlet\x1b[0m") && coloured.contains("\x1b[1mping\x1b[0m"));
}
