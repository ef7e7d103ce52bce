//! What the line editor asks us: completions, and whether an input is complete.

use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter};
use stdlib::catalog::Catalog;

use super::validate;
use crate::interpreter::Interpreter;

/// The editor's helper.
#[derive(Helper, Highlighter, Hinter)]
pub(super) struct LineHelper {
    validator: validate::Validator,
    catalog: Arc<Catalog>,
    variables: Vec<String>,
}

impl LineHelper {
    pub(super) fn new(interpreter: &Interpreter) -> Self {
        Self { validator: validate::Validator::default(), catalog: interpreter.catalog.clone(), variables: Vec::new() }
    }

    pub(super) fn set_variables<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.variables = names.map(str::to_owned).collect();
    }

    /// Where the word before the cursor begins, and what it may become: text to insert, text to show.
    fn candidates(&self, line: &str, pos: usize) -> (usize, Vec<(String, String)>) {
        let before = &line[..pos];
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        let for_help = before.starts_with(":help ") || before.starts_with('?');
        if word.is_empty() && !for_help {
            return (start, Vec::new());
        }
        let member = before[..start].ends_with('.');
        let mut found: Vec<(String, String)> = if member {
            let names = self.catalog.types.iter().flat_map(|of| &of.properties);
            let mut names: Vec<_> = names.map(|p| (p.name.clone(), p.name.clone())).collect();
            names.sort();
            names.dedup();
            names
        } else {
            let variables = self.variables.iter().map(|name| (name.clone(), name.clone()));
            variables
                .chain(self.catalog.functions.iter().map(|f| {
                    let insert = if for_help || f.family == "syntax" { f.name.clone() } else { format!("{}(", f.name) };
                    (insert, f.signature())
                }))
                .collect()
        };
        found.retain(|(insert, _)| insert.starts_with(word));
        (start, found)
    }
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = self.candidates(line, pos);
        Ok((start, found.into_iter().map(|(replacement, display)| Pair { display, replacement }).collect()))
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let command = text.starts_with([':', '?']);
        Ok(if !command && self.validator.is_incomplete(text) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}
