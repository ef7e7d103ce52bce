//! Help: an overview of all functions and commands, and the text of each.

use std::fmt::Write;

use stdlib::catalog::{Catalog, Function, Type};

use crate::repl::commands::table::COMMANDS;
use crate::repl::layout::{beside, paragraphs};
use stdlib::suggest::nearest;

const MORE: &str = "`?NAME` explains a function, a type or a command, `??NAME` shows the source of your own, F1 explains the \
                    word at the cursor. `:help all` has a sentence on each.";

/// The names of all functions and commands, a line for each family.
#[must_use]
pub fn overview(catalog: &Catalog, width: usize) -> String {
    let mut rows: Vec<(String, String)> = families(catalog)
        .into_iter()
        .map(|(family, functions)| (family.to_owned(), names(functions.iter().map(|function| function.name.as_str()))))
        .collect();
    rows.push(("commands".into(), COMMANDS.iter().map(|c| format!(":{}", c.name)).collect::<Vec<_>>().join(" ")));
    rows.push(("programs".into(), "`ns1! CMD` and `ns1 CMD` run a program in the namespace `ns1`".into()));
    format!("{}\n\n{}", beside(&rows, width), paragraphs(MORE, width, ""))
}

/// All functions and commands, with a sentence on each.
#[must_use]
pub fn all(catalog: &Catalog, width: usize) -> String {
    let mut text = String::new();
    for (family, functions) in families(catalog) {
        let rows: Vec<_> = functions.iter().map(|f| (f.name.clone(), f.summary().to_owned())).collect();
        let _ = writeln!(text, "{family}\n{}\n", beside(&rows, width));
    }
    let rows: Vec<_> = COMMANDS.iter().map(|c| (c.usage(), c.doc.to_owned())).collect();
    let _ = write!(text, "commands\n{}", beside(&rows, width));
    text
}

/// The text of a function, a type or a command.
///
/// # Errors
/// A sentence with the nearest name.
pub fn explain(catalog: &Catalog, topic: &str, width: usize) -> Result<String, String> {
    if let Some(function) = catalog.functions.iter().find(|function| function.name == topic) {
        return Ok(function_text(catalog, function, width));
    }
    if let Some(of) = catalog.types.iter().find(|of| of.name == topic) {
        return Ok(type_text(catalog, of, width));
    }
    let command = topic.trim_start_matches(':');
    if let Some(command) = COMMANDS.iter().find(|known| known.name == command) {
        return Ok(format!("{}\n\n{}", command.usage(), paragraphs(command.doc, width, "")));
    }
    let names = catalog.functions.iter().map(|f| f.name.as_str()).chain(catalog.types.iter().map(|t| t.name.as_str()));
    let near = nearest(topic, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(format!("nothing is called `{topic}`{near}"))
}

fn function_text(catalog: &Catalog, function: &Function, width: usize) -> String {
    // The text ends where the first example begins.
    let text = function.doc.split("```rhai").next().unwrap_or_default();
    let mut parts = vec![function.signature(), paragraphs(text, width, "")];
    parts.extend(function.requirement());
    let keys = function.parameters.iter().flat_map(|parameter| parameter.keys);
    let keys: Vec<_> = keys.map(|key| (key.name.to_owned(), key.doc.to_owned())).collect();
    if !keys.is_empty() {
        parts.push(format!("options\n{}", beside(&keys, width)));
    }
    for example in function.examples() {
        let lines: Vec<String> = example.trim_end().lines().map(|line| format!("  {line}")).collect();
        parts.push(format!("example\n{}", lines.join("\n")));
    }
    let family = catalog.functions.iter().filter(|other| other.family == function.family);
    let others: Vec<&str> = family.map(|f| f.name.as_str()).filter(|name| *name != function.name).collect();
    if !others.is_empty() {
        parts.push(beside(&[("see also".into(), names(others.into_iter()))], width).trim_start().to_owned());
    }
    parts.join("\n\n")
}

fn type_text(catalog: &Catalog, of: &Type, width: usize) -> String {
    let mut parts = vec![paragraphs(&format!("{}: {}", of.name, of.doc), width, "")];
    if !of.properties.is_empty() {
        let rows: Vec<_> =
            of.properties.iter().map(|p| (format!(".{}  {}", p.name, p.returns), p.doc.clone())).collect();
        parts.push(beside(&rows, width));
    }
    let named = |takes: &dyn Fn(&Function) -> bool| {
        names(catalog.functions.iter().filter(|function| takes(function)).map(|function| function.name.as_str()))
    };
    let is_it = |text: &str| text.split(" or ").any(|one| one == of.name);
    let rows: Vec<_> = [
        ("returned by", named(&|function| is_it(&function.returns))),
        ("taken by", named(&|function| function.parameters.iter().any(|parameter| is_it(parameter.ty)))),
    ]
    .into_iter()
    .filter(|(_, functions)| !functions.is_empty())
    .map(|(what, functions)| (what.to_owned(), functions))
    .collect();
    if !rows.is_empty() {
        parts.push(beside(&rows, width));
    }
    parts.join("\n\n")
}

fn families(catalog: &Catalog) -> Vec<(&str, Vec<&Function>)> {
    let mut families: Vec<(&str, Vec<&Function>)> = Vec::new();
    for function in &catalog.functions {
        match families.last_mut() {
            Some((family, functions)) if *family == function.family => functions.push(function),
            _ => families.push((&function.family, vec![function])),
        }
    }
    families
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}
