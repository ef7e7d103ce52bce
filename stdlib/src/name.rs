//! Names of namespaces, links and labs, checked once at the edge.

use std::fmt;

use crate::error::{Error, Result};

/// The name of a network namespace: one plain file name below `/run/netns`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NsName(String);

impl NsName {
    /// Accepts letters, digits, `_`, `.`, `-` and not more than 255 bytes; the first is a letter, a digit or `_`.
    ///
    /// iproute2 accepts more (blanks, newlines, a leading dash): names that no listing can show and no command line
    /// can take.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self> {
        check("namespace name", name, 255, |c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))?;
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a kept lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabName(String);

impl LabName {
    /// Accepts what [`NsName::new`] accepts, up to 64 bytes, but no number: that is the PID of a lab.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self> {
        check("lab name", name, 64, |c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))?;
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::usage(format!("bad lab name `{name}`: a number is the PID of a lab"))
                .hint("begin the name with a letter"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0) // `new` accepts no character that would have to be escaped
    }
}

/// The longest name of a link (`IFNAMSIZ` without the NUL), and the longest alternative name (`ALTIFNAMSIZ`).
const NAME_BYTES: usize = 15;
const ALTERNATIVE_BYTES: usize = 127;

/// The name of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(String);

impl IfName {
    /// Accepts what the kernel takes *and keeps as it is*.
    ///
    /// `dev_valid_name()` (net/core/dev.c) refuses blanks, `/`, `:`, `.` and `..`; it would rewrite `%d`, and
    /// it takes control bytes, which no terminal should be shown.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self> {
        Self::of(name, NAME_BYTES)
    }

    /// As [`IfName::new`], for a link that exists: it may be an alternative name (`ip link property add altname NAME`).
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn existing(name: &str) -> Result<Self> {
        Self::of(name, ALTERNATIVE_BYTES)
    }

    fn of(name: &str, longest: usize) -> Result<Self> {
        check("link name", name, longest, |c| {
            !c.is_whitespace()
                && !c.is_control()
                && !is_invisible(c)
                && !matches!(c, '/' | ':' | '%' | '\\' | '`' | '"' | '\'')
        })?;
        if matches!(name, "all" | "default") {
            return Err(Error::usage(format!("bad link name `{name}`: it is a directory of /proc/sys/net/ipv4/conf"))
                .hint("choose another name"));
        }
        Ok(Self(name.to_owned()))
    }

    /// Whether it can only be an alternative name.
    pub(crate) fn is_long(&self) -> bool {
        self.0.len() > NAME_BYTES
    }

    /// A name that the kernel reported.
    pub(crate) fn from_kernel(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

fn check(what: &str, name: &str, longest: usize, allowed: impl Fn(char) -> bool) -> Result<()> {
    let bad = |why: String| {
        let shown: String = printable(name).chars().take(40).collect();
        let dots = if name.chars().count() > 40 { "…" } else { "" };
        Error::usage(format!("bad {what} `{shown}{dots}`: {why}"))
            .hint("use letters, digits, `_`, `.` and `-`, beginning with a letter or a digit")
    };
    if name.is_empty() {
        return Err(bad("it is empty".into()));
    }
    if name.len() > longest {
        return Err(bad(format!("{} bytes, the kernel takes {longest}", name.len())).only_hint("choose a shorter name"));
    }
    if name == "." || name == ".." {
        return Err(bad("it is a directory".into()));
    }
    if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        return Err(bad(format!("it contains {c:?}")));
    }
    if name.starts_with(['-', '.']) {
        return Err(bad(format!("it begins with {:?}", &name[..1])));
    }
    Ok(())
}

/// Characters that change how the text around them is shown (U+202E and its kin).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` with control characters and direction marks escaped.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The beginning of `text`, escaped: what an error quotes of a value.
#[must_use]
pub(crate) fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = printable(text).chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused_and_never_shown_raw() {
        let long = "x".repeat(65_536);
        let names = [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../x",
            "/etc/x",
            "-x",
            "-rf",
            "--",
            "%d",
            "a%d",
            "a\0b",
            "a\nb",
            "a\tb",
            "a b",
            "a:b",
            "\u{202e}x",
            "\x1b[2J",
            &long,
        ];
        for name in names {
            for error in [NsName::new(name).unwrap_err(), IfName::new(name).unwrap_err()] {
                assert!(!error.to_string().contains(['\x1b', '\n', '\0', '\u{202e}']), "{error}");
                assert!(error.to_string().len() < 200);
            }
        }
        for name in names.iter().chain(&["1", "4711"]) {
            LabName::new(name).unwrap_err();
        }
        IfName::new("sixteen-letters-").unwrap_err();
        IfName::new("all").unwrap_err();
    }

    #[test]
    fn ordinary_names_pass() {
        for name in ["netns1", "veth0", "1", "lo", "br-lan.10", "ünï", "list", "self"] {
            NsName::new(name).unwrap();
            IfName::new(name).unwrap();
        }
    }
}
