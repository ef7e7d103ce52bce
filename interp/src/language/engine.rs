//! The language engine: limits, bindings, syntax. Scripts, tests and the REPL use the same one.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, INT, OptimizationLevel, Position};
use stdlib::bindings;
use stdlib::catalog::Catalog;
use stdlib::exec::memory;
use stdlib::lab::Lab;

use super::growth::{self, Exceeded};
use super::{compile, output, syntax};
use crate::console::Console;

/// The value that `exit(N)` terminates the evaluation with.
#[derive(Clone, Copy)]
pub(super) struct ExitToken(pub u8);

/// An engine that works on `lab` and prints to `console`, and the catalog of its functions and types.
#[must_use]
pub fn build(lab: &Arc<Lab>, console: &Console) -> (Engine, Catalog) {
    let mut engine = Engine::new();
    limit(&mut engine);
    compile::limit(&mut engine, Some(lab.exec().clone()));
    let mut catalog = bindings::register(&mut engine, lab);
    syntax::register(&mut engine, &mut catalog);
    output::attach(&mut engine, lab.exec(), console);
    let exec = lab.exec().clone();
    growth::register(&mut engine);
    engine.on_progress(move |_| {
        if exec.is_interrupted() {
            Some("interrupted".into())
        } else {
            memory::is_exceeded().then(|| Dynamic::from(Exceeded))
        }
    });
    engine.register_fn("exit", || leave(0));
    engine.register_fn("exit", leave);
    (engine, catalog)
}

/// An engine that only compiles and needs no lab.
#[must_use]
pub fn for_syntax() -> Engine {
    let mut engine = Engine::new();
    limit(&mut engine);
    compile::limit(&mut engine, None);
    syntax::register(&mut engine, &mut Catalog::default());
    engine
}

/// Sets all limits explicitly: Rhai's defaults differ between debug and release builds.
///
/// There is no limit of sizes: with one Rhai walks the whole array after each call that changes it. The memory budget
/// limits them.
fn limit(engine: &mut Engine) {
    engine
        .set_max_call_levels(128)
        .set_max_expr_depths(256, 128)
        .set_max_variables(10_000)
        .set_max_functions(10_000)
        .set_max_modules(1_000)
        // `Full` calls functions at compile time: typing a line would create a namespace.
        .set_optimization_level(OptimizationLevel::Simple)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval");
}

fn leave(code: INT) -> Result<(), Box<EvalAltResult>> {
    match u8::try_from(code) {
        Ok(code) => Err(EvalAltResult::ErrorTerminated(Dynamic::from(ExitToken(code)), Position::NONE).into()),
        Err(_) => Err(format!("{code} is not a valid exit status: 0 to 255").into()),
    }
}
