//! Recorded texts, and texts that differ shown as a unified diff.

use std::fs;

use similar::TextDiff;

use super::trials::current;

/// The unified diff from `wanted` to `got`; empty if they are equal.
pub(crate) fn difference(wanted: &str, got: &str) -> String {
    TextDiff::from_lines(wanted, got).unified_diff().header("wanted", "got").to_string()
}

/// Compares with the text that is recorded in `tests/golden`. With `NSLAB_RECORD` in the environment it is recorded again.
/// Blanks at the ends of lines, which editors remove, do not count.
#[track_caller]
pub(crate) fn is_recorded(name: &str, text: &str) {
    let path = crate::root().join("tests/golden").join(name);
    let text: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    if std::env::var_os("NSLAB_RECORD").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
        return;
    }
    let differs = difference(&fs::read_to_string(&path).unwrap_or_default(), &text);
    let trial = current().unwrap_or_default();
    assert!(
        differs.is_empty(),
        "tests/golden/{name} is not what is printed now\n{differs}\
         If it should be: NSLAB_RECORD=1 cargo test -p nslab --test integration -- --exact '{trial}'"
    );
}

#[trial(anywhere)]
fn a_text_that_differs_is_shown_as_a_diff() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), "");
    assert_eq!(difference("a\nb\n", "a\nc\n"), "--- wanted\n+++ got\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
}
