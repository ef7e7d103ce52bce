//! Hostile values for every parameter of every function: a value or a typed error with its line, never a panic, and the
//! lab works on.

use crate::common::{Function, NOBODY, Shell, functions};

/// Names, addresses, numbers, values of every kind. It is called again for each parameter, since calls use handles up.
const VALUES: &str = r#"
fn padded(length) { let text = "x"; text.pad(length, "x"); text }
fn hostile() {
    let dead = netns(); delete(dead);
    let gone = netns(); let orphan = veth(gone, "o0", gone, "o1"); delete(gone);
    let cut = veth(netns(), "c0", netns(), "c1"); delete(cut.a);
    let ended = start("true"); wait(ended);
    let released = hold(netns()); release(released);
    let around = #{}; let back = || around; around.me = back; around.deep = #{ deep: #{ deep: around } };
    [
        "", ".", "..", "/", "a/b", "../x", "/etc/x", "-x", "-rf", "--", "%d", "a%d", "z%s", "a\x00b", "a\nb", "a\tb", "a b", "a:b",
        padded(15), padded(16), padded(255), padded(256), padded(300), padded(65536), "\u202etxt", "\u00e9", "e\u0301", "\u00ff\u00fe",
        "\x1b[2J", "\x1b[31mred", "lo", "all", "default", "host", "list", "1", "self",
        "10.0.0.1/33", "fd00::1/129", "10.0.0.1/255", "10.0.0.1/-1", "10.0.0.1/0", "10.1", "10.1.1.", "010.1.1.1", "010.1.1.1/24", "::ffff:1.2.3.4",
        "::ffff:1.2.3.4/96", "fe80::1%eth0", "fe80::1%", "%", "ff02::1/64", "0.0.0.0/24", "224.0.0.1/24", "255.255.255.255/32", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::", "ff02::1", "/", "/24", "1.2.3.4.5", "1.2.3.4/", "net.", "net..x", "net.ipv4", "net/../kernel/panic", "KILL", "0", "-9",
        -1, 0, 1, 2, 67, 68, 65535, 65536, 1000000000, 2147483647, 2147483648, 4294967295, 4294967296, 9223372036854775807, -9223372036854775807 - 1,
        0.0, -0.5, 1e308, 0.0 / 0.0, 1.0 / 0.0, true, false, (), 'c', timestamp(), blob(3, 255), 0..3, 0..=3,
        [], [()], [[]], ["a", 1, ()], ["net", "net"], ["nett"], ["\x00"], [""], ["sh", "a\x00b"], #{}, #{a: 1}, #{timeout: -1}, around, back, |x| x, Fn("describe"),
        host(), dead, gone, netns(), orphan.a, cut.b, orphan, cut, ended, released, hold(netns()), unshare(["uts"]), nsenter(1, ["mount"]), nsenter(1, ["net"]),
        links()[0], links(), routes(), firewall(), ping("127.0.0.1", #{timeout: "1ms"}), exec("true"), ns_list(1), netns_list(), [host(), dead], [netns(), 1]
    ]
}
"#;

/// Calls `f`; what it throws must be one of our errors, with a place.
const CHECKED: &str = r#"
fn looks(what, f) {
    let error = ();
    let began = timestamp();
    try { f.call(); } catch (e) { error = e; }
    if began.elapsed > 10.0 { print(`${what}: took ${began.elapsed} s`); }
    if error == () { return 1; }
    if type_of(error) != "map" { print(`${what}: threw ${error}`); return 1; }
    for key in ["kind", "message", "line"] {
        if !(key in error) { print(`${what}: no ${key} in ${error}`); return 1; }
    }
    if error.kind == "bug" || error.message == "" || error.line < 1 { print(`${what}: ${error}`); }
    let text = error.message + error.hint;
    if text.contains("\x1b") || text.contains("\x00") || text.contains("\u202e") { print(`${what}: steers the terminal`); }
    if text.len() > 2000 { print(`${what}: ${text.len()} characters`); }
    1
}
"#;

/// An expression that makes a good argument, so that the call gets as far as the hostile one.
fn good(function: &str, name: &str, of: &str) -> &'static str {
    match (function, name, of) {
        ("ping" | "pingall", "opts", _) => "#{timeout: \"10ms\"}",
        ("ping", "addr", _) => "\"127.0.0.1\"",
        ("exec" | "sh", "opts", _) => "#{timeout: \"30ms\"}",
        (wait, "opts", _) if wait.starts_with("wait") => "#{timeout: \"30ms\"}",
        (_, "protocol", _) => "\"tcp\"",
        (_, "opts", _) => "#{}",
        ("wait_gone", ..) => "link(netns(), \"lo\")",
        (_, "command", _) | ("sh", "text", _) => "\"true\"",
        ("sysctl", "key", _) => "\"net.ipv4.ip_forward\"",
        ("kill", "signal", _) => "\"CONT\"",
        ("add_route" | "del_route", "dst", _) => "\"10.9.0.0/16\"",
        (_, "addr", _) => "\"10.1.1.1/24\"",
        (_, "kind", _) => "\"net\"",
        (_, "kinds", _) => "[\"net\"]",
        (_, "nodes", _) => "[netns(), netns()]",
        (_, "bytes", _) => "1400",
        (_, _, "bool") => "true",
        (_, "a" | "b", "NetNs or pid") | (_, "value", _) | (_, _, "int") => "1",
        (_, "a", _) => "\"end0\"",
        (_, "b", _) => "\"end1\"",
        (_, "bridge", _) => "bridge(netns(), \"br0\")",
        (_, _, "NetNs" | "NetNs or pid" | "NetNs or int" | "NetNs or Link") => "netns()",
        (_, _, "Link") => "veth(netns(), \"v0\", netns(), \"v1\").a",
        (_, _, "Process") => "start(\"true\")",
        (_, _, "Sandbox") => "hold(netns())",
        (_, _, "closure") => "|| true",
        (_, _, "array") => "[]",
        (_, _, "map") => "#{}",
        _ => "\"name0\"",
    }
}

