//! Escapes that are none: in a string between backticks a backslash stands for itself.

use super::tokens::tokens;

/// The offsets of `\n`, `\t` and `\r` in strings between backticks, outside of `${…}` and of quotes inside: those are
/// of a program in another language, which has escapes of its own.
#[must_use]
pub fn literal_escapes(text: &str) -> Vec<usize> {
    let strings = tokens(text).into_iter().filter(|token| text[token.range.clone()].starts_with('`'));
    strings
        .flat_map(|token| in_string(&text[token.range.clone()]).into_iter().map(move |at| token.range.start + at))
        .collect()
}

fn in_string(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quote, mut found) = (0_usize, None, Vec::new());
    for (at, pair) in bytes.windows(2).enumerate() {
        let is_code = depth > 0;
        match pair {
            b"${" => depth += 1,
            [b'{', _] if is_code && bytes[at - 1] != b'$' => depth += 1,
            [b'}', _] if is_code => depth -= 1,
            _ if is_code => {}
            [b'"' | b'\'', _] if quote == Some(pair[0]) => quote = None,
            // An apostrophe in a word opens nothing.
            [b'"', _] if quote.is_none() => quote = Some(b'"'),
            [b'\'', _] if quote.is_none() && !bytes[at - 1].is_ascii_alphanumeric() => quote = Some(b'\''),
            [b'\\', b'n' | b't' | b'r'] if quote.is_none() => found.push(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backticks_outside_of_code() {
        assert_eq!(literal_escapes(r#"print("a\n"); print(`b\n ${c} \t`);"#), [22, 30]);
        assert_eq!(literal_escapes(r#"`${x.join("\n")} ${ #{a: "\t"}.a } ok` // `\n`"#), [0; 0]);
        assert_eq!(literal_escapes(r"`a\x` 'n'"), [0; 0]);
        assert_eq!(literal_escapes(r"`\n"), [1]);
        assert_eq!(literal_escapes(r#"`printf "a\n" 'b\n'; print "don't";\t`"#), [35]);
        assert_eq!(literal_escapes(r"`don't \n`"), [7]);
    }
}
