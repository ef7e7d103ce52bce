//! Help: what there is, and what one thing is.

use std::fmt::Write;

use stdlib::catalog::Catalog;

use super::commands::COMMANDS;
use crate::suggest::nearest;

/// The functions by family, and the commands.
#[must_use]
pub fn overview(catalog: &Catalog) -> String {
    let mut text = String::new();
    let mut family = "";
    for function in &catalog.functions {
        if function.family != family {
            family = &function.family;
            let _ = writeln!(text, "{}{family}", if text.is_empty() { "" } else { "\n" });
        }
        let _ = writeln!(text, "  {:<18} {}", function.name, function.summary().replace('\n', " "));
    }
    text.push_str("\ncommands\n");
    for command in COMMANDS {
        let _ = writeln!(text, "  {:<18} {}", format!(":{} {}", command.name, command.args), command.doc);
    }
    text.push_str(
        "\n`?NAME` explains a function or a type, `??NAME` shows the source of yours, F1 the word at the cursor.",
    );
    text
}

/// The text of a function, a type or a command.
///
/// # Errors
/// A sentence with the nearest name.
pub fn explain(catalog: &Catalog, topic: &str) -> Result<String, String> {
    let mut text = String::new();
    if let Some(function) = catalog.functions.iter().find(|function| function.name == topic) {
        let _ = writeln!(text, "{}\n", function.signature());
        let doc = function.doc.trim().lines().map(|line| match line.trim() {
            "```rhai" | "```" => String::new(),
            _ => line.to_owned(),
        });
        text.push_str(doc.collect::<Vec<_>>().join("\n").trim_end());
        for key in function.parameters.iter().flat_map(|parameter| parameter.keys) {
            let _ = write!(text, "\n  {:<10} {}", key.name, key.doc);
        }
        return Ok(text);
    }
    if let Some(of) = catalog.types.iter().find(|of| of.name == topic) {
        let _ = write!(text, "{}: {}", of.name, of.doc);
        for property in &of.properties {
            let doc = property.doc.trim().replace('\n', " ");
            let _ = write!(text, "\n  .{:<12} {:<8} {doc}", property.name, property.returns);
        }
        return Ok(text);
    }
    let command = topic.trim_start_matches(':');
    if let Some(command) = COMMANDS.iter().find(|known| known.name == command) {
        return Ok(format!(":{} {}\n\n{}", command.name, command.args, command.doc));
    }
    let names = catalog.functions.iter().map(|f| f.name.as_str()).chain(catalog.types.iter().map(|t| t.name.as_str()));
    let near = nearest(topic, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(format!("nothing is called `{topic}`{near}"))
}
