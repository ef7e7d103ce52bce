//! A session: inputs that are evaluated one after another and remember each other, and can be saved as a script.

use rhai::{AST, ASTNode, Dynamic, Expr, Scope, Stmt};
use stdlib::lab::{NetNs, Place};

use crate::interpreter::{Interpreter, Stop};
use crate::sources::Script;

/// One input and what came of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The text.
    pub text: String,
    /// Whether it was evaluated to its end.
    pub ok: bool,
    /// The expression of the namespace it was evaluated in, if one was entered.
    pub place: Option<String>,
}

/// What a session remembers besides the interpreter.
pub struct Session {
    /// The interpreter.
    pub interpreter: Interpreter,
    scope: Scope<'static>,
    log: Vec<Entry>,
    lines: usize,
    place: Option<(String, NetNs)>,
}

impl Session {
    /// An empty session.
    #[must_use]
    pub fn new(interpreter: Interpreter) -> Self {
        Self { interpreter, scope: Scope::new(), log: Vec::new(), lines: 0, place: None }
    }

    /// Evaluates one input; its value is also `it` afterwards.
    ///
    /// # Errors
    /// What ended it; the session goes on with what was there before the failing statement.
    pub fn evaluate(&mut self, text: &str) -> Result<Dynamic, Stop> {
        self.lines += 1;
        let result = self.run(&format!("<input {}>", self.lines), text);
        self.note(text, result)
    }

    /// Evaluates a whole script, which becomes part of this one.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub fn load(&mut self, script: &Script) -> Result<Dynamic, Stop> {
        self.interpreter.import_from(script.folder.as_ref());
        let result = self.execute(&script.name, &script.text);
        self.note(&script.text, result)
    }

    /// Evaluates a text that errors call `name`, in the session's scope; it is not remembered.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub fn run(&mut self, name: &str, text: &str) -> Result<Dynamic, Stop> {
        self.interpreter.import_from(None);
        self.execute(name, text)
    }

    fn note(&mut self, text: &str, result: Result<Dynamic, Stop>) -> Result<Dynamic, Stop> {
        let place = self.place.as_ref().map(|(expression, _)| expression.clone());
        self.log.push(Entry { text: text.to_owned(), ok: result.is_ok(), place });
        result
    }

    fn execute(&mut self, name: &str, text: &str) -> Result<Dynamic, Stop> {
        self.interpreter.lab.exec().resume();
        let ast = self.interpreter.compile(&self.scope, name, text)?;
        let result = self.interpreter.evaluate(&mut self.scope, &ast);
        // A shadowed handle is still in the scope, and would keep its namespace alive.
        self.scope = self.scope.clone_visible();
        self.keep_imports(&ast);
        let value = result?;
        if !value.is_unit() {
            self.scope.set_value("it", value.clone());
        }
        Ok(value)
    }

    /// An `import` is forgotten at the end of its run: make it a module that all later inputs see.
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

    /// Makes `ns`, which `expression` names, the current namespace of what follows.
    pub fn enter(&mut self, expression: &str, ns: &NetNs) {
        self.interpreter.engine.set_default_tag(Dynamic::from(Place::of(ns)));
        self.place = Some((expression.to_owned(), ns.clone()));
    }

    /// Goes back to the lab's root.
    pub fn leave(&mut self) {
        let root = self.interpreter.lab.root().clone();
        self.interpreter.engine.set_default_tag(Dynamic::from(Place::of(&root)));
        self.place = None;
    }

    /// The namespace that was entered, or the lab's root.
    #[must_use]
    pub fn current(&self) -> NetNs {
        self.place.as_ref().map_or_else(|| self.interpreter.lab.root().clone(), |(_, ns)| ns.clone())
    }

    /// Forgets variables, functions and inputs.
    pub fn reset(&mut self) {
        self.leave();
        self.scope = Scope::new();
        self.interpreter.forget();
        self.log.clear();
    }

    /// The variables: name and value.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Dynamic)> {
        self.scope.iter_raw().map(|(name, _, value)| (name, value))
    }

    /// The value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Dynamic> {
        self.variables().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The inputs so far.
    #[must_use]
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The session as a script that means the same: what failed is a comment.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = String::from("//! Saved from a session.\n\n");
        for entry in &self.log {
            if !entry.ok {
                for line in entry.text.lines() {
                    script.push_str("// failed: ");
                    script.push_str(line);
                    script.push('\n');
                }
                continue;
            }
            let text = entry.text.trim_end();
            let text = match &entry.place {
                Some(place) => wrapped(text, place),
                None => text.to_owned(),
            };
            script.push_str(&text);
            if !text.ends_with([';', '}']) {
                script.push(';');
            }
            script.push('\n');
        }
        script
    }
}

/// The input inside `within PLACE { … }`, so that what it declares is declared outside.
fn wrapped(text: &str, place: &str) -> String {
    if text.starts_with("fn ") || text.starts_with("import ") || text.starts_with("//") {
        return text.to_owned();
    }
    let inner = text.trim_end_matches(';');
    for word in ["let ", "const "] {
        if let Some((name, value)) = inner.strip_prefix(word).and_then(|rest| rest.split_once('=')) {
            return format!("{word}{} = within {place} {{ {} }};", name.trim(), value.trim());
        }
    }
    format!("within {place} {{ {inner}; }}")
}
