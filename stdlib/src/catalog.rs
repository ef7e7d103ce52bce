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
    /// The kernel features that it requires, by their names in [`crate::kernel`].
    pub needs: &'static [&'static str],
    /// Whether it changes the network of a namespace.
    pub changes: Changes,
}

/// Whether a function changes the network of a namespace, and what `--host` then refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It changes nothing.
    Nothing,
    /// It is refused for a guarded device. The sample call tries it on `eth0`, the device of the default route.
    Guarded(&'static str),
    /// It changes something, but no guarded device: the reason.
    Unguarded(&'static str),
}

impl Changes {
    /// Whether it changes anything.
    #[must_use]
    pub const fn any(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type in scripts; empty for what the call itself provides.
    pub ty: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
    /// The keys of an option map: name, unit or values, meaning.
    pub keys: &'static [Key],
    /// The most arguments that it takes.
    pub max_args: usize,
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
    /// Addresses of the lab's links.
    Addresses,
    /// Sysctls below `/proc/sys/net`.
    Sysctls,
    /// Namespace types.
    NsTypes,
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

    /// What the kernel must have, in a sentence: ``Needs `veth` (CONFIG_VETH).``
    #[must_use]
    pub fn requirement(&self) -> Option<String> {
        let option = |name: &str| crate::kernel::feature(name).map_or("?", |feature| feature.config);
        let needs: Vec<String> = self.needs.iter().map(|name| format!("`{name}` (CONFIG_{})", option(name))).collect();
        (!needs.is_empty()).then(|| format!("Needs {}.", needs.join(", ")))
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
        f.write_str(&signature(&self.name, &self.parameters, &self.returns))
    }
}

/// `ping([ns: NetNs], addr: string, [opts: map]) -> Ping`
#[must_use]
pub fn signature(name: &str, parameters: &[Parameter], returns: &str) -> String {
    let shown = parameters.iter().filter(|parameter| !parameter.ty.is_empty());
    let shown = shown.map(|parameter| {
        let (open, close) = if parameter.optional { ("[", "]") } else { ("", "") };
        format!("{open}{}: {}{close}", parameter.name, parameter.ty)
    });
    let result = if returns == "()" { String::new() } else { format!(" -> {returns}") };
    format!("{name}({}){result}", shown.collect::<Vec<_>>().join(", "))
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

/// Removes the blank that `///` leaves at the beginning of each line.
#[must_use]
pub(crate) fn unindent(doc: &str) -> String {
    doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
