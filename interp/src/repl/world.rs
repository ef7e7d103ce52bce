//! The session and the lab as completion and hints see them: a copy of the names, and lists from the kernel.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rhai::{Array, Dynamic, Map};
use stdlib::exec::directory;
use stdlib::lab::{Lab, NetNs};
use stdlib::name::NsName;

use super::assist::complete::World;
use crate::session::Session;

/// How many elements of an array are searched for namespaces.
const SEARCHED: usize = 1_000;

/// One variable, without its value.
struct Variable {
    name: String,
    of: String,
    ns: Option<NetNs>,
    /// Of a map: the keys, with the types of their values.
    keys: Vec<(String, String)>,
    /// Of a map or an array: the namespaces in it, by key or index.
    spaces: Vec<(String, NetNs)>,
    /// Of an array: the type of its first element.
    element: Option<String>,
}

/// A view of the session for the line editor.
pub struct Live {
    lab: Arc<Lab>,
    current: NetNs,
    variables: Vec<Variable>,
    functions: Vec<(String, String)>,
}

impl Live {
    /// The session as it is now.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let type_name = |value: &Dynamic| match session.interpreter.engine.map_type_name(value.type_name()) {
            "i64" => "int".to_owned(),
            "f64" => "float".to_owned(),
            name => name.to_owned(),
        };
        let ns_of = |value: &Dynamic| value.read_lock::<NetNs>().map(|ns| ns.clone());
        let variable = |(name, value): (&str, &Dynamic)| {
            let (mut keys, mut spaces, mut element) = (Vec::new(), Vec::new(), None);
            if let Some(map) = value.read_lock::<Map>() {
                keys.extend(map.iter().map(|(key, value)| (key.to_string(), type_name(value))));
                spaces.extend(map.iter().filter_map(|(key, value)| Some((key.to_string(), ns_of(value)?))));
            }
            if let Some(array) = value.read_lock::<Array>() {
                element = array.first().map(type_name);
                let first = array.iter().take(SEARCHED).enumerate();
                spaces.extend(first.filter_map(|(n, value)| Some((n.to_string(), ns_of(value)?))));
            }
            Variable { name: name.to_owned(), of: type_name(value), ns: ns_of(value), keys, spaces, element }
        };
        Self {
            lab: session.interpreter.lab.clone(),
            current: session.current(),
            variables: session.variables().map(variable).collect(),
            functions: session.interpreter.functions().iter().map(|f| (f.name.clone(), f.signature.clone())).collect(),
        }
    }
}

impl Live {
    fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|known| known.name == name)
    }

    /// The namespace of `ns1`, `lab.ns1`, `all[0]`, `open_netns("ns1")` or `host()`, without evaluating it.
    fn namespace(&self, expression: &str) -> Option<NetNs> {
        if let Some(variable) = self.variable(expression) {
            return variable.ns.clone();
        }
        if let Some((variable, key)) = expression.split_once(['.', '[']) {
            let key = key.trim_end_matches(']').trim_matches('"');
            return self.variable(variable)?.spaces.iter().find(|(known, _)| known == key).map(|(_, ns)| ns.clone());
        }
        match expression.split_once('(')? {
            ("host", _) => Some(self.lab.root().clone()),
            ("open_netns", name) => NsName::new(name.trim_end_matches(')').trim_matches('"'))
                .and_then(|name| self.lab.open_netns(&name))
                .ok(),
            _ => None,
        }
    }
}

impl World for Live {
    fn variables(&self) -> Vec<(String, String)> {
        self.variables.iter().map(|variable| (variable.name.clone(), variable.of.clone())).collect()
    }

    fn functions(&self) -> Vec<(String, String)> {
        self.functions.clone()
    }

    fn element(&self, variable: &str) -> Option<String> {
        self.variable(variable)?.element.clone()
    }

    fn keys(&self, variable: &str) -> Vec<(String, String)> {
        self.variable(variable).map(|variable| variable.keys.clone()).unwrap_or_default()
    }

    fn namespaces(&self) -> Vec<String> {
        self.lab.netns_names().unwrap_or_default().into_iter().collect()
    }

    fn links(&self, variable: Option<&str>) -> Vec<String> {
        let ns = variable.and_then(|expression| self.namespace(expression)).unwrap_or_else(|| self.current.clone());
        let links = ns.net().and_then(|net| net.links()).unwrap_or_default();
        links.into_iter().map(|link| link.name).collect()
    }

    fn addresses(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for ns in self.lab.known() {
            for addr in ns.net().and_then(|net| net.addrs(None)).unwrap_or_default() {
                found.insert(addr.net.addr().to_string());
            }
        }
        found.into_iter().collect()
    }

    fn sysctls(&self, prefix: &str) -> Vec<String> {
        self.current.net().and_then(|net| net.sysctl_names(prefix)).unwrap_or_default()
    }

    fn files(&self, prefix: &str) -> Vec<String> {
        let parent = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        let searched = match parent {
            "" if prefix.starts_with('/') => "/",
            "" => ".",
            parent => parent,
        };
        let names = directory::names(Path::new(searched)).unwrap_or_default(); // nothing to offer
        let joined = |name: &str| if prefix.contains('/') { format!("{parent}/{name}") } else { name.to_owned() };
        names
            .into_iter()
            .filter_map(|name| {
                let name = name.into_string().ok()?;
                if Path::new(searched).join(&name).is_dir() {
                    return Some(format!("{}/", joined(&name)));
                }
                Path::new(&name).extension().is_some_and(|e| e == "rhai").then(|| joined(&name))
            })
            .collect()
    }
}
