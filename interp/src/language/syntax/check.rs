//! `check EXPR`: fails the script unless the expression is true, and reports the part that is not.

use rhai::{Dynamic, EvalContext, Expr, Expression, Map, Position};
use stdlib::bindings::{RhaiResultOf, ScriptError};
use stdlib::lab::process::Output;
use stdlib::lab::tmpfiles;

use super::raise;
use crate::language::output::{shown_brief, shown_whole};

pub(super) fn check(cx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>]) -> RhaiResultOf<Dynamic> {
    let expression: &Expr = &inputs[0];
    match verify(cx, expression)? {
        None => Ok(Dynamic::UNIT),
        Some(why) => {
            let mut error = ScriptError::new("check", "check", format!("check failed: {}", why.text));
            error.hints.extend(why.notes);
            if let Some((left, right)) = why.sides {
                error = error.with("left", left).with("right", right);
            }
            Err(raise(cx, error, expression.start_position()))
        }
    }
}

/// Why a check failed.
struct Why {
    text: String,
    notes: Vec<String>,
    sides: Option<(Dynamic, Dynamic)>,
}

/// Evaluates each part of the expression once; returns why it is not true.
fn verify(cx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, expression: &Expr) -> RhaiResultOf<Option<Why>> {
    match expression {
        Expr::And(parts, _) => {
            for part in parts.iter() {
                if let Some(why) = verify(cx, part)? {
                    return Ok(Some(why));
                }
            }
            Ok(None)
        }
        Expr::FnCall(call, at) if call.args.len() == 2 && is_comparison(&call.name) => {
            let left = cx.eval_expression_tree(&(&call.args[0]).into())?.flatten();
            let right = cx.eval_expression_tree(&(&call.args[1]).into())?.flatten();
            let compared = cx.engine().eval_binary_op::<bool>(call.name.as_str(), left.clone(), right.clone());
            let compared = compared.map_err(|mut error| {
                if error.position().is_none() {
                    error.set_position(*at);
                }
                error
            });
            if compared? {
                return Ok(None);
            }
            let text = format!("{} {} {}", show(cx, &left), call.name, show(cx, &right));
            Ok(Some(Why { text, notes: Vec::new(), sides: Some((left, right)) }))
        }
        // The parser turns `X in LIST` into `contains(LIST, X)`.
        Expr::FnCall(call, _) if call.args.len() == 2 && call.name == "contains" => {
            let mut list = cx.eval_expression_tree(&(&call.args[0]).into())?.flatten();
            let item = cx.eval_expression_tree(&(&call.args[1]).into())?.flatten();
            let found = cx.engine().eval_fn_call::<bool>("contains", Some(&mut list), (item.clone(),))?;
            if found {
                return Ok(None);
            }
            let text = format!("{} is not in {}", show(cx, &item), show(cx, &list));
            Ok(Some(Why { text, notes: Vec::new(), sides: Some((item, list)) }))
        }
        Expr::Dot(parts, flags, _) if flags.is_empty() && matches!(parts.rhs, Expr::Property(..)) => {
            // `check ping(…).ok`: the report says why `ok` is false.
            let Expr::Property(property, _) = &parts.rhs else { return plain(cx, expression) };
            let mut value = cx.eval_expression_tree(&(&parts.lhs).into())?.flatten();
            let shown = value.clone();
            let hint = value.read_lock::<Output>().and_then(|output| tmpfiles::hint(&output.stderr));
            let got = match value.read_lock::<Map>().map(|map| map.get(property.2.as_str()).cloned()) {
                Some(got) => got.unwrap_or(Dynamic::UNIT),
                None => cx.engine().eval_fn_call::<Dynamic>(format!("get${}", property.2), Some(&mut value), ())?,
            };
            let why = truth(cx, &got, expression.start_position())?;
            Ok(why.map(|_| Why {
                text: format!("`{}` is {}", property.2, show(cx, &got)),
                notes: [limited(shown_whole(cx.engine(), &shown))].into_iter().chain(hint).collect(),
                sides: None,
            }))
        }
        Expr::FnCall(call, _) if call.args.len() == 1 && call.name == "!" => {
            let value = cx.eval_expression_tree(&(&call.args[0]).into())?.flatten();
            let why = truth(cx, &value, call.args[0].start_position())?;
            Ok(why.is_none().then(|| Why {
                text: "it is true, `!` requires false".into(),
                notes: Vec::new(),
                sides: None,
            }))
        }
        other => plain(cx, other),
    }
}

fn plain(cx: &mut EvalContext<'_, '_, '_, '_, '_, '_>, expression: &Expr) -> RhaiResultOf<Option<Why>> {
    let value = cx.eval_expression_tree(&expression.into())?.flatten();
    truth(cx, &value, expression.start_position())
}

fn truth(cx: &EvalContext<'_, '_, '_, '_, '_, '_>, value: &Dynamic, at: Position) -> RhaiResultOf<Option<Why>> {
    match value.as_bool() {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Why { text: "it is false".into(), notes: Vec::new(), sides: None })),
        Err(_) => {
            let is = match value {
                value if value.is_int() || value.is_float() => format!("the number {value}"),
                value => cx.engine().map_type_name(value.type_name()).to_owned(),
            };
            let hint = "check takes something that is true or false: a comparison, a property such as `.ok`";
            let error = ScriptError::new("usage", "check", format!("`check` takes true or false, not {is}"));
            Err(raise(cx, error.hint(hint), at))
        }
    }
}

fn is_comparison(name: &str) -> bool {
    matches!(name, "==" | "!=" | "<" | "<=" | ">" | ">=")
}

/// The value in one line, shortened.
fn show(cx: &EvalContext<'_, '_, '_, '_, '_, '_>, value: &Dynamic) -> String {
    limited(shown_brief(cx.engine(), value))
}

fn limited(text: String) -> String {
    if text.chars().count() > 2_000 { text.chars().take(2_000).chain("…".chars()).collect() } else { text }
}
