//! The recorded session in `docs/session.md`: the same lines, typed again, show the same.

use std::fs;

use super::with_holes;
use crate::common::{Shell, difference};

/// Printed between two inputs: it parts what each of them shows.
const MARK: &str = "--8<--";
const PROMPT: &str = "nslab> ";

/// An input, and what it showed.
struct Step {
    input: String,
    shown: String,
}

/// Types the inputs of the record and compares what each shows.
#[trial(lo_alone)]
fn the_session_of_the_document() {
    let text = fs::read_to_string(crate::root().join("docs/session.md")).unwrap();
    let record = text.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in record.lines() {
        match (line.strip_prefix(PROMPT), steps.last_mut()) {
            (Some(input), _) => steps.push(Step { input: input.to_owned(), shown: String::new() }),
            // A notice of an event comes at any time.
            (None, Some(_)) if line.starts_with('[') => {}
            (None, Some(step)) => step.shown.extend([line, "\n"]),
            (None, None) => {} // the welcome
        }
    }
    // An error goes to standard error, and ends a session from a pipe.
    let steps: Vec<Step> = steps.into_iter().filter(|step| !step.shown.starts_with("error:")).collect();
    let typed: String = steps.iter().flat_map(|step| [&step.input, "\nprint(\"", MARK, "\")\n"]).collect();
    let outcome = Shell::new().stdin(typed).run().status(0);
    for (step, shown) in steps.iter().zip(outcome.text().split(&format!("{MARK}\n"))) {
        let differs = difference(&comparable(&step.shown), &comparable(shown));
        assert!(differs.is_empty(), "docs/session.md: `{}` shows something else now\n{differs}", step.input);
    }
}

/// The text without what varies: addresses that follow from hardware addresses, and the state of IPv6.
fn comparable(text: &str) -> String {
    let is_inode =
        |word: &str| word.len() == 10 && word.starts_with("40265") && word.bytes().all(|b| b.is_ascii_digit());
    let words = |line: &str| -> String {
        let kept = line.split_whitespace().filter(|word| *word != "tentative");
        let words = kept.map(|word| match word {
            _ if word.starts_with("fe80:") => "[LINKLOCAL]",
            _ if is_inode(word) => "[INODE]",
            // The kernel sees a moment later that the other end is down.
            "LOWERLAYERDOWN" => "DOWN",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = text.lines().map(words).filter(|line| !line.is_empty()).collect();
    with_holes(&lines.join("\n"))
}
