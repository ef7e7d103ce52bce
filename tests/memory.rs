//! The memory budget of scripts, and what ends a wait or a compilation that would have no end.

use crate::common::{Shell, Typed, passes};

fn with_budget(budget: &str, script: &str) -> Shell {
    Shell::new().file("main.rhai", script).command(["--memory", budget, "run", "main.rhai"])
}

#[trial]
fn growth_beyond_the_budget_is_an_error_with_its_line() {
    for script in [
        "let l = []; loop { l.push(1); }",
        "let l = []; loop { l.push(l); }",
        "let l = []; loop { l += [1, 2, 3, 4, 5, 6, 7, 8, 9]; }",
        "let m = #{}; let i = 0; loop { m[i.to_string()] = i; i += 1; }",
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; loop { s = `${s}${s}`; }",
        "let b = blob(1); loop { b += b; }",
        "[].pad(2000000000, 7);",
        "let l = []; l.pad(100000, 1); let all = []; all.pad(100000, l);",
        "\"x\".pad(2000000000, \"y\");",
        "\"x\".pad(9223372036854775807, 'y');",
        "blob(2000000000);",
        "blob(2000000000, 7);",
        "blob(1).pad(9223372036854775807, 7);",
        "let s = \"x\"; s.pad(100000, \"x\"); let t = s; t.replace(\"x\", s);",
        "let s = \"x\"; s.pad(100000, \"x\"); let t = s; t.replace('x', s);",
        "let s = \",\"; s.pad(5000000, \",\"); s.split(\",\");",
        "let s = \",\"; s.pad(5000000, \",\"); s.split(',');",
        "let s = \",\"; s.pad(5000000, \",\"); s.to_chars();",
        "blob(5000000).to_array();",
        "let f = || 1; loop { let g = f; f = || g.call(); }",
        // No `catch` goes on.
        "let l = []; try { loop { l.push(1); } } catch { } print(\"on\");",
        "let l = []; attempt(|| { loop { l.push(1); } }); print(\"on\");",
    ] {
        let outcome = with_budget("32m", &format!("\n{script}")).run().status(2).stdout("");
        let errors = outcome.errors();
        assert!(
            errors.starts_with("error: the script needs more memory than its budget of 32 MiB\n"),
            "{script}: {errors}"
        );
        assert!(errors.contains("main.rhai:2:") && errors.contains("--memory 2g"), "{script}: {errors}");
    }
}

/// `split()` cuts at white space; it is Rhai's own and asks nobody.
#[trial]
fn a_single_step_far_beyond_the_budget_ends_the_program() {
    let script = "let s = \" x\"; s.pad(8000000, \" x\"); print(1); s.split(); print(2);";
    with_budget("16m", script).run().status(71).stdout("1\n").stderr_is(
        "error: out of memory: a single step uses more than 4 times the budget of 16 MiB\n\
         hint: `memory(\"2g\")` in the script raises the budget, or `nslab --memory 2g`\n",
    );
}

#[trial]
fn functions_that_ask_for_room_do_what_they_did() {
    passes(
        r#"
        let l = [1]; l.pad(3, "x"); check l == [1, "x", "x"]; l.pad(1, 7); l.pad(-1, 7); check l.len() == 3;
        let s = "é"; s.pad(6, "ab"); check s == "éababa"; s.pad(3, 'x'); s.pad(8, 'ü'); check s == "éababaüü";
        s.pad(100, ""); check s == "éababaüü"; s.pad(-5, "x"); check s == "éababaüü";
        check blob(2) == blob(2, 0) && blob(-1).len() == 0; let b = blob(1, 257); b.pad(3, -1); b.pad(2, 0);
        check b.to_array() == [1, 255, 255];
        let s = "abab"; s.replace("a", "é"); check s == "ébéb"; s.replace('b', "xy"); check s == "éxyéxy";
        s.replace("éx", 'z'); check s == "zyzy"; let s = ""; s.replace("", "x"); check s == "";
        check "a,b,".split(",") == ["a", "b", ""] && "a,b".split(',') == ["a", "b"] && "ab".split("x") == ["ab"];
        check "".split(",") == [""] && "aé".to_chars() == ['a', 'é'] && "a b".split() == ["a", "b"];
        "#,
    );
}

#[trial]
fn sizes_have_no_other_limit() {
    passes(
        r#"
        let l = []; for i in 0..150000 { l.push(i); } check l.len() == 150000;
        let m = #{}; for i in 0..150000 { m["k" + i] = i; } check m.len() == 150000;
        let s = ""; s.pad(20000000, "x"); check s.len() == 20000000;
        "#,
    );
}

#[trial]
fn a_script_sets_its_budget() {
    let grows = "let s = \"\"; s.pad(40000000, \"x\"); print(s.len());";
    with_budget("16m", grows).run().status(2);
    with_budget("16m", &format!("memory(\"64m\"); {grows}")).run().success().stdout("40000000\n");
    with_budget("64m", &format!("check memory() == 67108864; {grows}")).run().success();
    with_budget("64m", &format!("memory(16777216); {grows}")).run().status(2).stderr_contains("budget of 16 MiB");
    passes(
        r#"
        check memory() == 536870912 && memory("2g") == 2147483648;
        for bad in ["1k", "0", 0, -1, "x", 1.5, "99999g", #{}] {
            let e = expect_error(|| memory(bad));
            check e.kind == "usage" && e.hint != "";
        }
        check memory() == 2147483648;
        "#,
    );
    let refused = |budget: &str| with_budget(budget, "").run().status(2);
    refused("1k").stderr_contains("too small a memory budget: at least 16 MiB");
    refused("x").stderr_contains("`x` is not a size");
}

