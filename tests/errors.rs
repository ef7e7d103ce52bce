//! What people see when they make a mistake: the place, the calls that led there, a hint. The texts are recorded, one
//! file a mistake, below `golden/errors`.

use crate::common::{Shell, is_recorded};

/// A script with a mistake, and the exit status it ends with; its text is `golden/errors/NAME.txt`.
macro_rules! mistakes {
    ($($name:ident, $status:literal, $script:literal $(, $file:literal = $text:literal)*;)*) => {$(
        #[trial]
        fn $name() {
            let shell = Shell::new().script($script) $(.file($file, $text))*.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            let outcome = shell.run().status($status).stdout("");
            is_recorded(concat!("errors/", stringify!($name), ".txt"), outcome.errors());
        }
    )*};
}

mistakes! {
    an_unknown_function, 2, r#"let sw = brige("br0");"#;
    a_wrong_argument_type, 2, r#"let ns1 = netns("netns1");
veth(ns1, 5);"#;
    a_wrong_argument_type_with_the_signature, 2, r#"set_mtu("lo", "big");"#;
    too_many_arguments, 2, r#"alive(start("sleep 1"), 5);"#;
    far_too_many_arguments, 2, r#"netns("a", "b");"#;
    a_misspelt_option, 2, r#"ping("127.0.0.1", #{cuont: 3});"#;
    an_option_of_the_wrong_type, 2, r#"ping("127.0.0.1", #{timeout: 3});"#;
    an_address_with_a_number_missing, 2, r#"ping("10.1.1.");"#;
    a_host_name, 2, r#"ping("localhost");"#;
    an_address_with_a_prefix_length, 2, r#"ping("10.1.1.1/24");"#;
    an_address_without_a_prefix_length, 2, r#"up("lo", "10.1.1.1");"#;
    a_prefix_length_that_is_none, 2, r#"up("lo", "10.1.1.1/33");"#;
    an_address_with_a_leading_zero, 2, r#"addr("lo", "010.1.1.1/24");"#;
    a_missing_semicolon, 2, r#"let a = netns("a")
let b = netns("b");"#;
    a_missing_brace, 2, r#"if true {
    print("a");
"#;
    a_missing_quote, 2, r#"print("open);"#;
    an_unknown_property, 2, r#"let cable = veth("veth0", "veth1");
print(cable.a.stat);"#;
    a_property_called_like_a_function, 2, r#"link("lo").state();"#;
    a_misspelt_key, 2, r#"let e = #{kind: 1};
print(e.knid);"#;
    an_undefined_variable, 2, r#"up(frobnicate, "lo");"#;
    a_misspelt_variable, 2, r#"let router = netns("router");
up(ruoter, "lo");"#;
    a_variable_of_the_script_in_a_function, 2, r#"fn f() { x }
let x = 1;
f();"#;
    a_function_without_parentheses, 2, "print(netns);";
    a_deleted_namespace, 2, r#"let ns1 = netns("netns1");
delete(ns1);
up(ns1, "lo");"#;
    a_name_instead_of_a_namespace, 2, r#"netns("ns1");
ping("ns1", "127.0.0.1");"#;
    a_name_of_a_namespace_where_a_link_is_wanted, 2, r#"netns("n1");
delete("n1");"#;
    within_a_name, 2, r#"within "ns1" { up("lo"); }"#;
    a_veth_name_that_is_taken, 2, r#"veth("veth0", "veth1");
veth("veth0", "veth2");"#;
    a_name_that_is_too_long, 2, r#"veth("much-too-long-a-name", "b");"#;
    a_name_with_a_slash, 2, r#"netns("a/b");"#;
    a_link_that_is_not_there, 2, r#"let ns1 = netns("netns1");
up(ns1, "eth0");"#;
    the_calls_that_led_to_an_error, 2, r#"fn connect(a, b) {
    veth(a, "eth0", b, "eth0")
}
fn build(names) {
    let first = netns(names[0]);
    connect(first, first)
}
build(["h1", "h2"]);"#;
    an_error_in_a_module, 2, r#"import "lib/tools" as tools;
