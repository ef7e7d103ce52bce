//! What completion and hints see of the session and the lab: a copy of the names, and the kernel's own lists.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, Map};
use stdlib::lab::{Lab, NetNs};

use super::complete::World;
use crate::session::Session;

/// One variable, without its value.
struct Variable {
    name: String,
    of: String,
    ns: Option<NetNs>,
    keys: Vec<String>,
}

/// The view that the line editor has.
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
        let engine = &session.interpreter.engine;
        let variable = |(name, value): (&str, &Dynamic)| Variable {
            name: name.to_owned(),
            of: engine.map_type_name(value.type_name()).to_owned(),
            ns: value.read_lock::<NetNs>().map(|ns| ns.clone()),
            keys: value.read_lock::<Map>().map(|map| map.keys().map(ToString::to_string).collect()).unwrap_or_default(),
        };
        Self {
            lab: session.interpreter.lab.clone(),
            current: session.current(),
            variables: session.variables().map(variable).collect(),
            functions: session.interpreter.functions().iter().map(|f| (f.name.clone(), f.signature.clone())).collect(),
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

    fn keys(&self, variable: &str) -> Vec<String> {
        let found = self.variables.iter().find(|known| known.name == variable);
        found.map(|variable| variable.keys.clone()).unwrap_or_default()
    }

    fn namespaces(&self) -> Vec<String> {
        self.lab.netns_names().unwrap_or_default().into_iter().collect()
    }

    fn links(&self, variable: Option<&str>) -> Vec<String> {
        let of = variable.and_then(|name| self.variables.iter().find(|known| known.name == name)?.ns.clone());
        let ns = of.unwrap_or_else(|| self.current.clone());
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

    fn settings(&self, prefix: &str) -> Vec<String> {
        self.current.net().and_then(|net| net.sysctl_names(prefix)).unwrap_or_default()
    }

    fn files(&self, prefix: &str) -> Vec<String> {
        let (folder, _) = prefix.rsplit_once('/').map_or(("", prefix), |(folder, name)| (folder, name));
        let shown = if folder.is_empty() && !prefix.starts_with('/') { "." } else { folder };
        let shown = if shown.is_empty() { "/" } else { shown };
        let Ok(entries) = std::fs::read_dir(Path::new(shown)) else { return Vec::new() };
        let joined = |name: &str| if prefix.contains('/') { format!("{folder}/{name}") } else { name.to_owned() };
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let folder = entry.file_type().is_ok_and(|of| of.is_dir());
                if folder {
                    Some(format!("{}/", joined(&name)))
                } else {
                    Path::new(&name).extension().is_some_and(|e| e == "rhai").then(|| joined(&name))
                }
            })
            .collect()
    }
}