/// Rhai drops it by recursion.
#[trial]
fn a_chain_of_closures_is_dropped() {
    let chain = "let f = || 1; for i in 0..1500000 { let g = f; f = || g.call(); } f = (); print(\"dropped\");";
    Shell::new().script(chain).run().success().stdout("dropped\n");
    with_budget("128m", chain).run().status(2).stderr_contains("budget of 128 MiB");
}

#[trial]
fn programs_have_no_budget() {
    let script = r#"
        check exec(["sh", "-c", "ulimit -v; ulimit -d; ulimit -m"]).lines == ["unlimited", "unlimited", "unlimited"];
        check exec(["sh", "-c", "head -c 90000000 /dev/zero | tail -c 80000000 | wc -c"]).stdout == "80000000\n";
    "#;
    with_budget("16m", script).run().success();
}

/// Little address space: a smaller stack, a smaller budget.
#[trial]
fn a_limit_of_address_space_makes_the_budget_smaller() {
    let limited = |words: &[&str]| {
        let shell = Shell::new().by(["sh", "-c", "ulimit -v 400000; exec \"$0\" \"$@\""]);
        shell.command(words.iter().copied()).run()
    };
    limited(&["-c", "memory() < 200 * 1024 * 1024"]).success().stdout("true\n");
    limited(&["--memory", "1g", "-c", "1"]).status(2).stderr_contains("start the thread of the script");
}

#[trial]
fn a_session_goes_on_after_it_has_used_up_its_budget() {
    let mut typed = Typed::start(&["--memory", "32m"]);
    typed.shows("let l = []; loop { l.push(1); }", "budget of 32 MiB");
    typed.shows("l.len() > 1000000", "true");
    typed.shows("l = 7", "7");
    typed.shows("let k = []; k.pad(500000, 1); k.len()", "500000");
    typed.end();
}

/// What would take Rhai minutes to compile.
#[trial]
fn texts_that_are_too_large_do_not_compile() {
    let many = |item: &dyn Fn(usize) -> String| (0..100_000).map(item).collect::<Vec<_>>().concat();
    for (text, error) in [
        (many(&|n| format!("let v{n} = 1;\n")), "more than 10000 names in one scope"),
        (format!("fn f({}) {{ }}", many(&|n| format!("p{n}, "))), "more than 10000 names in one scope"),
        (format!("let m = #{{ {} }};", many(&|n| format!("k{n}: 1,\n"))), "more than 10000 names in one scope"),
        (format!("let l = [{}];", "1,".repeat(600_000)), "more than 1000000 tokens"),
        (format!("// {}", "x".repeat(4 << 20)), "the text has more than 4 MiB"),
    ] {
        let shell = || Shell::new().file("big.rhai", &text);
        for words in [&["run", "big.rhai"][..], &["check", "big.rhai"], &["-c", "import \"big\" as b;"]] {
            let outcome = shell().command(words.iter().copied()).run().status(2).stderr_contains(error);
            assert!(outcome.errors().len() < 3_000, "{}", outcome.errors().len());
        }
        shell().stdin(":load big.rhai").run().status(2).stderr_contains(error);
        shell().command(["run", "-"]).stdin(&text).run().status(2).stderr_contains(error);
    }
}

#[trial]
fn an_error_quotes_a_long_line_in_part() {
    let (wide, wider) = ("x".repeat(50_000), "x".repeat(1 << 20));
    let outcome = Shell::new().script(&format!("let s = \"{wide}\"; frobnicate(s); // {wider}")).run().status(2);
    assert!(outcome.errors().len() < 3_000, "{}", outcome.errors().len());
    outcome
        .stderr_contains("main.rhai:1:50013 ]")
        .stderr_contains("xx\"; frobnicate(s); // xx")
        .stderr_contains("here");
    // The marked word is as long as the line, and the message quotes it.
    for script in [format!("let l = []; l.{wider}"), format!("{wider}(1)"), wider, format!("let m = #{{}}; m.{wide}")] {
        let outcome = Shell::new().script(&script).run().status(2).stderr_contains("main.rhai:1:");
        assert!(outcome.errors().len() < 6_000, "{}", outcome.errors().len());
    }
}

/// A pipe of the directory: opening it waits for a writer that never comes.
#[trial]
fn only_regular_files_are_imported_and_loaded() {
    let with_pipe = "mkfifo pipe.rhai && exec \"$0\" \"$@\"";
    let shell = || Shell::new().by(["sh", "-c", with_pipe]);
    shell().command(["-c", "import \"pipe\" as p;"]).run().status(2).stderr_contains("it is not a regular file");
    shell().stdin(":load pipe.rhai").run().status(2).stderr_contains("`pipe.rhai`: it is not a regular file");
    Shell::new().stdin(":load .").run().status(2).stderr_contains("Is a directory");
}

#[trial]
fn a_script_from_a_pipe() {
    let written = "mkfifo pipe.rhai; echo 'print(6 * 7);' > pipe.rhai & exec \"$0\" \"$@\"";
    Shell::new().by(["sh", "-c", written]).command(["run", "pipe.rhai"]).run().success().stdout("42\n");
    Shell::new().command(["run", "/dev/stdin"]).stdin("print(6 * 7);").run().success().stdout("42\n");
}

/// The byte that wakes a waiting thread cannot be sent.
#[trial(strace)]
fn a_run_ends_although_nothing_can_be_sent() {
    let refused = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS"];
    Shell::new().command(["-c", "40 + 2"]).by(refused).run().success().stdout("42\n");
}
