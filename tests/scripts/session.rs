//! The recorded session in `docs/session.md`: the same lines, typed again, show the same.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use super::holes::with_holes;
use super::{NSLAB, ROOT};

/// Printed between two inputs, so that it is known what each of them showed.
const MARK: &str = "--8<--";
const PROMPT: &str = "nslab> ";

/// What was typed, and what it showed.
struct Step {
    input: String,
    shown: String,
}

/// Types the inputs of the record and compares what each shows.
pub(crate) fn replay() -> Result<(), Failed> {
    let text = fs::read_to_string(format!("{ROOT}/docs/session.md"))?;
    let record = text.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next());
    let record = record.ok_or("docs/session.md has no record")?;
    let mut steps: Vec<Step> = Vec::new();
    for line in record.lines() {
        match (line.strip_prefix(PROMPT), steps.last_mut()) {
            (Some(input), _) => steps.push(Step { input: input.to_owned(), shown: String::new() }),
            // What happens without being asked comes when it comes.
            (None, Some(_)) if line.starts_with('[') => {}
            (None, Some(step)) => step.shown.extend([line, "\n"]),
            (None, None) => {} // the welcome
        }
    }
    // Errors go to standard error and end input from a pipe: they are a session's last line but one, and shown apart.
    let steps: Vec<Step> = steps.into_iter().filter(|step| !step.shown.starts_with("error:")).collect();
    let typed: String = steps.iter().flat_map(|step| [&step.input, "\nprint(\"", MARK, "\")\n"]).collect();
    let mut repl = Command::new(NSLAB).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    repl.stdin.take().ok_or("no pipe")?.write_all(typed.as_bytes())?;
    let output = repl.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the session ended with {}:\n{stderr}", output.status).into());
    }
    let stdout = String::from_utf8(output.stdout)?;
    for (step, shown) in steps.iter().zip(stdout.split(&format!("{MARK}\n"))) {
        let (now, then) = (comparable(shown), comparable(&step.shown));
        if now != then {
            return Err(format!("`{}` showed\n{now}\nbut the record says\n{then}", step.input).into());
        }
    }
    Ok(())
}

/// The text without what varies: addresses that follow from hardware addresses, and how far IPv6 has come with them.
fn comparable(text: &str) -> String {
    let is_inode =
        |word: &str| word.len() == 10 && word.starts_with("40265") && word.bytes().all(|b| b.is_ascii_digit());
    let words = |line: &str| -> String {
        let kept = line.split_whitespace().filter(|word| *word != "tentative");
        let words = kept.map(|word| match word {
            _ if word.starts_with("fe80:") => "[LINKLOCAL]",
            _ if is_inode(word) => "[INODE]",
            // The kernel finds out a moment later that it is the other end which is down.
            "LOWERLAYERDOWN" => "DOWN",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = text.lines().map(words).filter(|line| !line.is_empty()).collect();
    with_holes(&lines.join("\n"))
}
