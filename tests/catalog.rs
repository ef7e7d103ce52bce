//! The table of functions: its form, its examples, and the recorded reference.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{NOBODY, Shell, examples, functions, is_recorded};

#[test]
fn no_name_is_there_twice() {
    let all = functions();
    assert!(all.len() > 30, "{}", all.len());
    let names: BTreeSet<_> = all.iter().map(|function| &function.name).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn names_are_snake_case_and_parameters_are_words() {
    let snake = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    for function in functions() {
        assert!(snake(&function.name), "{}", function.signature);
        for parameter in &function.parameters {
            assert!(snake(&parameter.name), "{}", function.signature);
            // A closure is an `f`; two ends of a cable, two namespaces to compare, are `a` and `b`.
            let short = parameter.of == "closure" || ["a", "b"].contains(&parameter.name.as_str());
            assert!(short || parameter.name.len() > 1, "{}", function.signature);
        }
    }
}

#[test]
fn every_text_begins_with_a_sentence_in_the_third_person() {
    for function in functions() {
        let paragraph = function.doc.trim().split("\n\n").next().unwrap().replace('\n', " ");
        let verb = paragraph.split(' ').next().unwrap();
        assert!(verb.chars().next().is_some_and(char::is_uppercase), "{}: {paragraph}", function.name);
        assert!(verb.ends_with('s') && !verb.ends_with("ss"), "{}: {paragraph}", function.name);
        assert!(paragraph.ends_with('.'), "{}: {paragraph}", function.name);
    }
}

#[test]
fn every_function_has_an_example_that_uses_it() {
    for function in functions() {
        let all = examples(&function.doc);
        assert!(!all.is_empty(), "{} has no example", function.name);
        assert!(all.concat().contains(&function.name), "{}: the example does not use it", function.name);
    }
}

/// Each in a lab of its own.
#[test]
fn every_example_runs() {
    for function in functions() {
        for (n, example) in examples(&function.doc).into_iter().enumerate() {
            println!("{} {n}\n{example}", function.name);
            Shell::new().command(["run", "-"]).stdin(example).run().success();
        }
    }
}

#[test]
fn every_example_runs_without_privileges() {
    for function in functions() {
        for (n, example) in examples(&function.doc).into_iter().enumerate() {
            println!("{} {n}\n{example}", function.name);
            Shell::new().command(["run", "-"]).user(NOBODY).stdin(example).run().success();
        }
    }
}

#[test]
fn every_example_of_the_documents_runs() {
    let mut count = 0;
    for path in crate::files(&crate::root(), ".md") {
        if path.ends_with("tests/golden/reference.md") {
            continue; // these are the examples of the functions
        }
        for (n, example) in examples(&fs::read_to_string(&path).unwrap()).into_iter().enumerate() {
            println!("{} {n}\n{example}", path.display());
            Shell::new().command(["run", "-"]).stdin(example).run().status(0);
            count += 1;
        }
    }
    assert!(count > 0, "no document has an example");
}

#[test]
fn the_reference_is_recorded() {
    is_recorded("reference.md", Shell::new().command(["reference"]).run().success().text());
}
