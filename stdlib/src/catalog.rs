//! What scripts can call: names, parameters, texts and examples, for help, completion, the reference and the tests.

use std::fmt;

/// Everything that scripts can use.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The functions, family by family.
    pub functions: Vec<Function>,
    /// The types of what they return.
    pub types: Vec<Type>,
}

/// One function, or one piece of syntax.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The family it belongs to.
    pub family: String,
    /// Markdown: the first sentence, then more, then an example in a `rhai` block.
    pub doc: String,
    /// What it takes.
    pub parameters: Vec<Parameter>,
    /// The type it returns; `()` for nothing.
    pub returns: String,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type, as scripts know it.
    pub of: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
    /// The keys of an option map: name, unit or values, meaning.
    pub keys: &'static [Key],
    /// How many arguments it may take.
    pub most: usize,
    /// What a string for it names.
    pub names: Names,
}

/// What a string argument names, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Nothing that could be listed.
    Nothing,
    /// Namespaces.
    Namespaces,
    /// Links of the namespace before it, or of the current one.
    Links,
    /// Addresses that somebody in the lab has.
    Addresses,
    /// Settings below `/proc/sys/net`.
    Settings,
    /// Kinds of namespace.
    Kinds,
    /// Signals.
    Signals,
}

/// One key of an option map.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means, with the unit and the default.
    pub doc: &'static str,
    /// What a string for it names.
    pub names: Names,
}

impl Key {
    /// A key whose value names nothing that could be listed.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, names: Names::Nothing }
    }

    /// A key whose value names one of `names`.
    #[must_use]
    pub const fn naming(name: &'static str, doc: &'static str, names: Names) -> Self {
        Self { name, doc, names }
    }
}

/// One type.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub doc: String,
    /// Its properties.
    pub properties: Vec<Property>,
    /// The type of its elements, if it is a list.
    pub element: Option<String>,
    /// The properties that a table of such things shows.
    pub columns: &'static [&'static str],
}

/// One property.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub doc: String,
    /// Its type.
    pub returns: String,
}

impl Function {
    /// `ping([ns: NetNs], addr: string, [opts: map]) -> Ping`
    #[must_use]
    pub fn signature(&self) -> String {
        self.to_string()
    }

    /// The first sentence of the text.
    #[must_use]
    pub fn summary(&self) -> &str {
        first_sentence(&self.doc)
    }

    /// The `rhai` blocks of the text.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        rhai_blocks(&self.doc)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.family == "syntax" {
            return f.write_str(&self.returns);
        }
        write!(f, "{}(", self.name)?;
        for (n, parameter) in self.parameters.iter().filter(|p| !p.of.is_empty()).enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            let (open, close) = if parameter.optional { ("[", "]") } else { ("", "") };
            write!(f, "{comma}{open}{}: {}{close}", parameter.name, parameter.of)?;
        }
        f.write_str(")")?;
        if self.returns == "()" { Ok(()) } else { write!(f, " -> {}", self.returns) }
    }
}

/// The text up to the end of its first sentence.
#[must_use]
pub fn first_sentence(doc: &str) -> &str {
    let paragraph = doc.split("\n\n").next().unwrap_or(doc);
    let end = paragraph.find(". ").or_else(|| paragraph.find(".\n")).map_or(paragraph.len(), |at| at + 1);
    paragraph[..end].trim_end()
}

/// The contents of the fenced `rhai` blocks of a Markdown text.
#[must_use]
pub fn rhai_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match (&mut open, line.trim()) {
            (None, "```rhai") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Takes away the blank that `///` leaves at the beginning of each line.
#[must_use]
pub(crate) fn unindent(doc: &str) -> String {
    doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
