//! What scripts need besides the network: waiting, and errors as values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, INT, Map, NativeCallContext};

use super::args::{Arg, Call, Opts, Out, parse_duration};
use super::netns::Patience;
use super::{Binding, Family, RhaiResultOf, errors, to_rhai};
use crate::catalog::{Names, Parameter};
use crate::error::{Error, Kind, Result};
use crate::lab::Lab;

const CLOSURE: Parameter =
    Parameter { name: "f", of: "closure", optional: false, keys: &[], most: 1, names: Names::Nothing };

/// These call closures of the script, so they are written out instead of by `bindings!`.
pub(super) const FAMILY: Family = Family {
    name: "script",
    types: &[],
    bindings: &[
        Binding {
            name: "attempt",
            doc: r"Calls `f` and returns what came of it as a map: `ok`, `value`, `error`.

For what may fail in an expression; `try` is a statement in Rhai and has no value.

```rhai
check !attempt(|| netns(`a/b`)).ok;
check attempt(|| 40 + 2).value == 42;
```
",
            parameters: &[CLOSURE],
            returns: "map",
            call: |call| {
                let function = FnPtr::take(call, "f")?;
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
                        map.insert("error".into(), caught(&error)?);
                    }
                }
                Ok(map.out())
            },
        },
        Binding {
            name: "expect_error",
            doc: r#"Calls `f`, which must fail, and returns the error: a map with `kind`, `errno`, `message`, `hint`, `line`.

```rhai
netns("twice");
let e = expect_error(|| netns("twice"));
check e.kind == "exists";
check e.errno == 17;
```
"#,
            parameters: &[CLOSURE],
            returns: "map",
            call: |call| {
                let function = FnPtr::take(call, "f")?;
                call.finish()?;
                match call.run(&function) {
                    Ok(value) => Err(Error::usage(format!("expected an error, got {}", call.describe(&value)))),
                    Err(error) => caught(&error),
                }
            },
        },
        Binding {
            name: "wait_until",
            doc: r#"Calls `f` again and again until it returns true, or fails after `timeout` (default "2s").

```rhai
let p = start(["sh", "-c", "echo ready; sleep 60"]);
wait_until(|| p.stdout.contains("ready"), #{timeout: "5s"});
```
"#,
            parameters: &[
                CLOSURE,
                Parameter {
                    name: "opts",
                    of: "map",
                    optional: true,
                    keys: <Opts<Patience> as Arg>::KEYS,
                    most: 1,
                    names: Names::Nothing,
                },
            ],
            returns: "()",
            call: |call| {
                let function = FnPtr::take(call, "f")?;
                let limit = Opts::<Patience>::take(call, "opts")?.0.0;
                call.finish()?;
                wait_until(call, &function, limit)
            },
        },
    ],
};

fn wait_until(call: &Call<'_>, function: &FnPtr, limit: Duration) -> Result<Dynamic> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        let value = call.run(function).map_err(|error| in_closure(&error))?;
        let Ok(done) = value.as_bool() else {
            return Err(Error::usage(format!("the closure returned {}, not true or false", call.describe(&value))));
        };
        if done {
            return Ok(Dynamic::UNIT);
        }
        if Instant::now() >= end {
            return Err(Error::plain(Kind::Timeout, format!("the condition is not true after {limit:?}")));
        }
        call.lab().exec().sleep(pause)?;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// An error of the script as the value that `catch` would get. Ctrl-C and `exit` are not caught.
fn caught(error: &EvalAltResult) -> Result<Dynamic> {
    let inner = error.unwrap_inner();
    match inner {
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::Exit(..) => Err(interrupted()),
        EvalAltResult::ErrorRuntime(value, _) => Ok(value.clone()),
        other => {
            let mut map = errors::to_map(&Error::plain(Kind::Usage, other.to_string()).kind(Kind::Usage));
            map.insert("kind".into(), "script".into());
            Ok(map.into())
        }
    }
}

fn interrupted() -> Error {
    Error::plain(Kind::Interrupted, "interrupted")
}

fn in_closure(error: &EvalAltResult) -> Error {
    match error.unwrap_inner() {
        EvalAltResult::ErrorTerminated(..) => interrupted(),
        EvalAltResult::ErrorRuntime(value, _) => match errors::from_map(value) {
            Some((message, hint)) => {
                let error = Error::plain(Kind::Usage, message);
                hint.map_or(error.clone(), |hint| error.hint(hint))
            }
            None => Error::plain(Kind::Usage, value.to_string()),
        },
        other => Error::plain(Kind::Usage, other.to_string()),
    }
}

/// Replaces Rhai's own `sleep`, which nothing interrupts. Durations as text, or numbers of seconds as before.
pub(super) fn override_sleep(engine: &mut Engine, lab: &Arc<Lab>) {
    fn nap(lab: &Lab, cx: &NativeCallContext<'_>, duration: Result<Duration>) -> RhaiResultOf<()> {
        duration.and_then(|duration| lab.exec().sleep(duration)).map_err(|error| to_rhai(&error, cx))
    }
    let seconds = |seconds: f64| {
        Duration::try_from_secs_f64(seconds).map_err(|_| Error::usage(format!("cannot sleep for {seconds} seconds")))
    };
    let owner = lab.clone();
    engine.register_fn("sleep", move |cx: NativeCallContext<'_>, text: &str| nap(&owner, &cx, parse_duration(text)));
    let owner = lab.clone();
    #[expect(clippy::cast_precision_loss, reason = "a day has 86,400 seconds")]
    engine.register_fn("sleep", move |cx: NativeCallContext<'_>, n: INT| nap(&owner, &cx, seconds(n as f64)));
    let owner = lab.clone();
    engine.register_fn("sleep", move |cx: NativeCallContext<'_>, n: f64| nap(&owner, &cx, seconds(n)));
}