tools::double(netns("a"));"#,
        "lib/tools.rhai" = r#"fn double(ns) {
    up(ns, "eth0")
}
"#;
    a_module_that_does_not_compile, 2, r#"import "lib/bad" as bad;"#,
        "lib/bad.rhai" = r#"fn broken( {
}
"#;
    a_module_that_is_not_there, 2, r#"import "nothing" as x;"#;
    an_uncaught_throw, 2, r#"throw "no more";"#;
    an_error_that_is_thrown_again_keeps_its_place, 2, r#"try {
    link("eth7");
} catch (e) {
    throw e;
}"#;
    a_failed_comparison, 1, "check 6 * 7 == 43;";
    a_failed_property, 1, r#"check ping("10.0.0.1").ok;"#;
    a_failed_part_of_a_condition, 1, r#"let n = [1, 2];
check true && n.len() > 2;"#;
    a_failed_search, 1, r#"let names = ["lo", "veth1"];
check "eth0" in names;"#;
    a_check_that_is_no_condition, 2, "check netns_list();";
    a_comparison_that_cannot_be_made, 2, "check host() < current();";
    endless_recursion, 2, r#"fn f(n) { f(n + 1) }
f(0);"#;
    an_array_without_end, 2, r#"let l = [];
l.pad(2000000000, 7);"#;
    a_pipe_in_a_command, 2, r#"exec("ls | wc");"#;
    a_program_that_is_not_there, 2, r#"exec("ipp link");"#;
    a_gateway_that_is_out_of_reach, 2, r#"add_route("default", #{via: "10.0.0.1"});"#;
    a_setting_of_the_whole_machine, 2, r#"sysctl("kernel.panic", 1);"#;
    a_setting_misspelt, 2, r#"sysctl("net.ipv4.ip_forwrd", 1);"#;
    an_unknown_kind_of_namespace, 2, r#"unshare(["nett"]);"#;
    an_error_in_a_closure, 2, r#"let names = ["a", "b/c"];
names.map(|name| netns(name));"#;
}

/// The same for inputs of a session, typed one after another: the last one goes wrong.
macro_rules! mistakes_in_a_session {
    ($($name:ident, $status:literal, $inputs:literal $(, $file:literal = $text:literal)*;)*) => {$(
        #[trial]
        fn $name() {
            let outcome = Shell::new().stdin($inputs) $(.file($file, $text))*.run().status($status);
            is_recorded(concat!("errors/", stringify!($name), ".txt"), outcome.errors());
        }
    )*};
}

mistakes_in_a_session! {
    an_error_in_a_function_of_an_earlier_input, 2, r#"fn eth0_of(ns) { up(ns, "eth0") }
fn build(name) { eth0_of(netns(name)) }
let unrelated = "a line that is as long as the others";
build("h1")"#;
    an_error_in_a_closure_of_an_earlier_input, 2, r#"let broken = |n| n.nothing();
fn apply(f) { f.call(7) }
apply(broken)"#;
    an_error_in_a_function_given_by_its_name, 2, r#"fn broken(n) { n.nothing() }
fn apply(f) { f.call(7) }
apply(broken)"#;
    an_error_in_a_loaded_file, 2, r#":load lab/nodes.rhai
let first = "h1";
node(first)"#,
        "lab/nodes.rhai" = r#"import "names" as names;

fn node(name) {
    names::check_name(name)
}
"#,
        "lab/names.rhai" = r#"fn check_name(name) {
    open_netns(name)
}
"#;
    a_function_of_an_earlier_input_misspelt, 2, "fn connect_all(x) { x }\nconect_all(3)";
    a_variable_of_an_earlier_input_misspelt, 2, "let router = 1;\nruoter + 1";
    a_closure_that_leaves_its_module, 2, r#"import "lib" as lib;
lib::adder(2).call(3)"#,
        "lib.rhai" = "fn adder(n) { |m| n + m }";
}

#[trial]
fn a_mistake_on_the_command_line() {
    let outcome = Shell::new().command(["-c", "pign(\"127.0.0.1\")"]).run().status(2).stdout("");
    is_recorded("errors/a_mistake_on_the_command_line.txt", outcome.errors());
}

/// The texts are for people: each has a line with a mark, and those of the library say what to do next.
#[trial(anywhere)]
fn every_text_has_a_place() {
    for path in crate::files(&crate::root().join("tests/golden/errors"), ".txt") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("error: ") && text.contains("here"), "{}", path.display());
        assert!(!text.contains("i64") && !text.contains("Dynamic") && !text.contains("::lab::"), "{}", path.display());
    }
}
