//! A session: lines that are evaluated one after another and remember each other.

use rhai::{AST, ASTNode, Dynamic, Expr, Scope, Stmt};

use crate::interpreter::{Interpreter, Stop};

/// What a session remembers besides the interpreter.
pub struct Session {
    /// The interpreter.
    pub interpreter: Interpreter,
    scope: Scope<'static>,
    functions: AST,
    lines: usize,
}

impl Session {
    /// An empty session.
    #[must_use]
    pub fn new(interpreter: Interpreter) -> Self {
        Self { interpreter, scope: Scope::new(), functions: AST::empty(), lines: 0 }
    }

    /// Evaluates one input; its value is also `it` afterwards.
    ///
    /// # Errors
    /// What ended it; the session goes on with what was there before the failing statement.
    pub fn evaluate(&mut self, text: &str) -> Result<Dynamic, Stop> {
        self.interpreter.lab.exec().resume();
        self.lines += 1;
        let name = format!("<line {}>", self.lines);
        let ast = self.interpreter.compile(&self.scope, &name, text)?;
        let merged = {
            let mut merged = self.functions.merge(&ast);
            merged.set_source(&name);
            merged
        };
        let result = self.interpreter.evaluate(&mut self.scope, &merged);
        self.functions = merged.clone_functions_only();
        // A shadowed handle is still in the scope, and would keep its namespace alive.
        self.scope = self.scope.clone_visible();
        let value = result?;
        self.keep_imports(&ast);
        if !value.is_unit() {
            self.scope.set_value("it", value.clone());
        }
        Ok(value)
    }

    /// An `import` is forgotten at the end of its run: make it a module that all later lines see.
    fn keep_imports(&mut self, ast: &AST) {
        let mut found = Vec::new();
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(Stmt::Import(import, _))] = path
                && let Expr::StringConstant(module, at) = &import.0
            {
                found.push((module.to_string(), import.1.name.to_string(), *at));
            }
            true
        });
        let engine = &mut self.interpreter.engine;
        for (module, alias, at) in found {
            if let Ok(module) = engine.module_resolver().resolve(engine, None, &module, at) {
                engine.register_static_module(alias, module);
            }
        }
    }

    /// The names of the session's variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().map(|(name, _, _)| name).collect::<Vec<_>>().into_iter()
    }
}
