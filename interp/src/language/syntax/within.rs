//! `within NS { … }`: evaluates a block in a namespace.

use rhai::{Dynamic, EvalContext, Expression};
use stdlib::bindings::RhaiResultOf;
use stdlib::lab::{NetNs, Place, Sandbox};

use super::error;

pub(super) fn within(cx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>]) -> RhaiResultOf<Dynamic> {
    let value = cx.eval_expression_tree(&inputs[0])?.flatten();
    let here = cx.tag_mut().read_lock::<Place>().map(|place| place.clone());
    let target = enter(cx, here.as_ref(), &value)
        .map_err(|(message, hint)| error(cx, "usage", message, Some(hint), inputs[0].position()))?;
    let before = std::mem::replace(cx.tag_mut(), Dynamic::from(target));
    let result = cx.eval_expression_tree(&inputs[1]);
    // `break`, `return` and errors leave this way too: restore the place before passing them on.
    *cx.tag_mut() = before;
    result
}

fn enter(
    cx: &EvalContext<'_, '_, '_, '_, '_, '_>,
    here: Option<&Place>,
    value: &Dynamic,
) -> Result<Place, (String, String)> {
    if let Some(ns) = value.read_lock::<NetNs>() {
        if ns.is_closed() {
            return Err((format!("{} was deleted", ns.label()), "create it again with `netns(name)`".into()));
        }
        return Ok(here.map_or_else(|| Place::of(&ns), |here| here.entering(&ns)));
    }
    if let (Some(sandbox), Some(here)) = (value.read_lock::<Sandbox>(), here) {
        return here.entering_sandbox(&sandbox).map_err(|e| (e.to_string(), e.hint.unwrap_or_default()));
    }
    let is = match cx.engine().map_type_name(value.type_name()) {
        "string" => "a string",
        "()" => "nothing (`()`)",
        other => other,
    };
    let hint = match value.read_lock::<rhai::ImmutableString>() {
        Some(name) => format!("a name is not a namespace yet: `within open_netns(\"{}\") {{ … }}`", *name),
        None => "`within ns { … }`, with the result of `netns`, `hold`, `nsenter` or `unshare`".into(),
    };
    Err((format!("`within` takes a namespace, not {is}"), hint))
}
