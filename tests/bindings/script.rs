//! `attempt`, `expect_error`, `wait_until`, `check`, `args`, `sleep`, `exit`.

use crate::common::{Shell, passes};

#[trial]
fn attempt_gives_the_value_or_the_error() {
    passes(
        r#"
        let r = attempt(|| 40 + 2);
        check r.ok && r.value == 42 && r.error == ();
        let r = attempt(|| netns("a/b"));
        check !r.ok && r.value == () && r.error.kind == "usage";
        let r = attempt(|| { throw "mine"; });
        check !r.ok && r.error == "mine";
        let r = attempt(|| [1][7]);
        check !r.ok && r.error.kind == "script" && r.error.message != "";
        "#,
    );
}

#[trial]
fn an_error_knows_where_it_happened() {
    passes(
        r#"
        fn deep() {
            link("nothing")
        }
        let e = expect_error(|| deep());
        check e.line == 4 && e.position == 13 && e.source == "main.rhai";
        check e.kind == "not_found" && e.errno == 19 && e.hint != () && e.message != "";
        try { deep(); } catch (e) { check e.line == 4; }
        "#,
    );
}

#[trial]
fn expect_error_fails_when_nothing_fails() {
    passes(
        r#"
        let e = expect_error(|| expect_error(|| 42));
        check e.kind == "usage" && e.message.contains("42");
        "#,
    );
}

#[trial]
fn wait_until_waits_and_gives_up() {
    passes(
        r#"
        let calls = 0;
        wait_until(|| { calls += 1; calls > 3 });
        let e = expect_error(|| wait_until(|| false, #{timeout: "30ms"}));
        check e.kind == "timeout" && e.message.contains("30ms");
        let e = expect_error(|| wait_until(|| 7));
        check e.kind == "usage" && e.message.contains("7");
        let e = expect_error(|| wait_until(|| link("nothing")));
        check e.message.contains("nothing");
        check expect_error(|| wait_until(true)).kind == "usage";
        "#,
    );
}

#[trial]
fn check_fails_with_both_sides() {
    passes(
        r#"
        let says = |f| expect_error(f).message;
        check says.call(|| { check 1 + 1 == 3; }) == "check failed: 2 == 3";
        check says.call(|| { check "a" != "a"; }) == "check failed: \"a\" != \"a\"";
        check says.call(|| { check 5 < 4; }) == "check failed: 5 < 4";
        check says.call(|| { check 5 <= 4; }) == "check failed: 5 <= 4";
        check says.call(|| { check 4 > 5; }) == "check failed: 4 > 5";
        check says.call(|| { check 4 >= 5; }) == "check failed: 4 >= 5";
        check says.call(|| { check false; }) == "check failed: it is false";
        check says.call(|| { check !true; }) == "check failed: it is true, `!` requires false";
        check says.call(|| { check true && 1 == 2; }) == "check failed: 1 == 2";
        check says.call(|| { check 1 == 2 && true; }) == "check failed: 1 == 2";
        check says.call(|| { check false || 1 == 2; }) == "check failed: it is false";
        check says.call(|| { check [1, 2] == [1]; }) == "check failed: [1, 2] == [1]";
        check says.call(|| { check 1 in [2]; }).starts_with("check failed");
        let e = expect_error(|| { check 1 == 2; });
        check e.kind == "check" && e.left == 1 && e.right == 2 && e.line == 17;
        let r = #{ok: false, why: "x"};
        let e = expect_error(|| { check r.ok; });
        check e.message == "check failed: `ok` is false" && e.hint.contains("why");
        let e = expect_error(|| { check 5; });
        check e.kind == "usage" && e.message == "`check` takes true or false, not the number 5";
        // Each side is evaluated once.
        let calls = 0;
        let tick = || { calls += 1; calls };
        try { check tick.call() == 9; } catch { }
        check calls == 1;
        "#,
    );
}

#[trial]
fn args_are_the_words_after_the_script() {
    Shell::new()
        .script("print(args());")
        .args(["one", "two words", "-x", "--host", "--help"])
        .run()
        .success()
        .stdout("[\"one\", \"two words\", \"-x\", \"--host\", \"--help\"]\n");
    Shell::new().script("print(args().len());").run().success().stdout("0\n");
}

#[trial]
fn sleep_takes_durations() {
    passes(
        r#"
        let began = timestamp();
        sleep("30ms");
        sleep(0.01);
        sleep(0);
        check began.elapsed >= 0.04;
        for bad in [-1, -0.5, 1.0/0.0] { check expect_error(|| sleep(bad)).kind == "usage"; }
        check expect_error(|| sleep("soon")).kind == "usage";
        "#,
    );
}
