//! The syntax that nslab adds to the language: `within NS { … }` and `check EXPR`.

use rhai::{Engine, EvalAltResult, EvalContext, Position};
use stdlib::bindings::ScriptError;
use stdlib::catalog::{Catalog, Changes, Function};

use check::check;
use within::within;

mod check;
mod within;

/// The family that the catalog lists both under.
const FAMILY: &str = "syntax";

/// Registers both, and describes them in the catalog.
pub(crate) fn register(engine: &mut Engine, catalog: &mut Catalog) {
    engine.register_custom_syntax(["within", "$expr$", "$block$"], false, within).expect("the symbols are well-formed");
    engine.register_custom_syntax(["check", "$expr$"], false, check).expect("the symbols are well-formed");
    let mut describe = |name: &str, shape: &str, doc: &str| {
        catalog.functions.push(Function {
            name: name.into(),
            family: FAMILY.into(),
            doc: doc.into(),
            parameters: Vec::new(),
            returns: shape.into(),
            needs: &[],
            changes: Changes::Nothing,
        });
    };
    describe(
        "within",
        "within NS { … }",
        r#"Runs the block inside a namespace, or in what `nsenter`, `unshare` or `hold` returned.

Every function without a namespace argument works there. `break`, `continue`, `return` and errors leave the block, and
with it the namespace. The value of the block is the value of the expression.

```rhai
let ns1 = netns("netns1");
within ns1 {
    up("lo");
    check ping("127.0.0.1").ok;
}
check !ping("127.0.0.1").ok;
```
"#,
    );
    describe(
        "check",
        "check EXPR",
        r#"Fails the script unless the expression is true, and shows both sides of a comparison.

An uncaught failure ends the script with exit status 1.

```rhai
check 6 * 7 == 42;
let e = expect_error(|| { check 1 + 1 == 3; });
check e.kind == "check" && e.message == "check failed: 2 == 3";
```
"#,
    );
}

/// The error for Rhai, with the source and the position of the expression.
#[expect(clippy::unnecessary_box_returns, reason = "Rhai requires boxed errors")]
fn raise(cx: &EvalContext<'_, '_, '_, '_, '_, '_>, error: ScriptError, at: Position) -> Box<EvalAltResult> {
    error.at(cx.source(), at).into_rhai()
}
