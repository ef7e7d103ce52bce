//! Completion of an input: the candidates for the word at the cursor, from the text, the catalog and a view of the lab.

use std::collections::BTreeSet;

use stdlib::catalog::{Catalog, Function, Names, Parameter, Property};

use crate::console::escaped;
use crate::text::scan::{OpenCall, Place, context};
use crate::text::tokens::{Kind, tokens};

/// The session and its lab as completion sees them. Nothing is evaluated.
pub trait World {
    /// The session's variables with the names of their types.
    fn variables(&self) -> Vec<(String, String)>;
    /// The names and parameters of the session's own functions.
    fn functions(&self) -> Vec<(String, String)>;
    /// The keys of a variable that is a map, with the names of their values' types.
    fn keys(&self, variable: &str) -> Vec<(String, String)>;
    /// The name of the type of the first element of a variable that is an array.
    fn element(&self, variable: &str) -> Option<String>;
    /// The names of the namespaces.
    fn namespaces(&self) -> Vec<String>;
    /// The links of the namespace that a variable holds; of the current one without a variable.
    fn links(&self, variable: Option<&str>) -> Vec<String>;
    /// The addresses in the lab, without prefix lengths.
    fn addresses(&self) -> Vec<String>;
    /// The sysctls that begin with a prefix, up to the next dot.
    fn sysctls(&self, prefix: &str) -> Vec<String>;
    /// The files that begin with a prefix.
    fn files(&self, prefix: &str) -> Vec<String>;
}

/// One candidate for the word at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The text to insert.
    pub text: String,
    /// The text in the list of candidates.
    pub shown: String,
    /// A sentence about it.
    pub doc: String,
}

impl Candidate {
    /// Whether the text can stand in an input line. A name with control characters would steer the terminal.
    pub(super) fn is_printable(&self) -> bool {
        escaped(&self.text) == self.text
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: text.clone(), text, doc: String::new() }
    }

    pub(super) fn new(text: impl Into<String>, shown: impl Into<String>, doc: impl Into<String>) -> Self {
        Self { text: text.into(), shown: shown.into(), doc: doc.into() }
    }
}

const SIGNALS: [&str; 9] = ["TERM", "KILL", "INT", "HUP", "STOP", "CONT", "USR1", "USR2", "QUIT"];
const NAMESPACE_TYPES: [&str; 8] = ["cgroup", "ipc", "mount", "net", "pid", "time", "user", "uts"];
const KEYWORDS: [&str; 25] = [
    "let", "const", "if", "else", "while", "until", "loop", "for", "in", "do", "switch", "break", "continue", "return",
    "throw", "try", "catch", "fn", "import", "as", "true", "false", "print(", "debug(", "type_of(",
];

/// The methods of the language's own types.
const METHODS: [(&str, &[&str]); 3] = [
    (
        "string",
        &[
            "contains",
            "ends_with",
            "index_of",
            "is_empty",
            "len",
            "replace",
            "split",
            "starts_with",
            "sub_string",
            "trim",
        ],
    ),
    (
        "array",
        &[
            "all", "contains", "filter", "find", "for_each", "index_of", "is_empty", "len", "map", "pop", "push",
            "reduce", "remove", "reverse", "some", "sort",
        ],
    ),
    ("map", &["contains", "is_empty", "keys", "len", "remove", "values"]),
];

/// Where the word at the cursor begins and its candidates.
#[must_use]
pub fn complete(catalog: &Catalog, world: &dyn World, text: &str, cursor: usize) -> (usize, Vec<Candidate>) {
    let context = context(text, cursor);
    let is_member = matches!(context.place, Place::Member(..));
    let (start, mut found) = match &context.place {
        Place::Word(start) => (*start, words(catalog, world, &text[*start..cursor])),
        Place::Member(chain, start) => (*start, members(catalog, world, chain)),
        Place::Key(start) => (*start, context.call.as_ref().map_or_else(Vec::new, |call| option_keys(catalog, call))),
        Place::Text(start) => {
            let (typed, within) = (&text[*start..cursor], context.within.as_deref());
            (*start, context.call.as_ref().map_or_else(Vec::new, |call| strings(catalog, world, call, within, typed)))
        }
        Place::Nothing => (cursor, Vec::new()),
    };
    let typed = &text[start..cursor];
    found.retain(|candidate| candidate.text.starts_with(typed) && candidate.is_printable());
    // Properties come before methods.
    let is_method = |candidate: &Candidate| is_member && candidate.text.ends_with('(');
    found.sort_by(|a, b| is_method(a).cmp(&is_method(b)).then_with(|| a.text.cmp(&b.text)));
    found.dedup_by(|a, b| a.text == b.text);
    (start, found)
}

