//! What a session remembers from one input to the next, without a terminal.

use crate::common::Shell;

#[track_caller]
fn says(inputs: &str, expected: &str) {
    Shell::new().stdin(inputs).run().success().stdout(expected);
}

#[test]
fn functions_are_kept_and_replaced() {
    says("fn f() { 1 }\nfn g() { f() + 10 }\nfn f() { 2 }\ng()", "12\n");
    says("fn f() { 1 }\nfn f(a) { a }\nf() + f(5)", "6\n");
    says("fn fact(n) { if n < 2 { 1 } else { n * fact(n - 1) } }\nfact(5)", "120\n");
    says("fn ping(a) { `mine ${a}` }\nping(\"x\")", "mine x\n"); // one of nslab's names
    says("fn int.twice() { this * 2 }\nlet n = 21;\nn.twice()", "42\n");
}

#[test]
fn functions_are_values() {
    says(
        "fn twice(x) { x * 2 }\nlet t = twice;\nt.call(4)\n[1, 2].map(twice)\n[3].map(Fn(\"twice\"))",
        "8\n[2, 4]\n[6]\n",
    );
    says("fn twice(x) { x * 2 }\nlet t = Fn(\"twice\");\nfn twice(x) { x * 3 }\nt.call(4)", "12\n");
    says("let n = 1;\nlet count = || { n += 1; n };\ncount.call()\ncount.call()\nn", "2\n3\n3\n");
}

#[test]
fn functions_see_constants_of_earlier_inputs() {
    says("const N = 4;\nfn n() { global::N }\nn()\nconst N = 5;\nn()", "4\n5\n");
    says("const N = 4; fn n() { global::N } n()", "4\n");
    let file = "const NAME = \"r1\";\nfn name() { global::NAME }\n";
    Shell::new().file("a.rhai", file).stdin(":load a.rhai\nname()").run().success().stdout("r1\n");
}

#[test]
fn imports_are_read_from_the_folder_of_whoever_imports() {
    let shell = || {
        Shell::new()
            .file("tools.rhai", "fn one() { 1 }")
            .file("lab/tools.rhai", "fn one() { 100 }")
            .file("lab/a.rhai", "import \"tools\" as t; fn a() { t::one() } let b = t::one();")
    };
    shell().stdin("import \"tools\" as t\nt::one()\nfn f() { t::one() + 1 }\nf()").run().success().stdout("1\n2\n");
    shell().stdin(":load lab/a.rhai\nb\na()\nimport \"tools\" as u\nu::one()").run().success().stdout("100\n100\n1\n");
    shell().command(["-c", "import \"tools\" as t; t::one()"]).run().success().stdout("1\n");
    shell().command(["run", "-"]).stdin("import \"tools\" as t; print(t::one());").run().success().stdout("1\n");
}

#[test]
fn a_file_is_read_again_by_reload_with_what_it_imports() {
    let write = "exec([\"sh\", \"-c\", \"echo 'fn one() { 2 }' > tools.rhai; echo 'x += 40;' >> a.rhai\"]);\n";
    Shell::new()
        .file("tools.rhai", "fn one() { 1 }")
        .file("a.rhai", "import \"tools\" as t; let x = t::one();\n")
        .stdin(format!(":load a.rhai\nx\n{write}:reload\nx"))
        .run()
        .success()
        .stdout("1\n42\n");
}

#[test]
fn the_editor_gets_the_session_and_what_it_leaves_is_run() {
    let shell = || Shell::new().stdin("let ns1 = netns(\"n1\");\nlet x = 1;\n:edit\nx\nns1.name\nnetns_list().len");
    shell().env("EDITOR", "sed -i 's/x = 1/x = 42/; s/n1/n2/'").run().success().stdout("42\nn2\n1\n");
    let refused = shell().env("EDITOR", "false").run().status(2);
    refused.stderr_contains("`false` ended with 1: nothing was run");
}

#[test]
fn the_source_of_a_function_is_shown_alone() {
    says(
        "let a = 1; /// Doubles.\nfn twice(x) {\n    x * 2 // \u{e4}\n} fn other() { 3 }\n??twice\n??other",
        "/// Doubles.\nfn twice(x) {\n    x * 2 // \u{e4}\n}\nfn other() { 3 }\n",
    );
}

#[test]
fn reset_forgets_everything() {
    let inputs =
        "let ns1 = netns(\"n1\");\nfn f() { 1 }\nimport \"std/topo\" as topo\n:reset\n:vars\nnetns_list().len\nf()";
    Shell::new().stdin(inputs).run().status(2).stdout("\n0\n").stderr_contains("no function `f`");
    let inputs = "import \"std/topo\" as topo\n:reset\ntopo::lan([], \"10\")";
    Shell::new().stdin(inputs).run().status(2).stderr_contains("topo");
}

#[test]
fn a_command_of_the_shell_gets_the_way_to_run_it() {
    let shell = |inputs: &str| Shell::new().stdin(inputs).run().status(2);
    shell("ip link show").stderr_contains("`host! ip link show` runs the program `ip` here");
    shell("let ns1 = netns(\"n1\");\n:enter ns1\nls").stderr_contains("`n1! ls` runs the program `ls` here");
    shell("ping 10.1.1.1").stderr_contains("call it: `ping(");
    shell("no-such-program x").stderr_contains("no variable `no`");
}

#[test]
fn words_of_other_tools_are_understood() {
    let shell = |inputs: &str| Shell::new().stdin(inputs).run();
    let two = "for i in 1..3 { netns(`h${i}`); } let c = veth(open_netns(\"h1\"), \"e\", open_netns(\"h2\"), \"e\"); \
               up(c.a, \"10.0.0.1/24\"); up(c.b, \"10.0.0.2/24\");\n";
    for input in ["h1 ping h2;", "h1 ping \"10.0.0.2\"", "h1 ping 10.0.0.2", "h1 ping -c1 h2"] {
        shell(&format!("{two}{input}")).success().stdout_contains("1 received, 0% packet loss");
    }
    for input in [":topo;", "net", "dump", "nodes;", ":ns"] {
        shell(&format!("{two}{input}")).success().stdout_contains("h2");
    }
    shell("help ping").success().stdout_contains("Sends ICMP echo requests");
    for input in [":q", ":exit", "quit()", "exit", "quit"] {
        shell(&format!("{input}\nprint(1)")).success().stdout("");
    }
    shell(":topo foo").status(2).stderr_contains("`:topo` takes no argument");
    shell(":tpo").status(2).stderr_contains("no command `:tpo`; did you mean `:topo`? `:help` lists them");
}

#[test]
fn a_program_that_fails_says_so() {
    says(
        "exec(\"true\")\nexec(\"false\")\nexec([\"sh\", \"-c\", \"echo out; exit 3\"])",
        "exit status 1\nout\nexit status 3\n",
    );
}

#[test]
fn a_program_after_the_name_of_a_host_runs_there() {
    let inputs = "let h1 = netns(\"h1\"); let h2 = netns(\"h2\"); let c = veth(h1, \"e\", h2, \"e\");\n\
                  up(c.a, \"10.0.0.1/24\"); up(c.b, \"10.0.0.2/24\");\nh1 echo h2 from $(ip netns identify)\nh1 in [h1]";
    Shell::new().stdin(inputs).run().success().stdout("10.0.0.2 from h1\ntrue\n");
}
