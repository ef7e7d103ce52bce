//! Escapes foreign text, so that it cannot steer the terminal or reorder what stands around it.

use stdlib::name::printable;

/// The text with control characters and invisible characters escaped. Line ends and tabs stay.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(['\n', '\t']) {
        let body = piece.trim_end_matches(['\n', '\t']);
        let end = &piece[body.len()..];
        let body = if end == "\n" { body.strip_suffix('\r').unwrap_or(body) } else { body };
        // The Unicode line separators are no control characters, but a terminal may break the line there.
        out.push_str(&printable(body).replace('\u{2028}', "\\u{2028}").replace('\u{2029}', "\\u{2029}"));
        out.push_str(end);
    }
    out
}

/// Where the byte `at` of `text` is in `escaped(text)`.
#[must_use]
pub fn escaped_offset(text: &str, at: usize) -> usize {
    let before = &text[..at];
    let before = if text[at..].starts_with('\n') { before.strip_suffix('\r').unwrap_or(before) } else { before };
    escaped(before).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_remains() {
        assert_eq!(escaped("a\x1b[2J\x07\u{202e}\u{2028}b"), "a\\u{1b}[2J\\u{7}\\u{202e}\\u{2028}b");
        assert_eq!(escaped("a\rb\r\n\tc é\r\n"), "a\\rb\n\tc é\n");
    }

    #[test]
    fn offsets_follow_the_text() {
        let text = "\x1bé\r\nab";
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
            assert!(escaped(text)[escaped_offset(text, at)..].starts_with(c), "{at}");
        }
        assert_eq!(escaped_offset(text, 4), escaped(text).find('\n').unwrap());
    }
}
