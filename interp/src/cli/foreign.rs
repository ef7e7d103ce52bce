//! Words that are not commands of nslab, and scripts of other languages: what to type instead.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::console::Console;
use crate::status::Status;

/// How much of a file is read to find its first line.
const BEGINNING: u64 = 256;

/// The program that runs the script in the regular file at `path`, if that is not a Rhai script.
pub(super) fn interpreter_of(path: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    if path.is_file() {
        File::open(path).ok()?.take(BEGINNING).read_to_end(&mut beginning).ok()?;
        return interpreter(path, &String::from_utf8_lossy(&beginning));
    }
    None
}

/// The program by the first line of the script, or else by the ending of its name.
fn interpreter(path: &Path, text: &str) -> Option<String> {
    let named = match path.extension().and_then(|ending| ending.to_str()) {
        Some("rhai") => return None,
        Some("bash") => Some("bash"),
        Some("sh") => Some("sh"),
        _ => None,
    };
    let first = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    let words = first.into_iter().flat_map(str::split_whitespace);
    // Words such as `/usr/bin/env` and `-S` come before the program.
    let programs = words.filter(|word| !word.starts_with('-')).filter_map(|word| word.rsplit('/').next());
    let program = programs.into_iter().find(|program| *program != "env");
    program.or(named).filter(|program| *program != "nslab").map(str::to_owned)
}

/// Refuses to run a script of another language.
pub(super) fn refuse(console: &Console, program: &str, path: &Path) -> Status {
    let path = path.display();
    console.error(&format!("`{path}` is a script for `{program}`, and `nslab run` runs Rhai scripts"));
    console.note(&format!("hint: `nslab exec -- {program} {path}` runs it in a private lab"));
    Status::Failed
}

/// What to type instead of `nslab WORD`, where WORD is not a command: a script without `run`, a program without `exec`.
pub(super) fn instead_of(word: &str) -> Option<String> {
    let path = Path::new(word);
    if path.extension().is_some_and(|ending| ending == "rhai") {
        return Some(format!("`nslab run {word}` runs the script"));
    }
    if let Some(program) = interpreter_of(path) {
        return Some(format!("`nslab exec -- {program} {word}` runs the script in a private lab"));
    }
    let is_in = |directory: std::path::PathBuf| directory.join(word).is_file();
    let is_program = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(is_in));
    is_program.then(|| format!("`nslab exec -- {word} …` runs the program in a private lab"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(path: &str, text: &str) -> Option<String> {
        interpreter(Path::new(path), text)
    }

    #[test]
    fn the_first_line_names_the_program_of_a_script() {
        assert_eq!(runs("x", "#!/bin/bash\n").as_deref(), Some("bash"));
        assert_eq!(runs("x.sh", "#! /usr/bin/env -S python3 -u\n").as_deref(), Some("python3"));
        assert_eq!(runs("x.sh", "set -e\n").as_deref(), Some("sh"));
        assert_eq!(runs("x.bash", "").as_deref(), Some("bash"));
    }

    #[test]
    fn a_rhai_script_has_no_other_program() {
        assert_eq!(runs("x", "#!/usr/bin/env -S nslab run\n"), None);
        assert_eq!(runs("x.rhai", "#!/usr/bin/nslab run\n"), None);
        assert_eq!(runs("x", "let x = 1;"), None);
        assert_eq!(runs("-", ""), None);
    }
}
