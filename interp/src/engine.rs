//! The language engine: limits, bindings, syntax. The same for scripts, tests and the REPL.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, INT, Map, OptimizationLevel, Position, Target};
use stdlib::bindings;
use stdlib::catalog::Catalog;
use stdlib::lab::Lab;

use crate::suggest::nearest;
use crate::{output, syntax};

/// The stack of the thread that evaluates: 128 calls of the deepest expressions need about 40 MiB in a debug build.
pub const STACK: usize = 256 << 20;

/// What `exit(N)` throws.
#[derive(Clone, Copy)]
pub(crate) struct ExitToken(pub u8);

/// Makes an engine that works on `lab`, and the catalog of what it can do.
#[must_use]
pub fn build(lab: &Arc<Lab>) -> (Engine, Catalog) {
    let mut engine = Engine::new();
    limit(&mut engine);
    let mut catalog = bindings::register(&mut engine, lab);
    syntax::register(&mut engine, &mut catalog);
    output::attach(&mut engine, lab.exec());
    let exec = lab.exec().clone();
    engine.on_progress(move |_| exec.is_interrupted().then(|| "interrupted".into()));
    engine.on_map_missing_property(|map, name, _| missing(map, name).map(Target::from));
    engine.register_fn("exit", || leave(0));
    engine.register_fn("exit", leave);
    (engine, catalog)
}

/// An engine that can only compile: for `nslab check`, which makes no lab.
#[must_use]
pub fn for_syntax() -> Engine {
    let mut engine = Engine::new();
    limit(&mut engine);
    syntax::register(&mut engine, &mut Catalog::default());
    engine
}

/// Limits, set explicitly: Rhai's own differ between debug and release builds, and sizes have none.
fn limit(engine: &mut Engine) {
    engine
        .set_max_call_levels(128)
        .set_max_expr_depths(256, 128)
        .set_max_string_size(16 << 20)
        .set_max_array_size(100_000)
        .set_max_map_size(100_000)
        .set_max_variables(10_000)
        .set_max_functions(10_000)
        .set_max_modules(1_000)
        // `Full` would call functions while it compiles: a namespace would be made while a line is typed.
        .set_optimization_level(OptimizationLevel::Simple)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval");
}

/// A key that a map does not have. Errors of the language itself, when caught, get what ours have: `kind` and so on.
fn missing(map: &Map, name: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    if map.contains_key("error") && map.contains_key("message") {
        match name {
            "kind" => return Ok("script".into()),
            "errno" => return Ok(Dynamic::from(0 as INT)),
            "hint" | "op" | "ns" => return Ok("".into()),
            _ => {}
        }
    }
    let keys: Vec<&str> = map.keys().map(rhai::Identifier::as_str).collect();
    let known = if keys.is_empty() { "it is empty".to_owned() } else { format!("its keys: {}", keys.join(", ")) };
    let hint = match nearest(name, keys.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {known}"),
        None => known,
    };
    let mut error = Map::new();
    error.insert("kind".into(), "not_found".into());
    error.insert("message".into(), format!("the map has no `{name}`").into());
    error.insert("errno".into(), Dynamic::from(0 as INT));
    error.insert("hint".into(), hint.into());
    Err(EvalAltResult::ErrorRuntime(error.into(), Position::NONE).into())
}

fn leave(code: INT) -> Result<(), Box<EvalAltResult>> {
    match u8::try_from(code) {
        Ok(code) => Err(EvalAltResult::ErrorTerminated(Dynamic::from(ExitToken(code)), Position::NONE).into()),
        Err(_) => Err(format!("{code} is no exit status: 0 to 255").into()),
    }
}
