//! `nslab check`: compiles scripts without running them.

use std::path::PathBuf;
use std::thread;

use stdlib::catalog::Catalog;

use super::run::show;
use crate::console::complain;
use crate::diagnostic::{Diagnostic, Known};
use crate::language::engine::{STACK, for_syntax};
use crate::language::sources::Script;
use crate::status::FAILED;
use crate::text::sources::Sources;

/// Compiles scripts without running them; makes no lab.
pub(super) fn main(scripts: &[PathBuf]) -> u8 {
    let work = || {
        let engine = for_syntax();
        let sources = Sources::default();
        let mut status = 0;
        for path in scripts {
            match Script::read(path) {
                Ok(script) => {
                    sources.add(&script.name, &script.text);
                    if let Err(error) = engine.compile(&script.text) {
                        let known = Known {
                            catalog: &Catalog::default(),
                            sources: &sources,
                            functions: Vec::new(),
                            variables: Vec::new(),
                        };
                        show(&Diagnostic::of(&error.into(), &script.name, &known));
                        status = FAILED;
                    }
                }
                Err(text) => {
                    complain(&text);
                    status = FAILED;
                }
            }
        }
        status
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        worker.ok().and_then(|worker| worker.join().ok()).unwrap_or(70)
    })
}
