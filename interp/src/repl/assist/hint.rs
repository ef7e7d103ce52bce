//! The signature of the call at the cursor, with the current argument marked.

use std::fmt::Write;

use stdlib::catalog::Catalog;

use super::complete::{World, current_parameter};
use crate::text::scan::{OpenCall, Place, context};

/// The signature of the innermost open call. The argument at the cursor stands between `‹` and `›`.
#[must_use]
pub fn signature(catalog: &Catalog, world: &dyn World, text: &str, cursor: usize) -> Option<String> {
    if cursor != text.len() {
        return None; // a hint is drawn after the end of the line
    }
    let context = context(text, cursor);
    let call = context.call?;
    let of_nslab = catalog.functions.iter().find(|function| function.name == call.name && function.family != "syntax");
    let Some(function) = of_nslab else { return own(world, &call) };
    let in_text = matches!(context.place, Place::Text(_));
    let mut current = current_parameter(catalog, function, &call, world).map(|(at, _)| at);
    let shown: Vec<_> = function.parameters.iter().filter(|parameter| !parameter.ty.is_empty()).collect();
    if call.before.is_empty() && call.receiver.is_none() && !in_text {
        current = Some(0);
    }
    if call.in_map {
        current = shown.iter().position(|parameter| !parameter.keys.is_empty());
    }
    let mut hint = format!("  {}(", function.name);
    for (n, parameter) in shown.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        let (open, close) = if current == Some(n) { ("‹", "›") } else { ("", "") };
        let (left, right) = if parameter.optional { ("[", "]") } else { ("", "") };
        let _ = write!(hint, "{comma}{open}{left}{}: {}{right}{close}", parameter.name, parameter.ty);
    }
    hint.push(')');
    if call.in_map {
        let keys: Vec<_> =
            function.parameters.iter().flat_map(|parameter| parameter.keys).map(|key| key.name).collect();
        let _ = write!(hint, "  {}", keys.join(", "));
    }
    Some(hint)
}

/// The signature of a function of the session.
fn own(world: &dyn World, call: &OpenCall) -> Option<String> {
    let functions = world.functions().into_iter().filter(|(name, _)| *name == call.name);
    let given = call.before.len();
    let fits = |signature: &String| signature.matches(',').count() >= given;
    let signature = functions.map(|(_, signature)| signature).find(fits)?;
    let (name, parameters) = signature.strip_suffix(')')?.split_once('(')?;
    let marked = parameters.split(", ").enumerate();
    let marked = marked.map(|(n, it)| if n == given && !it.is_empty() { format!("‹{it}›") } else { it.to_owned() });
    Some(format!("  {name}({})", marked.collect::<Vec<_>>().join(", ")))
}
