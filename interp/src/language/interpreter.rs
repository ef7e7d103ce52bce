//! The interpreter: an engine with its lab, its catalog and the sources it has read. An evaluation has an outcome, which
//! is a value; nothing is reported here.

use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, FuncArgs, Scope, Stmt};
use stdlib::bindings::RhaiResultOf;
use stdlib::catalog::Catalog;
use stdlib::lab::Lab;

use super::compile;
use super::engine::{self, ExitToken};
use super::functions::{self, Function};
use super::growth::Exceeded;
use super::output;
use super::sources::{Directory, Resolver, Script};
use crate::console::{Console, Lost};
use crate::diagnostic::{Diagnostic, Known};
use crate::status::Status;
use crate::text::sources::Sources;

/// An engine with its lab.
pub struct Interpreter {
    /// The engine.
    pub engine: Engine,
    /// The functions and types of the engine.
    pub catalog: Arc<Catalog>,
    /// The lab that the functions work on.
    pub lab: Arc<Lab>,
    /// The texts that were read.
    pub sources: Arc<Sources>,
    console: Console,
    functions: Vec<Function>,
    directory: Option<Directory>,
    args: Vec<String>,
}

/// How an evaluation ended: with a value, or before it had one.
pub type Outcome = Result<Dynamic, Stop>;

/// How an evaluation ended without a value.
pub enum Stop {
    /// `exit(N)`.
    Exit(u8),
    /// Ctrl-C, or an interrupt of the executor.
    Interrupted,
    /// The output of `print` is lost.
    OutputLost(Lost),
    /// An error.
    Failed(Box<Diagnostic>),
}

impl Stop {
    /// The exit status of a script that ended this way.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Exit(code) => Status::Of(*code),
            Self::Interrupted => Status::Interrupted,
            Self::OutputLost(lost) => lost.status(),
            Self::Failed(diagnostic) if diagnostic.is_check => Status::CheckFailed,
            Self::Failed(_) => Status::Failed,
        }
    }

    /// Whether a failed `check` ended the evaluation.
    #[must_use]
    pub fn is_check(&self) -> bool {
        matches!(self, Self::Failed(diagnostic) if diagnostic.is_check)
    }
}

impl Interpreter {
    /// An interpreter that prints to `console`, for scripts that import from `directory` and get `args`.
    #[must_use]
    pub fn new(lab: Arc<Lab>, console: Console, directory: Option<Directory>, args: &[String]) -> Self {
        let (mut engine, catalog) = engine::build(&lab, &console);
        let array: rhai::Array = args.iter().cloned().map(Dynamic::from).collect();
        engine.register_fn("args", move || array.clone());
        let mut new = Self {
            engine,
            catalog: Arc::new(catalog),
            lab,
            sources: Arc::default(),
            console,
            functions: Vec::new(),
            directory,
            args: args.to_vec(),
        };
        new.import_from(None);
        new
    }

    /// Runs a whole script in a scope of its own.
    ///
    /// A process may run many scripts on one lab, each with an interpreter of its own. An interrupt stays set until the
    /// caller clears it with `lab.exec().resume()`.
    ///
    /// # Errors
    /// How the script ended without a value.
    pub fn run(&mut self, script: &Script) -> Outcome {
        let mut scope = Scope::new();
        let ast = self.compile(&scope, &script.name, &script.text)?;
        self.evaluate(&mut scope, &ast)
    }

    /// Forgets functions and imports.
    pub fn forget(&mut self) {
        *self = Self::new(self.lab.clone(), self.console.clone(), self.directory.clone(), &self.args);
    }

    /// Sets the directory of later imports: `directory`, or the interpreter's own. Modules are read again.
    pub fn import_from(&mut self, directory: Option<&Directory>) {
        let directory = directory.or(self.directory.as_ref()).cloned();
        self.engine.set_module_resolver(Resolver::new(directory, self.sources.clone()));
    }

    /// The functions that the compiled texts define. A later function replaces an earlier one of the same name and
    /// number of parameters.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Compiles a text that errors call `name`, and registers the functions that it defines.
    ///
    /// # Errors
    /// A syntax error.
    pub fn compile(&mut self, scope: &Scope<'_>, name: &str, text: &str) -> Result<AST, Stop> {
        self.sources.add(name, text);
        // Names are enough, and values may be large.
        let known = scope.iter_raw().map(|(name, ..)| name);
        let known = known.chain(self.functions.iter().map(|function| function.name.as_str()));
        let known: Scope<'_> = known.map(|name| (name.to_owned(), Dynamic::UNIT)).collect();
        let compiled = compile::compile(&self.engine, &known, text);
        let ast = compiled.map_err(|error| self.stop(&error, name, scope))?;
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

    /// Checks that a script compiles by itself; keeps nothing of it but the text.
    ///
    /// # Errors
    /// A syntax error.
    pub fn check(&self, script: &Script) -> Result<(), Stop> {
        self.sources.add(&script.name, &script.text);
        let scope = Scope::new();
        let compiled = compile::compile(&self.engine, &scope, &script.text);
        compiled.map(drop).map_err(|error| self.stop(&error, &script.name, &scope))
    }

    /// Statements that make the constants of earlier inputs visible in functions, as `global::NAME`.
    fn constants(&self, scope: &Scope<'_>) -> Vec<Stmt> {
        let constants = scope.iter_raw().filter(|(_, is_constant, _)| *is_constant);
        let text = constants.map(|(name, ..)| format!("const {name} = {name};")).collect::<Vec<_>>().concat();
        let ast = if text.is_empty() { None } else { compile::parse(&self.engine, scope, &text).ok() };
        ast.map(|ast| ast.statements().to_vec()).unwrap_or_default()
    }

    /// Evaluates a compiled text.
    ///
    /// # Errors
    /// How the evaluation ended without a value.
    pub fn evaluate(&self, scope: &mut Scope<'_>, ast: &AST) -> Outcome {
        let name = ast.source().unwrap_or_default().to_owned();
        self.try_evaluate(scope, ast).map_err(|error| self.stop(&error, &name, scope))
    }

    /// As [`Interpreter::evaluate`], with the language's own error. [`Interpreter::stop`] gives its meaning.
    pub(crate) fn try_evaluate(&self, scope: &mut Scope<'_>, ast: &AST) -> RhaiResultOf<Dynamic> {
        self.engine.eval_ast_with_scope::<Dynamic>(scope, ast)
    }

    /// Calls a function of nslab.
    ///
    /// # Errors
    /// How the call ended without a value.
    pub fn call(&self, function: &str, args: impl FuncArgs) -> Outcome {
        let result = self.engine.eval_fn_call::<Dynamic>(function, None, args);
        result.map_err(|error| self.stop(&error, "", &Scope::new()))
    }

    /// The meaning of an error that the source `name` raised.
    pub(crate) fn stop(&self, error: &EvalAltResult, name: &str, scope: &Scope<'_>) -> Stop {
        if let EvalAltResult::ErrorTerminated(token, _) = error.unwrap_inner()
            && !token.is::<Exceeded>()
        {
            return match (token.read_lock::<ExitToken>(), self.console.lost()) {
                (Some(exit), _) => Stop::Exit(exit.0),
                (None, Some(lost)) => Stop::OutputLost(lost),
                (None, None) => Stop::Interrupted,
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

    /// The value as `print` shows it; none for `()`.
    #[must_use]
    pub fn show(&self, value: &Dynamic) -> Option<String> {
        (!value.is_unit()).then(|| output::shown_whole(&self.engine, value))
    }
}
