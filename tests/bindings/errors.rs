//! Errors as scripts see them: every source of one gives every key.

use crate::common::{Shell, passes_for_all};

/// Every way by which an error comes to a script, as a closure that ends with one.
const SOURCES: &str = r#"
import "lib" as lib;
fn deep(n) { if n == 0 { netns("a/b") } else { deep(n - 1) } }
let gone = netns("gone"); delete(gone);
let box = unshare(["uts"]); release(box);
let sources = [
    ["a refused name", || netns("a/b"), "usage"],
    ["a wrong type", || set_mtu("lo", "big"), "usage"],
    ["a missing argument", || set_mtu("lo"), "usage"],
    ["one argument too many", || netns("a", 1), "usage"],
    ["an unknown option", || ping("127.0.0.1", #{cuont: 1}), "usage"],
    ["the kernel", || up("nope"), "not_found"],
    ["a method", || link("lo").up("x"), "usage"],
    ["a function pointer", || Fn("up").call("nope"), "not_found"],
    ["a property", || { let l = veth("v0", "v1").a; delete(l); l.mtu }, "not_found"],
    ["a deleted namespace", || links(gone), "gone"],
    ["within a deleted namespace", || { within gone { 1 } }, "gone"],
    ["within a released sandbox", || { within box { 1 } }, "gone"],
    ["within a name", || { within "gone" { 1 } }, "usage"],
    ["check", || { check 1 == 2; }, "check"],
    ["a check without a condition", || { check 5; }, "usage"],
    ["import", || { import "nowhere" as n; }, "not_found"],
    ["sleep", || sleep("soon"), "usage"],
    ["the end of a program", || wait_file("/none", #{while_alive: start("false")}), "ended"],
    ["a timeout", || wait_until(|| false, #{timeout: "1ms"}), "timeout"],
    ["a program's timeout", || exec("sleep 60", #{timeout: "10ms"}), "timeout"],
    ["a program", || exec("no-such-program"), "not_found"],
    ["wait_until", || wait_until(|| up("nope")), "not_found"],
    ["wait_until and the language", || wait_until(|| [].frob()), "script"],
    ["attempt", || { throw attempt(|| up("nope")).error; }, "not_found"],
    ["expect_error without one", || expect_error(|| 1), "usage"],
    ["a function", || deep(3), "usage"],
    ["a module", || lib::fail(), "not_found"],
    ["a list", || links()[9], "script"],
    ["an unknown function", || [].frob(), "script"],
    ["arithmetic", || 1 / 0, "script"],
    ["a map", || { let m = #{a: 1}; m.b }, "script"],
];
let keys = ["kind", "message", "errno", "op", "object", "ns", "hints", "hint", "source", "line", "position"];
"#;

const LIB: &str = "fn fail() { up(\"nope\") }\n";

#[trial]
fn every_source_of_an_error_has_every_key() {
    let text = format!(
        r#"{}
for source in sources {{
    let e = expect_error(source[1]);
    for key in keys {{ if !(key in e) {{ throw `${{source[0]}}: no ${{key}} in ${{e}}`; }} }}
    if e.kind != source[2] {{ throw `${{source[0]}}: ${{e.kind}}`; }}
    if e.message == "" || e.line < 1 || e.position < 1 {{ throw `${{source[0]}}: ${{e}}`; }}
    if !(e.source in ["main.rhai", "lib.rhai"]) {{ throw `${{source[0]}}: ${{e}}`; }}
    if e.hint != e.hints.reduce(|all, hint| if all == () {{ hint }} else {{ all + "\n" + hint }}) ?? "" {{ throw `${{source[0]}}: ${{e}}`; }}
    if type_of(e.errno) != "i64" || type_of(e.op) != "string" || type_of(e.object) != "string" {{ throw `${{source[0]}}: ${{e}}`; }}
}}
"#,
        SOURCES.replace('\n', " ")
    );
    Shell::new().script(&text).file("lib.rhai", LIB).run().success();
}

#[trial]
fn a_catch_gets_the_same_keys() {
    let text = format!(
        r#"{}
for source in sources.filter(|source| source[2] != "script") {{
    let caught = ();
    try {{ source[1].call(); }} catch (e) {{ caught = e; }}
    for key in keys {{ if !(key in caught) {{ throw `${{source[0]}}: no ${{key}} in ${{caught}}`; }} }}
    check caught.kind == source[2];
}}
"#,
        SOURCES.replace('\n', " ")
    );
    Shell::new().script(&text).file("lib.rhai", LIB).run().success();
}

#[trial]
fn an_error_names_the_operation_that_was_asked_for() {
    passes_for_all(
        r#"
        let ns1 = netns("netns1");
        for pair in [
            [|| up(ns1, "eth7"), "set up link"],
            [|| down(ns1, "eth7"), "set down link"],
            [|| set_mtu(ns1, "eth7", 1400), "set mtu 1400 of link"],
            [|| rename(ns1, "eth7", "x"), "rename link"],
            [|| delete(ns1, "eth7"), "delete link"],
            [|| nomaster(ns1, "eth7"), "remove master of link"],
            [|| set_master(ns1, "eth7", ns1, "lo"), "set master of link"],
            [|| move_to(ns1, "eth7", host()), "move link"],
            [|| link(ns1, "eth7"), "read link"],
        ] {
            let e = expect_error(pair[0]);
            check e.op == pair[1];
            check e.object == "eth7" && e.errno == 19 && e.ns == "namespace `netns1`";
        }
        let e = expect_error(|| up(ns1, "eth7", "10.0.0.1/24"));
        check e.op == "add address" && e.message.contains("`eth7`") && e.errno == 19;
        "#,
    );
}

/// Calls that fail, and what the mark stands under.
const MARKS: &[(&str, &str)] = &[
    (r#"up("nope")"#, r#""nope""#),
    (r#"up(host(), "nope")"#, r#""nope""#),
    (r#"link("lo").up("x")"#, r#""x""#),
    (r#"up("lo", "10.1.1.1/33")"#, r#""10.1.1.1/33""#),
    (r#"set_mtu("lo", -4)"#, "-4)"),
    (r#"set_mtu("lo", "big")"#, r#""big""#),
    (r#"rename(link("lo"), "far-too-long-for-a-link")"#, r#""far-too"#),
    (r#"netns("a"); let n = "a"; netns(n)"#, "n)"),
    (r#"ping("127.0.0.1", #{cuont: 1})"#, "#{"),
    (r#"exec("no-such-program")"#, r#""no-such"#),
    (r#"sysctl("net.no.such")"#, r#""net"#),
    (r#"let n = netns("n"); delete(n); n.links()"#, "n.links"),
    (r#"let n = netns("n"); delete(n); up(n, "lo")"#, r#"n, "lo""#),
    // Two arguments are named, and either may be at fault; none is; the call has no node of its own.
    (r#"up("nope", "10.1.1.1/24")"#, "up"),
    (r#"veth("v0", "v1"); veth ("v0", "v1")"#, "veth ("),
    ("nsenter(1)", "nsenter"),
    (r#"Fn("up").call("nope")"#, "Fn"),
];

#[trial]
fn the_mark_stands_under_the_argument_at_fault() {
    for (script, marked) in MARKS {
        let column = script.find(marked).unwrap() + 1;
        Shell::new().args(["-c", script]).run().status(2).stderr_contains(&format!("─[ <command line>:1:{column} ]"));
    }
}
