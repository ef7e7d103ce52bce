//! What `nslab reference` says, taken apart: the functions with their parameters, texts and examples.

use super::Shell;

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) signature: String,
    pub(crate) parameters: Vec<Parameter>,
    /// Everything below the signature.
    pub(crate) doc: String,
}

impl Function {
    /// The kernel features that its text says it needs.
    pub(crate) fn features(&self) -> Vec<String> {
        let needs = self.doc.lines().filter_map(|line| line.strip_prefix("Needs `"));
        needs.flat_map(|rest| rest.split('`').step_by(2)).map(str::to_owned).collect()
    }
}

/// One parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) of: String,
    pub(crate) optional: bool,
}

/// All functions, and what is not called like one (`within`, `check`) under the family `syntax`.
pub(crate) fn functions() -> Vec<Function> {
    let text = Shell::new().command(["reference"]).run().success().text().to_owned();
    let (mut family, mut all) = (String::new(), Vec::<Function>::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut family);
        } else if let Some(signature) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            all.push(function(signature, &family));
        } else if let Some(last) = all.last_mut().filter(|_| family != "types") {
            last.doc += line;
            last.doc.push('\n');
        }
    }
    all
}

fn function(signature: &str, family: &str) -> Function {
    let name: String = signature.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let inside = signature.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(inside, _)| inside);
    let parameters = inside.split(", ").filter_map(|parameter| {
        let (name, of) = parameter.trim_matches(['[', ']']).split_once(": ")?;
        Some(Parameter { name: name.into(), of: of.into(), optional: parameter.starts_with('[') })
    });
    Function {
        name,
        family: family.into(),
        signature: signature.into(),
        parameters: parameters.collect(),
        doc: String::new(),
    }
}

/// The contents of the fenced `rhai` blocks of a Markdown text. A fence begins its line; what is quoted in another block
/// has something before it.
pub(crate) fn examples(markdown: &str) -> Vec<String> {
    let text = format!("\n{markdown}");
    let blocks = text.split("\n```rhai\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}
