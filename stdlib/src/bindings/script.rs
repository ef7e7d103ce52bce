//! What scripts need besides the network: waiting, errors as values, the memory budget.

use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, INT, Map, NativeCallContext};

use super::core::args::parameter;
use super::core::call::{Binding, Failure, RhaiResultOf};
use super::core::options::WaitOptions;
use super::core::prelude::*;
use super::core::register::Family;
use super::core::script_error::ScriptError;
use super::core::written::Size;
use super::ready::{WHILE_ALIVE, patience};
use crate::catalog::{Changes, Key, Parameter};
use crate::error::{Error, Result};
use crate::exec::memory;
use crate::lab::Lab;
use crate::lab::ready::Patience;
use crate::notation;

const CLOSURE: Parameter = parameter::<FnPtr>("f");

/// Most of them call closures of the script, so they are written out instead of by `bindings!`.
pub(super) const FAMILY: Family = Family {
    name: "script",
    types: &[],
    bindings: &[
        Binding {
            name: "attempt",
            doc: r"Calls `f` and returns the result as a map: `ok`, `value`, `error`.

For what may fail in an expression; `try` is a statement in Rhai and has no value.

No equivalent command: it runs code of the script.

```rhai
check !attempt(|| netns(`a/b`)).ok;
check attempt(|| 40 + 2).value == 42;
```
",
            parameters: &[CLOSURE],
            returns: "map",
            needs: &[],
            changes: Changes::Nothing,
            call: |call| {
                let function = call.argument::<FnPtr>("f")?;
                call.finish()?;
                let mut map = Map::new();
                match call.run(&function) {
                    Ok(value) => {
                        map.insert("ok".into(), true.into());
                        map.insert("value".into(), value);
                        map.insert("error".into(), Dynamic::UNIT);
                    }
                    Err(error) => {
                        map.insert("ok".into(), false.into());
                        map.insert("value".into(), Dynamic::UNIT);
                        map.insert("error".into(), caught(call, error)?);
                    }
                }
                Ok(map.out())
            },
        },
        Binding {
            name: "expect_error",
            doc: r#"Calls `f`, which must fail, and returns the error: a map with `kind`, `message`, `errno`, `op`,
`object`, `ns`, `hints`, `hint`, `source`, `line`, `position`.

No equivalent command: it runs code of the script.

```rhai
netns("twice");
let e = expect_error(|| netns("twice"));
check e.kind == "exists";
check e.errno == 17;
```
"#,
            parameters: &[CLOSURE],
            returns: "map",
            needs: &[],
            changes: Changes::Nothing,
            call: |call| {
                let function = call.argument::<FnPtr>("f")?;
                call.finish()?;
                match call.run(&function) {
                    Ok(value) => Err(Error::usage(format!("expected an error, got {}", call.describe(&value))).into()),
                    Err(error) => caught(call, error),
                }
            },
        },
        Binding {
            name: "wait_until",
            doc: r#"Calls `f` repeatedly until it returns true. It is an error if that takes longer than `timeout`.

With `while_alive` the end of that process is an error at once, which has its status and its last lines.

No equivalent command: it runs code of the script.

```rhai
let p = start(["sh", "-c", "echo ready; sleep 60"]);
wait_until(|| p.stdout.contains("ready"), #{timeout: "5s", while_alive: p});
```
"#,
            parameters: &[CLOSURE, parameter::<Opts<UntilOptions>>("opts")],
            returns: "()",
            needs: &[],
            changes: Changes::Nothing,
            call: |call| {
                let function = call.argument::<FnPtr>("f")?;
                let patience = call.argument::<Opts<UntilOptions>>("opts")?.0.0;
                call.finish()?;
                wait_until(call, &function, &patience)
            },
        },
        Binding {
            name: "memory",
            doc: r#"Sets how much memory the script may use, or just returns that: a number of bytes.

A script that needs more ends with an error, which no `catch` stops. A single step that needs more than four times as
much ends nslab with status 71. 512 MiB unless nslab was started with `--memory`. Programs do not count.

No equivalent command: it is about nslab itself.

```rhai
check memory() == 512 * 1024 * 1024;
memory("1g");
check memory() == 1024 * 1024 * 1024;
```
"#,
            parameters: &[parameter::<Option<Size>>("size")],
            returns: "int",
            needs: &[],
            changes: Changes::Nothing,
            call: |call| {
                let size = call.argument::<Option<Size>>("size")?;
                call.finish()?;
                if let Some(Size(bytes)) = size {
                    memory::change_budget(bytes)?;
                }
                Ok(INT::try_from(memory::budget()).unwrap_or(INT::MAX).out())
            },
        },
    ],
};

/// How long to wait for a condition, and which program has to live meanwhile.
struct UntilOptions(Patience);

impl FromOptions for UntilOptions {
    const KEYS: &'static [Key] = &[WaitOptions::KEYS[0], WHILE_ALIVE];
    fn from(options: &mut Options) -> Result<Self> {
        patience(options, WaitOptions::LIMIT).map(Self)
    }
}

fn wait_until(call: &Call<'_>, function: &FnPtr, patience: &Patience) -> Result<Dynamic, Failure> {
    let ask = || match call.run(function) {
        Ok(value) => match value.as_bool() {
            Ok(done) => Ok(done.then_some(Ok(()))),
            Err(_) => Err(Error::usage(format!("the closure returned {}, not true or false", call.describe(&value)))),
        },
        Err(error) => Ok(Some(Err(error))),
    };
    match patience.until(call.lab(), "the condition", ask, || "it is not true".into())? {
        Ok(()) => Ok(Dynamic::UNIT),
        Err(error) => {
            let position = error.position();
            let value = caught(call, error)?;
            Err(Failure::Script(EvalAltResult::ErrorRuntime(value, position).into()))
        }
    }
}

/// The value that a `catch` would receive. Ctrl-C and `exit` cannot be caught.
fn caught(call: &Call<'_>, error: Box<EvalAltResult>) -> Result<Dynamic, Failure> {
    match error.unwrap_inner() {
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::Exit(..) => Err(Failure::Script(error)),
        _ => Ok(ScriptError::caught(&error, call.source())),
    }
}

/// Replaces Rhai's own `sleep`, which cannot be interrupted. Takes a duration as text, or a number of seconds.
pub(super) fn override_sleep(engine: &mut Engine, lab: &Arc<Lab>) {
    fn nap(lab: &Lab, cx: &NativeCallContext<'_>, duration: Result<Duration>) -> RhaiResultOf<()> {
        duration
            .and_then(|duration| lab.exec().sleep(duration))
            .map_err(|error| ScriptError::of(&error, "sleep").at(cx.call_source(), cx.call_position()).into_rhai())
    }
    let seconds = |seconds: f64| {
        Duration::try_from_secs_f64(seconds).map_err(|_| Error::usage(format!("cannot sleep for {seconds} seconds")))
    };
    let owner = lab.clone();
    engine
        .register_fn("sleep", move |cx: NativeCallContext<'_>, text: &str| nap(&owner, &cx, notation::duration(text)));
    let owner = lab.clone();
    #[expect(clippy::cast_precision_loss, reason = "a day has 86,400 seconds")]
    engine.register_fn("sleep", move |cx: NativeCallContext<'_>, n: INT| nap(&owner, &cx, seconds(n as f64)));
    let owner = lab.clone();
    engine.register_fn("sleep", move |cx: NativeCallContext<'_>, n: f64| nap(&owner, &cx, seconds(n)));
}
