//! Words as a POSIX shell takes them: on one line, and without characters that a terminal obeys.

use crate::name::printable;

/// One word of a command, or why there is no such word.
pub(crate) fn quoted(word: &str) -> Result<String, String> {
    if printable(word) == word {
        return shlex::try_quote(word).map(Into::into).map_err(|error| error.to_string());
    }
    if word.contains('\0') {
        return Err("no word contains a NUL byte".into());
    }
    if word.ends_with('\n') {
        return Err("a command substitution drops the newline at the end of a word".into());
    }
    Ok(format!("\"$(printf %b {})\"", escaped(word)))
}

/// A text as an argument of `printf %b`.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::from("'");
    for c in text.chars() {
        match c {
            '\\' => shown += r"\\",
            '\'' => shown += r"'\''",
            '\n' => shown += r"\n",
            c if printable(&c.to_string()).starts_with('\\') => {
                let bytes = c.to_string().into_bytes();
                shown.extend(bytes.iter().map(|byte| format!(r"\0{byte:03o}")));
            }
            c => shown.push(c),
        }
    }
    shown + "'"
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a shell reads the words")]
    fn a_shell_reads_each_word_as_it_was_and_no_control_character_is_in_the_command() {
        for word in ["a", "", "a b", "it's", "$HOME `id` \\n", "a\nb", "\x1b[31m'red'\\0", "\u{202e}x", "%s\t%d", "-x"]
        {
            let command = format!("printf '%s;' {}", quoted(word).unwrap());
            assert_eq!(printable(&command), command);
            let output = Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{word};"), "{command}");
        }
        assert!(quoted("a\n").is_err() && quoted("\0").is_err());
    }
}
