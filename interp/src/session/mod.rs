//! A session: inputs that are evaluated one after another in one scope, and that can be saved as a script.

use rhai::{AST, ASTNode, Dynamic, Expr, Scope, Stmt};
use stdlib::exec::memory;
use stdlib::lab::{NetNs, Place};

use crate::language::interpreter::{Interpreter, Outcome};
use crate::language::sources::Script;
use crate::text::sources::offset;

mod save;

/// One input and its result.
#[derive(Clone, Debug)]
struct Entry {
    text: String,
    /// The namespace it was evaluated in, if one was entered.
    place: Option<String>,
    /// The byte up to which its statements were evaluated; none if it did not compile.
    evaluated_to: Option<usize>,
    /// Whether it had a value, which then became `it`.
    has_value: bool,
}

/// An interpreter with a scope, a log of the inputs, and a current namespace.
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

    /// Evaluates one input. Its value becomes `it`.
    ///
    /// # Errors
    /// How it ended without a value. The effects of the statements before the failing one stay.
    pub fn evaluate(&mut self, text: &str) -> Outcome {
        self.lines += 1;
        let name = format!("<input {}>", self.lines);
        self.interpreter.import_from(None);
        self.execute(&name, text, true)
    }

    /// Evaluates a whole script in the session's scope.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub fn load(&mut self, script: &Script) -> Outcome {
        self.interpreter.import_from(script.directory.as_ref());
        self.execute(&script.name, &script.text, true)
    }

    /// Evaluates a text that errors call `name` in the session's scope, and keeps it out of the log.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub fn run(&mut self, name: &str, text: &str) -> Outcome {
        self.interpreter.import_from(None);
        self.execute(name, text, false)
    }

    fn execute(&mut self, name: &str, text: &str, remember: bool) -> Outcome {
        self.interpreter.lab.exec().resume();
        memory::allow_to_free();
        let place = self.place();
        let mut remember = |evaluated_to, has_value| {
            if remember {
                self.log.push(Entry { text: text.to_owned(), place: place.clone(), evaluated_to, has_value });
            }
        };
        let ast = match self.interpreter.compile(&self.scope, name, text) {
            Ok(ast) => ast,
            Err(stop) => {
                remember(None, false);
                return Err(stop);
            }
        };
        let result = self.interpreter.try_evaluate(&mut self.scope, &ast);
        match &result {
            Ok(value) => remember(Some(text.len()), !value.is_unit()),
            Err(error) => remember(Some(offset(text, error.position()).unwrap_or(0)), false),
        }
        // A shadowed handle stays in the scope otherwise, and keeps its namespace alive.
        self.scope = self.scope.clone_visible();
        self.keep_imports(&ast);
        let value = result.map_err(|error| self.interpreter.stop(&error, name, &self.scope))?;
        if !value.is_unit() {
            self.scope.set_value("it", value.clone());
        }
        Ok(value)
    }

    /// Logs a program that had the terminal, as the call that runs it without one.
    pub fn ran(&mut self, ns: &NetNs, command: &str, succeeded: bool) {
        let place = self.expression_of(ns);
        let text = match place {
            Some(place) if succeeded => format!("exec({place}, [\"sh\", \"-c\", {command:?}])"),
            place => format!("// in {}: {command}", place.unwrap_or_else(|| ns.label().to_owned())),
        };
        let evaluated_to = Some(text.len());
        self.log.push(Entry { text, place: None, evaluated_to, has_value: false });
    }

    /// The expression for a namespace in a script: a variable that holds it, or its name.
    #[must_use]
    pub fn expression_of(&self, ns: &NetNs) -> Option<String> {
        let is_it = |value: &Dynamic| value.read_lock::<NetNs>().is_some_and(|held| held.is(ns));
        let variable = self.variables().find(|(name, value)| *name != "it" && is_it(value));
        let variable = variable.map(|(name, _)| name.to_owned());
        let by_name = || ns.name().map(|name| format!("open_netns(\"{}\")", name.as_str()));
        variable.or_else(by_name).or_else(|| ns.is_root().then(|| "host()".to_owned()))
    }

    /// The expression for the current namespace; none for the lab's root.
    fn place(&self) -> Option<String> {
        let (expression, ns) = self.place.as_ref()?;
        let still = self.variable(expression).is_some_and(|v| v.read_lock::<NetNs>().is_some_and(|held| held.is(ns)));
        if still { Some(expression.clone()) } else { self.expression_of(ns).or_else(|| Some(expression.clone())) }
    }

    /// Registers imported modules for later inputs: Rhai forgets an `import` at the end of its run.
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

    /// Makes `ns` the current namespace of later inputs. `expression` is its expression in a script.
    pub fn enter(&mut self, expression: &str, ns: &NetNs) {
        self.interpreter.engine.set_default_tag(Dynamic::from(Place::of(ns)));
        self.place = Some((expression.to_owned(), ns.clone()));
    }

    /// Makes the lab's root the current namespace again.
    pub fn leave(&mut self) {
        let root = self.interpreter.lab.root().clone();
        self.interpreter.engine.set_default_tag(Dynamic::from(Place::of(&root)));
        self.place = None;
    }

    /// The current namespace.
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

    /// The names and values of the variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Dynamic)> {
        self.scope.iter_raw().map(|(name, _, value)| (name, value))
    }

    /// The value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Dynamic> {
        self.variables().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The number of logged inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.log.len()
    }
}
