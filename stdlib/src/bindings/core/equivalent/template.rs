//! Templates of commands: literal text, holes, and groups that may vanish.
//!
//! | in the text | means |
//! |---|---|
//! | `LINK` | a hole: the value of the parameter, or of the option's key, with that name in capitals |
//! | `[via VIA]` | a group: it vanishes if one of its holes has no value |
//! | `[nodad]` | a group without a hole, a switch: it vanishes unless its first word is switched on |
//! | `&&` | what follows is a command of its own, on a line of its own |
//! | <code>&#124;</code> | a pipe: what follows runs where the call works, what precedes runs in the shell |

use super::values::Values;

/// A template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(String),
    Group(Vec<Part>),
    Then,
    Pipe,
}

/// A template with values in its holes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub lines: Vec<Line>,
    /// How many holes it has.
    pub used: usize,
}

/// One line of a filled template.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// What runs in the shell and feeds the command.
    pub feeder: String,
    pub command: String,
}

/// Why a template cannot be filled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// No argument belongs to a hole: the template is for other arguments.
    NoValue,
    /// The argument has nothing that a command could name.
    Impossible(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Self {
        Self(parts(&mut { text }))
    }

    /// The names of its holes.
    #[cfg(test)]
    pub(super) fn holes(&self) -> Vec<&str> {
        fn holes(parts: &[Part]) -> Vec<&str> {
            parts
                .iter()
                .flat_map(|part| match part {
                    Part::Hole(name) => vec![name.as_str()],
                    Part::Group(inner) => holes(inner),
                    _ => Vec::new(),
                })
                .collect()
        }
        holes(&self.0)
    }

    pub(super) fn fill(&self, values: &Values<'_>) -> Result<Filled, Gap> {
        let mut filled = Filled { lines: vec![Line::default()], used: 0 };
        fill(&self.0, values, &mut filled)?;
        for line in &mut filled.lines {
            line.command.truncate(line.command.trim_end().len());
        }
        filled.lines.retain(|line| !line.command.is_empty());
        Ok(filled)
    }
}

/// Reads parts up to the end of the text or of the group, and takes them off it.
fn parts(rest: &mut &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    loop {
        let part = if let Some(after) = rest.strip_prefix('[') {
            *rest = after;
            Some(Part::Group(self::parts(rest)))
        } else if let Some(after) = rest.strip_prefix("&&") {
            *rest = after;
            Some(Part::Then)
        } else if let Some(after) = rest.strip_prefix('|') {
            *rest = after;
            Some(Part::Pipe)
        } else if let Some(length) = hole(text.chars().last(), rest) {
            let (name, after) = rest.split_at(length);
            *rest = after;
            Some(Part::Hole(name.to_owned()))
        } else {
            None
        };
        let next = rest.chars().next();
        let ends = part.is_none() && next.is_none_or(|c| c == ']');
        if (part.is_some() || ends) && !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        match (part, next) {
            (Some(part), _) => parts.push(part),
            (None, Some(c)) => {
                *rest = &rest[c.len_utf8()..];
                if ends {
                    return parts;
                }
                text.push(c);
            }
            (None, None) => return parts,
        }
    }
}

/// The length of the hole that `rest` begins with: capitals and underscores that are a word. `-W` and `$PWD` are none.
fn hole(before: Option<char>, rest: &str) -> Option<usize> {
    let length = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
    let is_word_before = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '$'));
    let is_word_after = rest[length..].starts_with(char::is_alphanumeric);
    (length > 0 && !is_word_before && !is_word_after && !rest.starts_with('_')).then_some(length)
}