/// The keys of the option maps of a function: `* `count`: …` in its text.
fn keys(function: &Function) -> Vec<&str> {
    function.doc.lines().filter_map(|line| line.strip_prefix("* `")?.split('`').next()).collect()
}

/// A script that tries everything, and the number of calls in it a value.
fn matrix(all: &[Function]) -> String {
    let mut text = VALUES.to_owned() + CHECKED + "let calls = 0;\n";
    let mut attempt = |what: &str, call: &str| {
        let line = format!("for v in hostile() {{ calls += looks(`{what} ${{describe(v)}}`, || {call}); }}\n");
        text.push_str(&line);
    };
    for function in all {
        let name = &function.name;
        let with = |at: usize, value: &str| {
            let arguments = function.parameters.iter().enumerate().map(|(n, parameter)| {
                if n == at { value.to_owned() } else { good(name, &parameter.name, &parameter.of).to_owned() }
            });
            format!("{name}({})", arguments.collect::<Vec<_>>().join(", "))
        };
        // What waits for something that does not come needs a short limit in each call.
        let waits = name.starts_with("wait_");
        for (at, parameter) in function.parameters.iter().enumerate() {
            if parameter.name != "opts" || !waits {
                attempt(&format!("{name}.{}", parameter.name), &with(at, "v"));
            }
            if parameter.name == "opts" {
                // A hostile path of a log would be a file of the machine.
                for key in keys(function).into_iter().filter(|key| *key != "log") {
                    let limit = if waits && key != "timeout" { ", timeout: \"10ms\"" } else { "" };
                    attempt(&format!("{name}.opts.{key}"), &with(at, &format!("#{{ {key}: v{limit} }}")));
                }
            }
        }
        // As the only argument, and as the receiver of a method.
        let needed = function.parameters.iter().filter(|parameter| !parameter.optional).count();
        if needed <= 1 && !function.parameters.is_empty() && !waits {
            attempt(&format!("{name} alone"), &format!("{name}(v)"));
            attempt(&format!("{name} of it"), &format!("v.{name}()"));
        }
    }
    text += r#"
fn describe(v) { let text = v.to_debug(); if text.len() > 60 { text.sub_string(0, 60) } else { text } }
// The lab works on.
let a = netns("a-after"); let b = netns("b-after");
let cable = veth(a, "eth0", b, "eth0");
up(cable.a, "10.77.0.1/24"); up(cable.b, "10.77.0.2/24");
check ping(a, "10.77.0.2").ok && exec(a, "true").ok && host().is_host;
check exec("true").ok && calls > 1000;
print("it works on");
"#;
    text
}

/// In a few runs, so that each is far from its deadline.
fn all_survive(user: Option<u32>) {
    // The hostile paths of `write_file` would be files of the machine; `bindings::file` has its hostile values.
    let is_called = |function: &Function| function.family != "syntax" && function.name != "write_file";
    let all: Vec<_> = functions().into_iter().filter(is_called).collect();
    for some in all.chunks(9) {
        let shell = Shell::new().script(&matrix(some));
        let shell = if let Some(user) = user { shell.user(user) } else { shell };
        shell.run().success().stdout("it works on\n");
    }
}

#[trial]
fn every_function_survives_every_value() {
    all_survive(None);
}

#[trial]
fn without_privileges_too() {
    all_survive(Some(NOBODY));
}

/// A value that contains itself by way of a closure can be printed.
#[trial]
fn a_value_that_contains_itself() {
    let script = "let m = #{}; let f = || m; m.f = f; print(type_of(m)); m.to_string(); m.to_debug();";
    Shell::new().script(script).run().success().stdout("map\n");
}

/// What a program prints reaches the terminal as it is; what we say about it does not.
#[trial(ip)]
fn names_from_the_kernel_are_shown_escaped() {
    Shell::new()
        .script(
            r#"
            let bad = "a\x1b[31m";
            check exec(["ip", "link", "add", bad, "type", "bridge"]).ok;
            check exec(["ip", "netns", "add", "n\x1b[2J"]).ok;
            print(links());
            print(netns_list());
            check !links().to_string().contains("\x1b") && !netns_list().to_string().contains("\x1b");
            "#,
        )
        .run()
        .success()
        .stdout_contains("a\\u{1b}[31m");
}
