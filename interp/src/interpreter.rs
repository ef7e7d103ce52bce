//! The interpreter: an engine, its catalog, the sources it has read, and what came of an evaluation.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, Scope};
use stdlib::catalog::Catalog;
use stdlib::lab::Lab;

use crate::diagnostic::Diagnostic;
use crate::engine::{self, ExitToken};
use crate::sources::{Resolver, Sources};

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
            Self::Failed(_) => crate::cli::FAILED,
        }
    }
}

impl Interpreter {
    /// An interpreter for scripts in `folder`, which get `args`.
    #[must_use]
    pub fn new(lab: Arc<Lab>, folder: Option<Arc<OwnedFd>>, args: &[String]) -> Self {
        let (mut engine, catalog) = engine::build(&lab);
        let sources = Arc::new(Sources::default());
        engine.set_module_resolver(Resolver::new(folder, sources.clone()));
        let args: rhai::Array = args.iter().cloned().map(Dynamic::from).collect();
        engine.register_fn("args", move || args.clone());
        Self { engine, catalog: Arc::new(catalog), lab, sources }
    }

    /// Compiles the text that errors call `name`.
    ///
    /// # Errors
    /// A syntax error.
    pub fn compile(&self, scope: &Scope<'_>, name: &str, text: &str) -> Result<AST, Stop> {
        self.sources.add(name, text);
        match self.engine.compile_with_scope(scope, text) {
            Ok(mut ast) => {
                ast.set_source(name);
                Ok(ast)
            }
            Err(error) => Err(self.stop(&error.into(), name)),
        }
    }

    /// Evaluates what was compiled.
    ///
    /// # Errors
    /// What ended it.
    pub fn evaluate(&self, scope: &mut Scope<'_>, ast: &AST) -> Result<Dynamic, Stop> {
        let name = ast.source().unwrap_or_default().to_owned();
        self.engine.eval_ast_with_scope::<Dynamic>(scope, ast).map_err(|error| self.stop(&error, &name))
    }

    fn stop(&self, error: &EvalAltResult, name: &str) -> Stop {
        if let EvalAltResult::ErrorTerminated(token, _) = error.unwrap_inner() {
            return match token.read_lock::<ExitToken>() {
                Some(exit) => Stop::Exit(exit.0),
                None => Stop::Interrupted,
            };
        }
        Stop::Failed(Box::new(Diagnostic::of(error, name, &self.catalog, &self.sources)))
    }

    /// The value as people read it; none for `()`.
    #[must_use]
    pub fn show(&self, value: &Dynamic) -> Option<String> {
        if value.is_unit() {
            return None;
        }
        if value.is_string() {
            return Some(value.to_string());
        }
        let shown = self.engine.eval_fn_call::<rhai::ImmutableString>("to_debug", None, (value.clone(),));
        Some(shown.map_or_else(|_| value.to_string(), |text| text.to_string()))
    }
}
