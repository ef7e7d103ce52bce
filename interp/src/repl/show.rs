//! Values on a terminal: lists as tables to its width, states in colour, long output cut with a count.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use rhai::{Array, Dynamic, INT};
use stdlib::lab::{Link, NetNs};

use crate::language::interpreter::Interpreter;

/// What the terminal is like.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Whether it shows colours.
    pub colour: bool,
}

/// The value as it is shown after an input; none for `()`.
#[must_use]
pub fn render(interpreter: &Interpreter, value: &Dynamic, screen: Screen) -> Option<String> {
    let text = match table(interpreter, value, screen) {
        Some(table) => table,
        None => interpreter.show(value)?,
    };
    let text = with_status(interpreter, value, text);
    if text.is_empty() {
        return None;
    }
    let text = cut(&text, screen);
    Some(if screen.colour { colour(&text) } else { text })
}

/// A program that failed says so: what it wrote may look like success.
fn with_status(interpreter: &Interpreter, value: &Dynamic, text: String) -> String {
    if interpreter.engine.map_type_name(value.type_name()) != "Output" {
        return text;
    }
    let code = interpreter.engine.eval_fn_call::<INT>("get$code", Some(&mut value.clone()), ());
    match code {
        Ok(0) | Err(_) => text,
        Ok(code) if text.is_empty() => format!("exit status {code}"),
        Ok(code) => format!("{text}\nexit status {code}"),
    }
}

/// A list whose elements have columns, as a table.
fn table(interpreter: &Interpreter, value: &Dynamic, screen: Screen) -> Option<String> {
    let engine = &interpreter.engine;
    let name = engine.map_type_name(value.type_name());
    let of = interpreter.catalog.types.iter().find(|of| of.name == name && !of.columns.is_empty())?;
    let rows = engine.eval_fn_call::<Array>("to_array", None, (value.clone(),)).ok()?;
    if rows.is_empty() {
        return Some("(none)".into());
    }
    // What will be cut away anyway need not be asked of the kernel.
    let cell_of = |row: &Dynamic, column: &str| {
        let got = engine.eval_fn_call::<Dynamic>(format!("get${column}"), Some(&mut row.clone()), ());
        got.map_or_else(|_| "?".to_owned(), |value| cell(&value))
    };
    let shown = rows.iter().take(usize::from(screen.height));
    let cells: Vec<Vec<String>> =
        shown.map(|row| of.columns.iter().map(|column| cell_of(row, column)).collect()).collect();
    let filled: Vec<usize> = (0..of.columns.len()).filter(|n| cells.iter().any(|row| !row[*n].is_empty())).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    table.set_header(filled.iter().map(|n| of.columns[*n]));
    for row in &cells {
        table.add_row(filled.iter().map(|n| row[*n].as_str()));
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let left = rows.len().saturating_sub(usize::from(screen.height));
    for _ in 0..left {
        text.push_str("…\n"); // counted by `cut`
    }
    Some(text.trim_end_matches('\n').to_owned())
}

fn cell(value: &Dynamic) -> String {
    if value.is_unit() {
        return String::new();
    }
    if let Some(link) = value.read_lock::<Link>() {
        return format!("{}:{}", link.ns().short(), link.name());
    }
    if let Some(ns) = value.read_lock::<NetNs>() {
        return ns.short();
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(cell).collect::<Vec<_>>().join(" ");
    }
    value.to_string()
}

/// The first lines, and how many there are more.
#[must_use]
pub fn cut(text: &str, screen: Screen) -> String {
    let most = usize::from(screen.height.max(10)) - 4;
    let lines = text.lines().count();
    if lines <= most {
        return text.to_owned();
    }
    let kept: Vec<_> = text.lines().take(most - 1).collect();
    format!("{}\n… {} more lines: `:more` shows all", kept.join("\n"), lines - (most - 1))
}

/// Colours with a meaning: what works is green, what does not is red.
#[must_use]
pub fn colour(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '>')) {
        let word = piece.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '>'));
        let code = match word {
            "UP" | "LOWER_UP" | "ACCEPT" => "32",
            "DOWN" | "LOWERLAYERDOWN" | "NO-CARRIER" | "M-DOWN" | "DROP" | "REJECT" => "31",
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        let _ = write!(out, "\x1b[{code}m{word}\x1b[0m{}", &piece[word.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_with_a_count() {
        let text = (1..=100).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let screen = Screen { width: 80, height: 24, colour: false };
        let shown = cut(&text, screen);
        assert_eq!(shown.lines().count(), 20);
        assert!(shown.ends_with("19\n… 81 more lines: `:more` shows all"), "{shown}");
        assert_eq!(cut("a\nb", screen), "a\nb");
    }

    #[test]
    fn a_list_is_a_table_of_the_columns_that_say_something() {
        let lab = stdlib::lab::Lab::here(None).unwrap();
        let interpreter = Interpreter::new(lab, None, &[]);
        let screen = Screen { width: 80, height: 40, colour: false };
        let value = interpreter.engine.eval::<Dynamic>(&format!("ns_list({})", std::process::id())).unwrap();
        let shown = render(&interpreter, &value, screen).unwrap();
        let mut lines = shown.lines();
        assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>(), ["name", "inode"]);
        assert!(lines.next().unwrap().trim_start().starts_with("cgroup"));
    }

    #[test]
    fn states_are_coloured_and_nothing_else() {
        assert_eq!(colour("<NO-CARRIER,UP> UPPER"), "<\x1b[31mNO-CARRIER\x1b[0m,\x1b[32mUP\x1b[0m> UPPER");
    }
}
