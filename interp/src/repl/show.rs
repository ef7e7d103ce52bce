//! Values on the screen: lists as tables of its width, states in colour, long output cut with a count.

use comfy_table::{ContentArrangement, Table, presets};
use rhai::{Array, Dynamic, INT};
use stdlib::lab::{Link, NetNs};

use crate::console::{Palette, Style, escaped};
use crate::language::interpreter::Interpreter;

/// The measures of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// The colours.
    pub palette: Palette,
}

/// A text for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Words of nslab or of a session, without colour.
    Plain(String),
    /// Values, with states in colour.
    Values(String),
    /// The captured output of a program, which may steer the terminal as the program itself may.
    Output(String),
}

impl Text {
    /// The text cut to the screen, escaped unless a program wrote it, and with states in colour.
    #[must_use]
    pub fn on(&self, screen: Screen) -> String {
        match self {
            Self::Plain(text) => escaped(&cut(text, screen)),
            Self::Values(text) => with_states(&escaped(&cut(text, screen)), screen.palette),
            Self::Output(text) => with_states(&cut(text, screen), screen.palette),
        }
    }
}

/// The value of an input as it is shown; none for `()` and for an empty text.
#[must_use]
pub fn value(interpreter: &Interpreter, value: &Dynamic, screen: Screen) -> Option<Text> {
    let is_output = interpreter.engine.map_type_name(value.type_name()) == "Output";
    let text = match table(interpreter, value, screen) {
        Some(table) => table,
        None => interpreter.show(value)?,
    };
    let text = if is_output { with_status(interpreter, value, text) } else { text };
    if text.is_empty() {
        return None;
    }
    Some(if is_output { Text::Output(text) } else { Text::Values(text) })
}

/// The output of a program with its exit status if that is a failure, which the output need not show.
fn with_status(interpreter: &Interpreter, output: &Dynamic, text: String) -> String {
    let code = interpreter.engine.eval_fn_call::<INT>("get$code", Some(&mut output.clone()), ());
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
    let cell_of = |row: &Dynamic, column: &str| {
        let got = engine.eval_fn_call::<Dynamic>(format!("get${column}"), Some(&mut row.clone()), ());
        got.map_or_else(|_| "?".to_owned(), |value| escaped(&cell(&value)))
    };
    // Rows that would be cut are not computed: a cell may be a question to the kernel.
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

/// The first lines, and the number of the others.
fn cut(text: &str, screen: Screen) -> String {
    let most = usize::from(screen.height.max(10)) - 4;
    let lines = text.lines().count();
    if lines <= most {
        return text.to_owned();
    }
    let kept: Vec<_> = text.lines().take(most - 1).collect();
    format!("{}\n… {} more lines: `:more` shows all", kept.join("\n"), lines - (most - 1))
}

/// The text with states in colour: green for what works, red for what does not.
fn with_states(text: &str, palette: Palette) -> String {
    let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | '<' | '>');
    let mut out = String::with_capacity(text.len() + 64);
    for piece in text.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        let style = match word {
            "UP" | "LOWER_UP" | "ACCEPT" => Style::Good,
            "DOWN" | "LOWERLAYERDOWN" | "NO-CARRIER" | "M-DOWN" | "DROP" | "REJECT" => Style::Bad,
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        out.push_str(&palette.paint(style, word));
        out.push_str(&piece[word.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;

    const SCREEN: Screen = Screen { width: 80, height: 24, palette: Palette::PLAIN };

    #[test]
    fn long_output_is_cut_with_a_count() {
        let text = (1..=100).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let shown = cut(&text, SCREEN);
        assert_eq!(shown.lines().count(), 20);
        assert!(shown.ends_with("19\n… 81 more lines: `:more` shows all"), "{shown}");
        assert_eq!(cut("a\nb", SCREEN), "a\nb");
    }

    #[test]
    fn a_list_is_a_table_of_its_filled_columns() {
        let lab = stdlib::lab::Lab::here(None).unwrap();
        let interpreter = Interpreter::new(lab, Console::standard(), None, &[]);
        let list = interpreter.engine.eval::<Dynamic>("addrs()").unwrap();
        let shown = value(&interpreter, &list, Screen { height: 40, ..SCREEN }).unwrap().on(SCREEN);
        let mut lines = shown.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>());
        // No address of a loopback device has a peer.
        assert_eq!(lines.next().unwrap(), ["dev", "addr", "scope"]);
        assert_eq!(lines.next().unwrap(), ["lo", "127.0.0.1/8", "host"]);
    }

    #[test]
    fn only_states_have_a_colour() {
        let screen = Screen { palette: Palette::COLOURED, ..SCREEN };
        let shown = Text::Values("<NO-CARRIER,UP> UPPER".into()).on(screen);
        assert_eq!(shown, "<\x1b[31mNO-CARRIER\x1b[0m,\x1b[32mUP\x1b[0m> UPPER");
        assert_eq!(Text::Plain("UP".into()).on(screen), "UP");
    }

    #[test]
    fn only_the_output_of_a_program_passes_unchanged() {
        let steering = "\x1b[2J".to_owned();
        assert_eq!(Text::Plain(steering.clone()).on(SCREEN), "\\u{1b}[2J");
        assert_eq!(Text::Values(steering.clone()).on(SCREEN), "\\u{1b}[2J");
        assert_eq!(Text::Output(steering).on(SCREEN), "\x1b[2J");
    }
}
