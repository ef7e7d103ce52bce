//! Cuts the long lines of a source to a width, around what is marked in them.

use std::ops::Range;

/// What stands for the part of a line that is cut.
const ELLIPSIS: &str = "…";

/// A source with cut lines.
pub(super) struct Cut {
    /// The text to show.
    pub(super) text: String,
    lines: Vec<Line>,
}

/// One line: its bytes in the source, the bytes of it that are kept, and where these begin in the cut text.
struct Line {
    whole: Range<usize>,
    kept: Range<usize>,
    at: usize,
}

impl Cut {
    /// Cuts the lines of `text` that have more than `width` characters. `marks` are byte ranges; the first in a line
    /// decides which part of the line is kept.
    pub(super) fn new(text: &str, width: usize, marks: &[Range<usize>]) -> Self {
        let mut cut = Self { text: String::with_capacity(text.len().min(1 << 16)), lines: Vec::new() };
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let body = line.trim_end_matches('\n');
            let whole = start..start + body.len();
            let mark = marks.iter().find(|mark| whole.start <= mark.start && mark.start <= whole.end);
            let kept = window(body, width, mark.map_or(0, |mark| mark.start - whole.start));
            let kept = start + kept.start..start + kept.end;
            if kept.start > whole.start {
                cut.text.push_str(ELLIPSIS);
            }
            let at = cut.text.len();
            cut.text.push_str(&text[kept.clone()]);
            if kept.end < whole.end {
                cut.text.push_str(ELLIPSIS);
            }
            cut.text.push_str(&line[body.len()..]);
            cut.lines.push(Line { whole, kept, at });
            start += line.len();
        }
        cut
    }

    /// Where a range of the source is in the cut text. What is cut of it lies at the edge.
    pub(super) fn range(&self, of: &Range<usize>) -> Range<usize> {
        let at = |byte: usize| {
            let Some(line) = self.line(byte) else { return self.text.len() };
            line.at + byte.clamp(line.kept.start, line.kept.end) - line.kept.start
        };
        at(of.start)..at(of.end)
    }

    /// The column of a byte of the source in the source and in the cut text, from 1; none where both are the same.
    pub(super) fn columns(&self, source: &str, byte: usize) -> Option<(usize, usize)> {
        let line = self.line(byte).filter(|line| line.kept.start > line.whole.start)?;
        let kept = source[line.kept.start..byte.max(line.kept.start)].chars().count();
        Some((source[line.whole.start..byte].chars().count() + 1, kept + ELLIPSIS.chars().count() + 1))
    }

    fn line(&self, byte: usize) -> Option<&Line> {
        self.lines.get(self.lines.partition_point(|line| line.whole.end < byte))
    }
}

/// The bytes of a line that are kept: all of a short one; of a long one, what surrounds the byte `mark`.
fn window(line: &str, width: usize, mark: usize) -> Range<usize> {
    let total = line.chars().count();
    if total <= width {
        return 0..line.len();
    }
    let kept = width.saturating_sub(2).max(1); // an ellipsis at both ends
    let before = line[..mark].chars().count().saturating_sub(kept / 3);
    let first = before.min(total - kept);
    let byte = |n: usize| line.char_indices().nth(n).map_or(line.len(), |(byte, _)| byte);
    byte(first)..byte(first + kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lines_stay() {
        let mark = 2..5;
        let cut = Cut::new("a\nbé\n\nc", 4, std::slice::from_ref(&mark));
        assert_eq!(cut.text, "a\nbé\n\nc");
        assert_eq!((cut.range(&mark), cut.columns("a\nbé\n\nc", 2)), (mark, None));
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let source = format!("x\n{}é!{}\nlonger than ten", "a".repeat(100), "b".repeat(100));
        let mark = 102..104;
        let cut = Cut::new(&source, 10, std::slice::from_ref(&mark));
        assert_eq!(cut.text, "x\n…aaé!bbbb…\nlonger t…");
        assert_eq!(&cut.text[cut.range(&mark)], "é");
        assert_eq!(cut.columns(&source, mark.start), Some((101, 4)));
        assert_eq!(&cut.text[cut.range(&(102..204))], "é!bbbb");
    }

    #[test]
    fn the_ends_of_a_long_line() {
        let source = "0123456789";
        for (mark, text, marked) in [(0..1, "01…", "0"), (9..10, "…89", "9"), (4..10, "…45…", "45")] {
            let cut = Cut::new(source, 4, std::slice::from_ref(&mark));
            assert_eq!((cut.text.as_str(), &cut.text[cut.range(&mark)]), (text, marked), "{mark:?}");
        }
    }
}
