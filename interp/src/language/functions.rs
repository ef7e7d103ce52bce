//! The functions that scripts and inputs define. The functions of one text form a module named after that text.
//!
//! Rhai derives the source of a running function from the module that has it. If the functions of all inputs were merged
//! into one tree, each would seem to come from the calling input, and errors would quote the wrong text.

use rhai::{AST, Dynamic, FnPtr, Module, ScriptFuncDef, Shared};

use crate::text::sources::{is_closure, offset};

/// One function of a script or of an input.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The number of its parameters.
    pub arity: usize,
    /// Name and parameters: `twice(x)`.
    pub signature: String,
    /// Its text, comments included.
    pub text: String,
}

/// The named functions of a compiled text.
pub(crate) fn named(ast: &AST, text: &str) -> Vec<Function> {
    let named = ast.iter_fn_def().filter(|function| !is_closure(&function.name));
    named
        .map(|function| Function {
            name: function.name.to_string(),
            arity: function.params.len(),
            signature: function.to_string(),
            text: text_of(function, text).unwrap_or_else(|| format!("fn {function}")),
        })
        .collect()
}

/// The module of all functions of a compiled text, its closures included; none if there are none.
pub(crate) fn module(ast: &AST, name: &str) -> Option<Shared<Module>> {
    let mut module: Module = (**ast.shared_lib()).clone();
    if module.is_empty() {
        return None;
    }
    module.set_id(name);
    for function in ast.iter_fn_def().filter(|function| !is_closure(&function.name)) {
        // The bare name is a pointer by name. Rhai's own pointer would bypass the module.
        if let Ok(pointer) = FnPtr::new(&function.name) {
            module.set_var(function.name.clone(), pointer);
        }
    }
    Some(module.into())
}

/// The module in place of a compiled text's own functions. Rhai passes constants to functions only if a text has some.
pub(crate) fn marker() -> Module {
    let mut module = Module::new();
    module.set_var("functions", Dynamic::UNIT);
    module
}

/// The text from `fn` to the closing brace, with its doc comments.
fn text_of(function: &ScriptFuncDef, text: &str) -> Option<String> {
    let (start, end) = (function.body.start_position(), function.body.end_position());
    let (start, end) = (offset(text, start)?, offset(text, end)? + 1);
    let start = text[..start].rfind("fn ")?;
    let mut lines: Vec<&str> = function.comments.iter().map(AsRef::as_ref).collect();
    lines.push(text.get(start..end)?);
    Some(lines.join("\n"))
}
