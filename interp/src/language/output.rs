//! How values are shown, and what scripts print: one writer, lines as they come.

use std::io::{self, Write};
use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString};
use stdlib::exec::Executor;

/// Sends `print` to standard output and `debug` to standard error. When nobody reads any more, the script ends.
pub(crate) fn attach(engine: &mut Engine, exec: &Arc<Executor>) {
    let owner = exec.clone();
    engine.on_print(move |text| {
        let mut out = io::stdout().lock();
        if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
            owner.interrupt();
        }
    });
    engine.on_debug(move |text, source, at| {
        let source = source.map_or(String::new(), |source| format!("{source}:"));
        let _ = writeln!(io::stderr(), "{source}{at:?}: {text}");
    });
}

/// The value as it prints itself; what stands in an array or a map takes one line.
pub(crate) fn shown_whole(engine: &Engine, value: &Dynamic) -> String {
    if value.is_array() || value.is_map() { shown_brief(engine, value) } else { shown(engine, "to_string", value) }
}

/// The value in one line.
pub(crate) fn shown_brief(engine: &Engine, value: &Dynamic) -> String {
    shown(engine, "to_debug", value)
}

fn shown(engine: &Engine, function: &str, value: &Dynamic) -> String {
    let text = engine.eval_fn_call::<ImmutableString>(function, None, (value.clone(),));
    text.map_or_else(|_| value.to_string(), |text| text.to_string())
}
