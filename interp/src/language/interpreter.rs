//! The interpreter: an engine, its catalog, the sources it has read, and what came of an evaluation.

use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, FuncArgs, ParseError, Scope, Stmt};
use stdlib::bindings::RhaiResultOf;
use stdlib::catalog::Catalog;
use stdlib::lab::Lab;

use crate::diagnostic::{Diagnostic, Known};
use crate::language::engine::{self, ExitToken};
use crate::language::functions::{self, Function};
use crate::language::output;
use crate::language::sources::{Folder, Resolver, Script};
use crate::status::FAILED;
use crate::text::sources::Sources;

/// An engine with its lab.
pub struct Interpreter {
    /// The engine.
    pub engine: Engine,
    /// What it can do.
    pub catalog: Arc<Catalog>,
    /// What it works on.
    pub lab: Arc<Lab>,
    /// What it has read.
    pub sources: Arc<Sources>,
    functions: Vec<Function>,
    folder: Option<Folder>,
    args: Vec<String>,
}

/// What came of an evaluation that did not end with a value.
pub enum Stop {
    /// `exit(N)`.
    Exit(u8),
    /// Ctrl-C.
    Interrupted,
    /// An error.
    Failed(Box<Diagnostic>),
}

impl Stop {
    /// The exit status of a script that ended so.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            Self::Interrupted => 130,
            Self::Failed(diagnostic) if diagnostic.is_check => 1,
            Self::Failed(_) => FAILED,
        }
    }
}

impl Interpreter {
    /// An interpreter for scripts in `folder`, which get `args`.
    #[must_use]
    pub fn new(lab: Arc<Lab>, folder: Option<Folder>, args: &[String]) -> Self {
        let (mut engine, catalog) = engine::build(&lab);
        let array: rhai::Array = args.iter().cloned().map(Dynamic::from).collect();
        engine.register_fn("args", move || array.clone());
        let catalog = Arc::new(catalog);
        let args = args.to_vec();
        let mut new = Self { engine, catalog, lab, sources: Arc::default(), functions: Vec::new(), folder, args };
        new.import_from(None);
        new
    }

    /// Forgets functions and imports.
    pub fn forget(&mut self) {
        *self = Self::new(self.lab.clone(), self.folder.clone(), &self.args);
    }

    /// Imports are looked for below `folder`, or else below the interpreter's own, and read anew.
    pub fn import_from(&mut self, folder: Option<&Folder>) {
        let folder = folder.or(self.folder.as_ref()).cloned();
        self.engine.set_module_resolver(Resolver::new(folder, self.sources.clone()));
    }

    /// The functions that what was compiled so far defines; of two with the same name and number of parameters, the
    /// later one.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Compiles the text that errors call `name`; the functions it defines are known from here on.
    ///
    /// # Errors
    /// A syntax error.
    pub fn compile(&mut self, scope: &Scope<'_>, name: &str, text: &str) -> Result<AST, Stop> {
        self.sources.add(name, text);
        // Names are enough, and values may be large.
        let known = scope.iter_raw().map(|(name, ..)| name);
        let known = known.chain(self.functions.iter().map(|function| function.name.as_str()));
        let known: Scope<'_> = known.map(|name| (name.to_owned(), Dynamic::UNIT)).collect();
        let compiled = self.engine.compile_with_scope(&known, text);
        let ast = compiled.map_err(|error| self.stop(&error.into(), name, scope))?;
        self.sources.compiled(name, &ast);
        if let Some(module) = functions::module(&ast, name) {
            self.engine.register_global_module(module);
        }
        for new in functions::named(&ast, text) {
            self.functions.retain(|known| known.name != new.name || known.arity != new.arity);
            self.functions.push(new);
        }
        let mut statements = self.constants(scope);
        statements.extend(ast.statements().iter().cloned());
        Ok(AST::new_with_source(statements, functions::marker(), name))
    }

    /// Whether a script compiles by itself; nothing of it is kept.
    ///
    /// # Errors
    /// A syntax error.
    pub fn check(&self, script: &Script) -> Result<(), Stop> {
        self.sources.add(&script.name, &script.text);
        let stop = |error: ParseError| self.stop(&error.into(), &script.name, &Scope::new());
        self.engine.compile(&script.text).map(drop).map_err(stop)
    }

    /// What makes the constants of earlier inputs known to functions, as `global::NAME`.
    fn constants(&self, scope: &Scope<'_>) -> Vec<Stmt> {
        let constants = scope.iter_raw().filter(|(_, is_constant, _)| *is_constant);
        let text = constants.map(|(name, ..)| format!("const {name} = {name};")).collect::<Vec<_>>().concat();
        let ast = if text.is_empty() { None } else { self.engine.compile_with_scope(scope, text).ok() };
        ast.map(|ast| ast.statements().to_vec()).unwrap_or_default()
    }

    /// Evaluates what was compiled.
    ///
    /// # Errors
    /// What ended it.
    pub fn evaluate(&self, scope: &mut Scope<'_>, ast: &AST) -> Result<Dynamic, Stop> {
        let name = ast.source().unwrap_or_default().to_owned();
        self.try_evaluate(scope, ast).map_err(|error| self.stop(&error, &name, scope))
    }

    /// As [`Interpreter::evaluate`], with the language's own error.
    pub(crate) fn try_evaluate(&self, scope: &mut Scope<'_>, ast: &AST) -> RhaiResultOf<Dynamic> {
        self.engine.eval_ast_with_scope::<Dynamic>(scope, ast)
    }

    /// Calls one of our functions.
    ///
    /// # Errors
    /// What ended it.
    pub fn call(&self, function: &str, args: impl FuncArgs) -> Result<Dynamic, Stop> {
        let result = self.engine.eval_fn_call::<Dynamic>(function, None, args);
        result.map_err(|error| self.stop(&error, "", &Scope::new()))
    }

    /// What an error of the source `name` means.
    pub(crate) fn stop(&self, error: &EvalAltResult, name: &str, scope: &Scope<'_>) -> Stop {
        if let EvalAltResult::ErrorTerminated(token, _) = error.unwrap_inner() {
            return match token.read_lock::<ExitToken>() {
                Some(exit) => Stop::Exit(exit.0),
                None => Stop::Interrupted,
            };
        }
        let known = Known {
            catalog: &self.catalog,
            sources: &self.sources,
            functions: self.functions.iter().map(|function| function.name.as_str()).collect(),
            variables: scope.iter_raw().map(|(name, ..)| name).collect(),
        };
        Stop::Failed(Box::new(Diagnostic::of(error, name, &known)))
    }

    /// The value as people read it; none for `()`.
    #[must_use]
    pub fn show(&self, value: &Dynamic) -> Option<String> {
        if value.is_unit() {
            return None;
        }
        Some(output::shown_whole(&self.engine, value))
    }
}
