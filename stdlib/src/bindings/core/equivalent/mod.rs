//! The equivalent commands of a call: what a root shell in the lab's root would type to do the same.
//!
//! The function's documentation has them, as a paragraph that begins with one of
//!
//! ```text
//! Like `ip link set dev LINK mtu BYTES`.
//! Like `ip netns delete NS` or `ip link delete dev LINK`.
//! No equivalent command: the descriptors are those of nslab.
//! ```
//!
//! The [`template`] module describes the notation. The parameters of the call fill the holes, each through
//! [`Arg::fill`](super::args::Arg::fill). Templates are written as typed in the namespace that the call works in; the
//! [`reach`] module puts the way into that namespace before them.

mod quote;
mod reach;
mod template;
mod values;

pub(crate) use quote::{escaped, quoted};
pub(crate) use reach::flag;
pub(crate) use values::Values;

use reach::Way;
use template::{Filled, Gap, Line, Template};

/// How a line begins that says why there is no command.
const NONE: &str = "no equivalent command: ";

/// What a documentation says about equivalent commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Equivalent {
    /// Alternatives. The one that takes the most arguments is meant.
    templates: Vec<Template>,
    /// Why there is none.
    none: Option<String>,
}

impl Equivalent {
    /// Reads the paragraph of a documentation.
    pub(crate) fn of(doc: &str) -> Self {
        let mut new = Self::default();
        for paragraph in doc.lines().map(str::trim).collect::<Vec<_>>().join("\n").split("\n\n") {
            let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            if text.starts_with("Like `") {
                new.templates = alternatives(&text["Like ".len()..]).map(Template::parse).collect();
            } else if let Some(reason) = text.strip_prefix("No equivalent command: ") {
                let sentence = crate::catalog::first_sentence(reason);
                new.none = Some(sentence.strip_suffix('.').unwrap_or(sentence).to_owned());
            }
        }
        new
    }

    /// The commands of a call, a line each, or the one line that says why there is none.
    pub(crate) fn lines(&self, values: &Values<'_>) -> Vec<String> {
        self.filled(values).unwrap_or_else(|reason| vec![format!("{NONE}{reason}")])
    }

    fn filled(&self, values: &Values<'_>) -> Result<Vec<String>, String> {
        let mut best: Option<Filled> = None;
        let mut reason = self.none.clone();
        for template in &self.templates {
            match template.fill(values) {
                Ok(filled) if best.as_ref().is_none_or(|best| filled.used > best.used) => best = Some(filled),
                Err(Gap::Impossible(why)) => reason = Some(why),
                Ok(_) | Err(Gap::NoValue) => {}
            }
        }
        match best {
            Some(filled) => {
                let way = values.way()?;
                Ok(filled.lines.iter().map(|line| typed(line, &way)).collect())
            }
            None => Err(reason.unwrap_or_else(|| "none takes these arguments".into())),
        }
    }
}

/// The line as it is typed in the lab's root.
fn typed(line: &Line, way: &Way) -> String {
    format!("{}{}", line.feeder, way.before(&line.command))
}

/// The quoted texts of `` `A` or `B` …``, up to the first that no "or" connects.
fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    let mut parts = text.split('`').skip(1);
    let first = parts.next();
    let rest = std::iter::from_fn(move || {
        let connector = parts.next()?;
        if matches!(connector, " or " | ", or ") { parts.next() } else { None }
    });
    first.into_iter().chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::families;
    use crate::catalog::signature;

    #[test]
    fn the_paragraph_is_found_and_its_alternatives_end_with_the_sentence() {
        let doc = " Does it.\n\n Like `a B`, or\n `c D` with D. The `e` is another thing.\n\n Like this.\n";
        let equivalent = Equivalent::of(doc);
        assert_eq!(equivalent.templates, [Template::parse("a B"), Template::parse("c D")]);
        assert_eq!(equivalent.none, None);
        let doc = " Does it.\n\n No equivalent command: it is\n nslab's own. It is needed.\n";
        assert_eq!(Equivalent::of(doc).none.as_deref(), Some("it is nslab's own"));
    }

    /// A hole is a parameter or the key of an option, or one of the few that a parameter fills beside itself.
    #[test]
    fn every_function_has_an_equivalent_or_says_why_not_and_every_hole_has_a_name() {
        let extra = [("veth", "NS"), ("delete", "NS"), ("delete", "LINK"), ("hold", "FILE"), ("unshare", "MAP")];
        for binding in families().iter().flat_map(|family| family.bindings) {
            let equivalent = Equivalent::of(binding.doc);
            let name = signature(binding.name, binding.parameters, binding.returns);
            assert!(!equivalent.templates.is_empty() || equivalent.none.is_some(), "{name}");
            let keys = binding.parameters.iter().flat_map(|parameter| parameter.keys).map(|key| key.name);
            let known: Vec<String> =
                binding.parameters.iter().map(|p| p.name).chain(keys).map(str::to_uppercase).collect();
            for hole in equivalent.templates.iter().flat_map(Template::holes) {
                let is_extra = extra.contains(&(binding.name, hole));
                assert!(is_extra || known.iter().any(|known| known == hole), "{name} has nothing for {hole}");
            }
        }
    }
}
