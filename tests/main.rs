//! Integration tests of the `nslab` program: what it does, what it says, and that its sources keep their rules.

#![allow(clippy::disallowed_methods, reason = "tests start the program and the tools that they read back with")]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test fails by panicking")]
#![allow(clippy::needless_raw_string_hashes, reason = "scripts get quotes as they grow")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[macro_use]
extern crate nslab_trial;

mod bindings;
mod catalog;
mod cli;
mod common;
mod equivalent;
mod errors;
mod exec;
mod hostile;
mod ids;
mod isolation;
mod lab;
mod layers;
mod memory;
mod output;
mod pretend;
mod private;
mod repl;
mod scripts;
mod session;
mod tidy;

fn main() -> ExitCode {
    common::main()
}

/// The directory of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below `directory` with this ending, sorted.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The files that `file` declares with `mod name;` or `#[path = "…"]`.
fn declared(file: &Path) -> Vec<PathBuf> {
    let directory = file.parent().unwrap();
    let text = fs::read_to_string(file).unwrap();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';'));
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]"));
    let candidates = names.flat_map(|name| [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")]);
    candidates.chain(paths.map(|path| directory.join(path))).filter(|path| path.exists()).collect()
}

#[trial(anywhere)]
fn no_file_is_forgotten() {
    let mut known = BTreeSet::new();
    for manifest in ["interp/Cargo.toml", "stdlib/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let targets = text.lines().filter_map(|line| line.strip_prefix("path = \"../")?.strip_suffix('"'));
        known.extend(targets.map(|path| root().join(path)));
    }
    let mut open: Vec<PathBuf> = known.iter().filter(|path| path.starts_with(root().join("tests"))).cloned().collect();
    assert!(!open.is_empty(), "no test target is declared");
    while let Some(file) = open.pop() {
        for module in declared(&file) {
            if known.insert(module.clone()) {
                open.push(module);
            }
        }
    }
    known.insert(root().join("tests/trial/src/lib.rs")); // the library of a package of its own
    let forgotten: Vec<_> = files(&root().join("tests"), ".rs").into_iter().filter(|f| !known.contains(f)).collect();
    assert!(forgotten.is_empty(), "no target and no `mod` line knows {forgotten:?}");
}

/// The compiler leaves out a function below `#[test]` in a binary that does not use its harness.
#[trial(anywhere)]
fn no_trial_is_forgotten() {
    for path in files(&root().join("tests"), ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.lines().any(|line| line.trim() == "#[test]"), "{}: say #[trial]", path.display());
    }
}
