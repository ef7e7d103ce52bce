//! What scripts print, and how values are shown.

use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString};
use stdlib::exec::Executor;

use crate::console::Console;

/// Sends `print` to standard output, unchanged, and `debug` to standard error, escaped.
///
/// A script whose output is lost ends at once, as by an interrupt; the console keeps the reason.
pub(super) fn attach(engine: &mut Engine, exec: &Arc<Executor>, console: &Console) {
    let (exec, out) = (exec.clone(), console.clone());
    engine.on_print(move |text| {
        if out.print(text).is_err() {
            exec.interrupt();
        }
    });
    let err = console.clone();
    engine.on_debug(move |text, source, at| {
        let source = source.map_or(String::new(), |source| format!("{source}:"));
        err.note(&format!("{source}{at:?}: {text}"));
    });
}

/// The value as `print` shows it. An array or a map takes one line.
pub(super) fn shown_whole(engine: &Engine, value: &Dynamic) -> String {
    if value.is_array() || value.is_map() { shown_brief(engine, value) } else { shown(engine, "to_string", value) }
}

/// The value in one line.
pub(super) fn shown_brief(engine: &Engine, value: &Dynamic) -> String {
    shown(engine, "to_debug", value)
}

fn shown(engine: &Engine, function: &str, value: &Dynamic) -> String {
    let text = engine.eval_fn_call::<ImmutableString>(function, None, (value.clone(),));
    text.map_or_else(|_| value.to_string(), |text| text.to_string())
}