fn words(catalog: &Catalog, world: &dyn World, typed: &str) -> Vec<Candidate> {
    let variables = world.variables().into_iter().map(|(name, of)| Candidate::new(&name, &name, of));
    let own = world.functions().into_iter().map(|(name, shown)| Candidate::new(format!("{name}("), shown, "yours"));
    let of_nslab = catalog.functions.iter().map(|function| {
        let text =
            if function.family == "syntax" { format!("{} ", function.name) } else { format!("{}(", function.name) };
        Candidate::new(text, function.signature(), function.summary())
    });
    let keywords = KEYWORDS.iter().filter(|_| !typed.is_empty()).map(|word| Candidate::plain(*word));
    variables.chain(own).chain(of_nslab).chain(keywords).collect()
}

/// The members of a chain, by its static type.
fn members(catalog: &Catalog, world: &dyn World, chain: &str) -> Vec<Candidate> {
    let Some(of) = type_of(catalog, world, chain) else { return Vec::new() };
    let mut found = Vec::new();
    if of == "map" {
        found.extend(world.keys(chain).into_iter().map(|(key, of)| Candidate::new(&key, format!("{key}: {of}"), "")));
    }
    if let Some((_, methods)) = METHODS.iter().find(|(known, _)| *known == of) {
        // Most functions take a string, so only the language's own methods are offered.
        found.extend(methods.iter().map(|method| Candidate::plain(format!("{method}("))));
        return found;
    }
    if let Some(known) = catalog.types.iter().find(|known| known.name == of) {
        let property = |p: &Property| Candidate::new(&p.name, format!("{}: {}", p.name, p.returns), p.doc.as_str());
        found.extend(known.properties.iter().map(property));
        if known.element.is_some() {
            let on_lists = ["map(", "filter(", "find(", "for_each(", "some(", "all(", "to_array("];
            found.extend(on_lists.into_iter().map(Candidate::plain));
        }
    }
    let methods = catalog.functions.iter().filter(|function| takes_first(function, &of));
    found.extend(methods.map(|f| Candidate::new(format!("{}(", f.name), as_method(f, &of), f.summary())));
    found
}

/// The signature without the receiver. For a link with a namespace as the receiver, the name of the link remains.
fn as_method(function: &Function, of: &str) -> String {
    let mut method = function.clone();
    let first = method.parameters.iter().position(|parameter| !parameter.ty.is_empty()).unwrap_or(0);
    match method.parameters.get_mut(first) {
        Some(link) if of == "NetNs" && link.max_args > 1 && link.names == Names::Links => {
            (link.name, link.ty) = ("link", "string");
        }
        Some(_) => drop(method.parameters.remove(first)),
        None => {}
    }
    method.signature()
}

/// Whether a function can be called as a method of a value of the type.
fn takes_first(function: &Function, of: &str) -> bool {
    let first = function.parameters.iter().find(|parameter| !parameter.ty.is_empty());
    first.is_some_and(|first| first.ty == of || first.ty.split(" or ").any(|one| one == of))
        || of == "NetNs"
            && first.is_some_and(|first| first.ty == "Link" || first.names == Names::Links && first.max_args == 2)
}

/// The static type of a chain such as `veth(a, "x").a.peer`.
fn type_of(catalog: &Catalog, world: &dyn World, chain: &str) -> Option<String> {
    let returns = |name: &str| {
        catalog.functions.iter().find(|f| f.name == name && f.family != "syntax").map(|f| f.returns.clone())
    };
    let mut links = split_chain(chain).into_iter();
    let first = links.next()?;
    let mut of = match &first {
        Step::Call(name) => returns(name)?,
        Step::Name(name) => world.variables().into_iter().find(|(known, _)| known == name)?.1,
        Step::Index => return None,
    };
    // A map or an array of the session: its values have known types.
    let mut variable = if let Step::Name(name) = first { Some(name) } else { None };
    for step in links {
        let known = catalog.types.iter().find(|known| known.name == of);
        let value_of = |key: &str| world.keys(variable.as_ref()?).into_iter().find(|(known, _)| known == key);
        of = match step {
            Step::Call(name) => returns(&name)?,
            Step::Name(name) if of == "map" => value_of(&name)?.1,
            Step::Name(name) => known?.properties.iter().find(|property| property.name == name)?.returns.clone(),
            Step::Index if of == "array" => world.element(variable.as_ref()?)?,
            Step::Index => known?.element.clone()?,
        };
        variable = None;
    }
    Some(of)
}

enum Step {
    Name(String),
    Call(String),
    Index,
}

