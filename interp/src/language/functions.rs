//! The functions that scripts and inputs define: those of one text are a module of their own, whose name is the text's.
//!
//! Rhai knows the source of a running function by the module that it was found in. Functions that were merged into one
//! tree would all seem to come from the input that calls them, and errors would quote that one's text.

use rhai::{AST, Dynamic, FnPtr, Module, ScriptFuncDef, Shared};

use crate::text::sources::{is_closure, offset};

/// One function of a script or of an input.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The number of its parameters.
    pub arity: usize,
    /// How it is called: `twice(x)`.
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
        // The bare name is a pointer. Rhai's own pointer would be called without a look at the module.
        if let Ok(pointer) = FnPtr::new(&function.name) {
            module.set_var(function.name.clone(), pointer);
        }
    }
    Some(module.into())
}

/// What takes the place of a compiled text's own functions. Rhai keeps constants for functions only if there are any.
pub(crate) fn marker() -> Module {
    let mut module = Module::new();
    module.set_var("functions", Dynamic::UNIT);
    module
}

/// The lines from `fn` to the closing brace, with the comments that document it.
fn text_of(function: &ScriptFuncDef, text: &str) -> Option<String> {
    let (start, end) = (function.body.start_position(), function.body.end_position());
    let (start, end) = (offset(text, start)?, offset(text, end)? + 1);
    let start = text[..start].rfind("fn ")?;
    let mut lines: Vec<&str> = function.comments.iter().map(AsRef::as_ref).collect();
    lines.push(text.get(start..end)?);
    Some(lines.join("\n"))
}
