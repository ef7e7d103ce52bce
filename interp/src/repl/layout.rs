//! Lays out text for a terminal: wraps paragraphs, aligns columns, keeps lines within the width.

use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter};

/// The paragraphs of a text, each wrapped to `width` and indented. Blank lines separate paragraphs.
#[must_use]
pub fn paragraphs(text: &str, width: usize, indent: &str) -> String {
    let wrapped = text.trim().split("\n\n").map(|paragraph| wrap(&joined(paragraph), width, indent, indent));
    wrapped.collect::<Vec<_>>().join("\n\n")
}

/// A row each: the left part, and the right part wrapped beside it.
#[must_use]
pub fn beside(rows: &[(String, String)], width: usize) -> String {
    let left = widest(rows);
    let line = |(name, text): &(String, String)| {
        let first = format!("  {}{}  ", name, " ".repeat(left - display_width(name).min(left)));
        wrap(&joined(text), width, &first, &" ".repeat(left + 4))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A line for each row: both parts aligned, cut to `width`.
#[must_use]
pub fn lines(rows: &[(String, String)], width: usize) -> Vec<String> {
    let left = widest(rows).min(width * 3 / 5);
    let line = |(name, text): &(String, String)| {
        if text.is_empty() {
            return name.clone();
        }
        let name = cut(name, left);
        cut(&format!("{name}{}  {}", " ".repeat(left - display_width(&name)), joined(text)), width)
    };
    rows.iter().map(line).collect()
}

fn widest(rows: &[(String, String)]) -> usize {
    rows.iter().map(|(name, _)| display_width(name)).max().unwrap_or(0)
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wrap(text: &str, width: usize, first: &str, others: &str) -> String {
    let options = Options::new(width.max(20))
        .initial_indent(first)
        .subsequent_indent(others)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}

/// The beginning that fits into `width`, with `…` for the rest.
fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if display_width(&kept) + display_width(c.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn columns_are_aligned_and_cut() {
        let shown = lines(&rows(&[("ping(", "Sends echo requests."), ("é", "One."), ("plain", "")]), 16);
        assert_eq!(shown, ["ping(  Sends ec…", "é      One.", "plain"]);
    }

    #[test]
    fn text_is_wrapped_beside_its_name() {
        let shown = beside(&rows(&[("count", "requests to send, 1 to 65535"), ("ttl", "routers")]), 24);
        assert_eq!(shown, "  count  requests to\n         send, 1 to\n         65535\n  ttl    routers");
    }

    #[test]
    fn blank_lines_separate_paragraphs() {
        assert_eq!(paragraphs("one\ntwo three four five\n\nsix", 20, ""), "one two three four\nfive\n\nsix");
    }
}