fn fill(parts: &[Part], values: &Values<'_>, filled: &mut Filled) -> Result<(), Gap> {
    for part in parts {
        match part {
            Part::Group(inner) => {
                if is_shown(inner, values)? {
                    fill(inner, values, filled)?;
                }
            }
            Part::Then => filled.lines.push(Line::default()),
            Part::Pipe => {
                if let Some(line) = filled.lines.last_mut() {
                    line.feeder = std::mem::take(&mut line.command) + "| ";
                }
            }
            Part::Text(text) => push(filled, text),
            Part::Hole(name) => {
                let value = values.get(name).ok_or(Gap::NoValue)?.map_err(Gap::Impossible)?;
                filled.used += 1;
                if let Some(line) = filled.lines.last_mut() {
                    line.command += &value;
                }
            }
        }
    }
    Ok(())
}

/// Adds literal text. Where a group has vanished, one blank is left of two.
fn push(filled: &mut Filled, text: &str) {
    let Some(line) = filled.lines.last_mut() else { return };
    let follows_a_blank = line.command.is_empty() || line.command.ends_with(' ');
    line.command += if follows_a_blank { text.trim_start() } else { text };
}

/// Whether a group has all that it needs.
fn is_shown(parts: &[Part], values: &Values<'_>) -> Result<bool, Gap> {
    let mut holes =
        parts.iter().filter_map(|part| if let Part::Hole(name) = part { Some(name) } else { None }).peekable();
    if holes.peek().is_none() {
        let text = parts.iter().find_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
        return Ok(text.and_then(|text| text.split_whitespace().next()).is_some_and(|word| values.is_on(word)));
    }
    for name in holes {
        match values.get(name) {
            None => return Ok(false),
            Some(Err(why)) => return Err(Gap::Impossible(why)),
            Some(Ok(_)) => {}
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    /// The lines of a template that gets `A` = 1, `ADDR` = x y, the switch `on`, and no way to fill `BAD`.
    fn lines(template: &str) -> Result<Vec<(String, String)>, Gap> {
        let lab = Lab::here(None).unwrap();
        let mut values = Values::new(&lab);
        values.set("a", 1);
        values.set("addr", "x y");
        values.switch("on", true);
        values.put("bad", Err("it has none".into()));
        let filled = Template::parse(template).fill(&values)?;
        Ok(filled.lines.into_iter().map(|line| (line.feeder, line.command)).collect())
    }

    fn one(template: &str) -> String {
        let lines = lines(template).unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].1.clone()
    }

    #[test]
    fn holes_are_words_in_capitals_and_get_quoted_values() {
        assert_eq!(one("ping -W A -t A ADDR"), "ping -W 1 -t 1 'x y'");
        assert_eq!(one("ls /proc/A/ns A=ADDR --pid=A"), "ls /proc/1/ns 1='x y' --pid=1");
        assert_eq!(one("x --wdns=\"$PWD\" ADDRess 4A"), "x --wdns=\"$PWD\" ADDRess 4A");
    }

    #[test]
    fn a_group_vanishes_with_its_blank() {
        assert_eq!(one("ip [via B] route [dev A] add [x [y B]z A]"), "ip route dev 1 add x z 1");
        assert_eq!(one("ip route [via B]"), "ip route");
        assert_eq!(one("[off -x] a [on -x] b"), "a on -x b");
    }

    #[test]
    fn a_template_has_lines_and_what_feeds_them() {
        let pair = |feeder: &str, command: &str| (feeder.to_owned(), command.to_owned());
        assert_eq!(lines("[a ADDR &&] b A"), Ok(vec![pair("", "a 'x y'"), pair("", "b 1")]));
        assert_eq!(lines("[a B &&] b A"), Ok(vec![pair("", "b 1")]));
        assert_eq!(lines("[off a] [&& on b]"), Ok(vec![pair("", "on b")]));
        assert_eq!(lines("[printf ADDR |] cat"), Ok(vec![pair("printf 'x y' | ", "cat")]));
    }

    #[test]
    fn a_hole_without_a_value_is_never_printed() {
        assert_eq!(lines("a B"), Err(Gap::NoValue));
        assert_eq!(lines("a BAD"), Err(Gap::Impossible("it has none".into())));
        assert_eq!(lines("a [BAD]"), Err(Gap::Impossible("it has none".into())));
    }
}
