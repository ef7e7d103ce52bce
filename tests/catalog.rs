//! The table of functions: its form, its examples, and the recorded reference.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{NOBODY, Need, Shell, Trial, examples, functions, is_recorded};

#[trial(anywhere)]
fn no_name_is_there_twice() {
    let all = functions();
    assert!(all.len() > 30, "{}", all.len());
    let names: BTreeSet<_> = all.iter().map(|function| &function.name).collect();
    assert_eq!(names.len(), all.len());
}

#[trial(anywhere)]
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

#[trial(anywhere)]
fn every_text_begins_with_a_sentence_in_the_third_person() {
    for function in functions() {
        let paragraph = function.doc.trim().split("\n\n").next().unwrap().replace('\n', " ");
        let verb = paragraph.split(' ').next().unwrap();
        assert!(verb.chars().next().is_some_and(char::is_uppercase), "{}: {paragraph}", function.name);
        assert!(verb.ends_with('s') && !verb.ends_with("ss"), "{}: {paragraph}", function.name);
        assert!(paragraph.ends_with('.'), "{}: {paragraph}", function.name);
    }
}

#[trial(anywhere)]
fn every_function_has_an_example_that_uses_it() {
    for function in functions() {
        let all = examples(&function.doc);
        assert!(!all.is_empty(), "{} has no example", function.name);
        assert!(all.concat().contains(&function.name), "{}: the example does not use it", function.name);
    }
}

/// One trial for the examples of each function, and one more without privileges.
#[trials]
fn examples_of_functions() -> Vec<Trial> {
    let mut trials = Vec::new();
    for function in functions() {
        let (name, scripts, features) = (&function.name, examples(&function.doc), function.features());
        trials.push(run_all(format!("catalog::examples_of_{name}"), scripts.clone(), &features, None));
        let name = format!("catalog::examples_of_{name}_without_privileges");
        trials.push(run_all(name, scripts, &features, Some(NOBODY)));
    }
    trials
}

/// One trial for the examples of each document.
#[trials]
fn examples_of_documents() -> Vec<Trial> {
    let documents =
        crate::files(&crate::root(), ".md").into_iter().filter(|path| !path.ends_with("tests/golden/reference.md"));
    let trials: Vec<_> = documents
        .filter_map(|path| {
            let scripts = examples(&fs::read_to_string(&path).unwrap());
            let name = path.strip_prefix(crate::root()).unwrap().display().to_string();
            (!scripts.is_empty()).then(|| run_all(format!("catalog::examples_of_{name}"), scripts, &[], None))
        })
        .collect();
    assert!(!trials.is_empty(), "no document has an example");
    trials
}

/// A trial that runs each script in a lab of its own. It needs the kernel features that the function needs, and the
/// tools that the scripts start.
fn run_all(name: String, scripts: Vec<String>, features: &[String], user: Option<u32>) -> Trial {
    let mut needs = Need::of_script(&scripts.concat());
    needs.extend(features.iter().map(|feature| Need::of(feature)));
    Trial::new(name, needs, move || {
        for script in scripts {
            let shell = Shell::new().command(["run", "-"]).stdin(&script);
            let shell = if let Some(user) = user { shell.user(user) } else { shell };
            let outcome = shell.run();
            assert_eq!(outcome.errors(), "", "{script}");
            outcome.status(0);
        }
    })
}

#[trial(anywhere)]
fn the_reference_is_recorded() {
    is_recorded("reference.md", Shell::new().command(["reference"]).run().success().text());
}
