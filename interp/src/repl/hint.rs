//! The signature of the call at the cursor, with the current argument marked.

use std::fmt::Write;

use stdlib::catalog::Catalog;

use super::complete::{World, current_parameter};
use super::scan::{Place, context};

/// The signature of the innermost open call; the argument that is being typed stands between `‹` and `›`.
#[must_use]
pub fn signature(catalog: &Catalog, world: &dyn World, text: &str, cursor: usize) -> Option<String> {
    if cursor != text.len() {
        return None; // a hint is drawn behind the end
    }
    let context = context(text, cursor);
    let call = context.call?;
    let function =
        catalog.functions.iter().find(|function| function.name == call.name && function.family != "syntax")?;
    let in_text = matches!(context.place, Place::Text(_));
    let mut current = current_parameter(function, &call, world).map(|(at, _)| at);
    let shown: Vec<_> = function.parameters.iter().filter(|parameter| !parameter.of.is_empty()).collect();
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
        let _ = write!(hint, "{comma}{open}{left}{}: {}{right}{close}", parameter.name, parameter.of);
    }
    hint.push(')');
    if call.in_map {
        let keys: Vec<_> =
            function.parameters.iter().flat_map(|parameter| parameter.keys).map(|key| key.name).collect();
        let _ = write!(hint, "  {}", keys.join(", "));
    }
    Some(hint)
}