fn split_chain(chain: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut depth = 0usize;
    for token in tokens(chain) {
        let text = &chain[token.range];
        match (token.kind, text) {
            (Kind::Sign, "(") => {
                if depth == 0
                    && let Some(Step::Name(name)) = steps.pop()
                {
                    steps.push(Step::Call(name));
                }
                depth += 1;
            }
            (Kind::Sign, "[") => {
                if depth == 0 {
                    steps.push(Step::Index);
                }
                depth += 1;
            }
            (Kind::Sign, ")" | "]") => depth = depth.saturating_sub(1),
            (Kind::Word, name) if depth == 0 => steps.push(Step::Name(name.to_owned())),
            _ => {}
        }
    }
    steps
}

fn function<'a>(catalog: &'a Catalog, call: &OpenCall) -> Option<&'a Function> {
    catalog.functions.iter().find(|function| function.name == call.name && function.family != "syntax")
}

fn option_keys(catalog: &Catalog, call: &OpenCall) -> Vec<Candidate> {
    let Some(function) = function(catalog, call) else { return Vec::new() };
    let keys = function.parameters.iter().flat_map(|parameter| parameter.keys);
    keys.map(|key| Candidate::new(format!("{}: ", key.name), key.name, key.doc)).collect()
}

/// The candidates for a string argument.
fn strings(catalog: &Catalog, world: &dyn World, call: &OpenCall, within: Option<&str>, typed: &str) -> Vec<Candidate> {
    let Some(function) = function(catalog, call) else { return Vec::new() };
    let names = match &call.key {
        Some(key) => {
            let mut keys = function.parameters.iter().flat_map(|parameter| parameter.keys);
            keys.find(|known| known.name == key).map_or(Names::Nothing, |known| known.names)
        }
        None => {
            current_parameter(catalog, function, call, world).map_or(Names::Nothing, |(_, parameter)| parameter.names)
        }
    };
    let found = match names {
        Names::Nothing => Vec::new(),
        Names::Namespaces => world.namespaces(),
        Names::Links => {
            let arguments = call.receiver.iter().chain(&call.before).map(String::as_str);
            let named = arguments.filter(|argument| is_namespace(catalog, argument, world)).last();
            world.links(named.or(within))
        }
        Names::Addresses => world.addresses(),
        Names::Sysctls => world.sysctls(typed),
        Names::NsTypes => NAMESPACE_TYPES.iter().map(|name| (*name).to_owned()).collect(),
        Names::Signals => SIGNALS.iter().map(|signal| (*signal).to_owned()).collect(),
    };
    let unique: BTreeSet<String> = found.into_iter().collect();
    unique.into_iter().map(Candidate::plain).collect()
}

/// The parameter at the cursor, and its index among the parameters that a signature shows.
///
/// An optional namespace may be missing and a link may take two arguments, so the arguments before the cursor are matched
/// by their types.
#[must_use]
pub fn current_parameter<'a>(
    catalog: &Catalog,
    function: &'a Function,
    call: &OpenCall,
    world: &dyn World,
) -> Option<(usize, &'a Parameter)> {
    let shown: Vec<&Parameter> = function.parameters.iter().filter(|parameter| !parameter.ty.is_empty()).collect();
    let arguments = call.receiver.iter().chain(&call.before);
    let mut at = 0;
    let mut taken = 0;
    for argument in arguments {
        let parameter = shown.get(at)?;
        let is_text = argument.starts_with(['"', '`']);
        let is_ns = !is_text && is_namespace(catalog, argument, world);
        if parameter.ty == "NetNs" && parameter.optional && !is_ns {
            at += 1; // missing: this argument belongs to the next parameter
        }
        let parameter = shown.get(at)?;
        taken += 1;
        // A namespace is the first half of a link or of a cable's end, a PID that of a process and a namespace type.
        let half = is_ns || !is_text && parameter.names == Names::NsTypes;
        if !(parameter.max_args > 1 && half && taken < parameter.max_args) {
            at += 1;
            taken = 0;
        }
    }
    let parameter = shown.get(at)?;
    Some((at, parameter)).map(|(at, parameter)| {
        // The cursor is in a string where a namespace could stand: the namespace is missing.
        if parameter.ty == "NetNs" && parameter.optional && shown.len() > at + 1 {
            (at + 1, shown[at + 1])
        } else {
            (at, *parameter)
        }
    })
}

fn is_namespace(catalog: &Catalog, argument: &str, world: &dyn World) -> bool {
    type_of(catalog, world, argument).is_some_and(|of| of == "NetNs" || of == "Sandbox")
}
