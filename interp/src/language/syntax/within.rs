//! `within NS { … }`: evaluates a block in a namespace.

use rhai::{Dynamic, EvalContext, Expression, ImmutableString};
use stdlib::Error;
use stdlib::bindings::{RhaiResultOf, ScriptError};
use stdlib::lab::{NetNs, Place, Sandbox};

use super::raise;

pub(super) fn within(cx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>]) -> RhaiResultOf<Dynamic> {
    let value = cx.eval_expression_tree(&inputs[0])?.flatten();
    let here = cx.tag_mut().read_lock::<Place>().map(|place| place.clone());
    let target = enter(cx, here.as_ref(), &value)
        .map_err(|error| raise(cx, ScriptError::of(&error, "within"), inputs[0].position()))?;
    let before = std::mem::replace(cx.tag_mut(), Dynamic::from(target));
    let result = cx.eval_expression_tree(&inputs[1]);
    // `break`, `return` and errors leave this way too: restore the place before passing them on.
    *cx.tag_mut() = before;
    result
}

fn enter(cx: &EvalContext<'_, '_, '_, '_, '_, '_>, here: Option<&Place>, value: &Dynamic) -> Result<Place, Error> {
    if let Some(ns) = value.read_lock::<NetNs>() {
        ns.net()?;
        return Ok(here.map_or_else(|| Place::of(&ns), |here| here.entering(&ns)));
    }
    if let (Some(sandbox), Some(here)) = (value.read_lock::<Sandbox>(), here) {
        return here.entering_sandbox(&sandbox);
    }
    let ty = match cx.engine().map_type_name(value.type_name()) {
        "string" => "a string",
        "()" => "nothing (`()`)",
        other => other,
    };
    let hint = match value.read_lock::<ImmutableString>() {
        Some(name) => format!("a name is not a namespace yet: `within open_netns(\"{}\") {{ … }}`", *name),
        None => "`within ns { … }`, with the result of `netns`, `hold`, `nsenter` or `unshare`".into(),
    };
    Err(Error::usage(format!("`within` takes a namespace, not {ty}")).hint(hint))
}
