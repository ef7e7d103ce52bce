//! What scripts print: one writer, lines as they come.

use std::io::{self, Write};
use std::sync::Arc;

use rhai::Engine;
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
