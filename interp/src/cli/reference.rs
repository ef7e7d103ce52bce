//! `nslab reference`: the reference of all functions and types, written from the catalog.

use std::fmt::Write;

use stdlib::catalog::Catalog;
use stdlib::exec::boot::Foreground;

use super::launch;
use crate::console::Console;
use crate::language::interpreter::Interpreter;
use crate::status::Status;

/// Prints the reference. The catalog comes with an engine, and an engine has a lab.
pub(super) fn main(console: &Console, lab: launch::Options) -> Status {
    launch::in_lab(console, lab, Foreground::Script, |lab| {
        let interpreter = Interpreter::new(lab.clone(), console.clone(), None, &[]);
        console.say(markdown(&interpreter.catalog).trim_end())?;
        Ok(Status::Ok)
    })
}

/// The whole reference as Markdown.
fn markdown(catalog: &Catalog) -> String {
    let mut text = String::from(
        "# Reference\n\nWritten by `nslab reference`. `[x: T]` is optional. `link: Link` may also be a name, or a \
         namespace and a name; `ns: NetNs` may also be the result of `hold`, `nsenter` or `unshare`. Every function \
         can be called as a method of its first argument.\n",
    );
    let mut family = "";
    for function in &catalog.functions {
        if function.family != family {
            family = &function.family;
            let _ = write!(text, "\n## {family}\n");
        }
        let _ = write!(text, "\n### `{}`\n\n{}\n", function.signature(), function.doc.trim());
        if let Some(requirement) = function.requirement() {
            let _ = write!(text, "\n{requirement}\n");
        }
        for key in function.parameters.iter().flat_map(|parameter| parameter.keys) {
            let _ = write!(text, "\n* `{}`: {}", key.name, key.doc);
        }
        if function.parameters.iter().any(|parameter| !parameter.keys.is_empty()) {
            text.push('\n');
        }
    }
    text.push_str("\n## types\n");
    for of in &catalog.types {
        let _ = write!(text, "\n### {}\n\n{}\n", of.name, of.doc);
        for property in &of.properties {
            let _ = write!(text, "\n* `.{}` ({}): {}", property.name, property.returns, property.doc.trim());
        }
        text.push('\n');
    }
    text
}
