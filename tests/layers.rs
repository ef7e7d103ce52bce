//! The layer rule of both crates, as docs/architecture.md states it, and no cycles between modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module path such as `net::link`; the crate itself is empty.
type Module = String;

/// The modules of a crate, and for each what its `use` lines and paths name.
struct Crate {
    uses: BTreeMap<Module, BTreeSet<Module>>,
}

impl Crate {
    fn read(name: &str) -> Self {
        let src = crate::root().join(name).join("src");
        let mut texts = BTreeMap::new();
        for file in crate::files(&src, ".rs") {
            let module = module_of(file.strip_prefix(&src).unwrap());
            texts.insert(module, without_tests(&fs::read_to_string(&file).unwrap()));
        }
        let known: BTreeSet<Module> = texts.keys().cloned().collect();
        let exports: BTreeMap<(Module, String), Module> =
            texts.iter().flat_map(|(module, text)| reexports(module, text, &known)).collect();
        let uses = texts.iter().map(|(module, text)| {
            let used = paths(module, text).into_iter().filter_map(|path| target(&path, &known, &exports));
            (module.clone(), used.filter(|used| used != module).collect())
        });
        Self { uses: uses.collect() }
    }

    /// The cycles of `use` between modules neither of which contains the other.
    fn cycles(&self) -> Vec<Vec<Module>> {
        let apart = |a: &str, b: &str| !contains(a, b) && !contains(b, a);
        let edges: BTreeMap<&str, Vec<&str>> = self
            .uses
            .iter()
            .map(|(from, to)| (from.as_str(), to.iter().map(String::as_str).filter(|to| apart(from, to)).collect()))
            .collect();
        let reachable = |from: &str| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(module) = open.pop() {
                for next in edges.get(module.as_str()).into_iter().flatten() {
                    if seen.insert((*next).to_owned()) {
                        open.push((*next).to_owned());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&str, BTreeSet<String>> = edges.keys().map(|module| (*module, reachable(module))).collect();
        let mut found = BTreeSet::new();
        for (module, there) in &reach {
            if there.contains(*module) {
                let circle: Vec<_> =
                    there.iter().filter(|other| reach[other.as_str()].contains(*module)).cloned().collect();
                found.insert(circle);
            }
        }
        found.into_iter().collect()
    }
}

fn module_of(file: &Path) -> Module {
    let text = file.with_extension("").to_string_lossy().replace('/', "::");
    let text = text.strip_suffix("::mod").unwrap_or(&text);
    if matches!(text, "lib" | "mod") { String::new() } else { text.to_owned() }
}

/// The text without its comments and its tests.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn contains(outer: &str, inner: &str) -> bool {
    outer.is_empty() || outer == inner || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

/// The paths of all `use` items, braces taken apart.
fn use_paths(text: &str, keyword: &str) -> Vec<String> {
    let items = text.split('\n').enumerate().filter(|(_, line)| line.trim_start().starts_with(keyword));
    let lines: Vec<&str> = text.split('\n').collect();
    let mut paths = Vec::new();
    for (at, _) in items {
        let item = lines[at..].join(" ");
        let item = item.trim_start().strip_prefix(keyword).unwrap().split(';').next().unwrap().to_owned();
        expand("", item.trim(), &mut paths);
    }
    paths
}

fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        paths.push(format!("{before}{}", name.strip_suffix("::self").unwrap_or(name)));
        return;
    };
    let prefix = format!("{before}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, inner[start..at].trim(), paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&prefix, inner[start..].trim(), paths);
    }
}

/// The absolute form of a path in `module`; none for other crates.
fn absolute(module: &str, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    let (mut base, mut rest) = (module.to_owned(), path);
    if let Some(own) = rest.strip_prefix("self::") {
        return Some(format!("{base}::{own}"));
    }
    if !rest.starts_with("super::") {
        return None;
    }
    while let Some(up) = rest.strip_prefix("super::") {
        base = parent(&base).to_owned();
        rest = up;
    }
    Some(if base.is_empty() { rest.to_owned() } else { format!("{base}::{rest}") })
}

fn paths(module: &str, text: &str) -> Vec<String> {
    let used = use_paths(text, "use ")
        .into_iter()
        .chain(use_paths(text, "pub use "))
        .chain(use_paths(text, "pub(crate) use "));
    let mut paths: Vec<String> = used.filter_map(|path| absolute(module, &path)).collect();
    // Paths that are written out where they are used.
    for (at, _) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
            let path: String =
                text[at + 7..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            paths.push(path.trim_end_matches(':').to_owned());
        }
    }
    paths
}

/// `pub use child::Name` of a module, as (module, name) → where it comes from.
fn reexports(module: &str, text: &str, known: &BTreeSet<Module>) -> Vec<((Module, String), Module)> {
    let all = use_paths(text, "pub use ").into_iter().chain(use_paths(text, "pub(crate) use "));
    all.filter_map(|path| {
        let (from, name) = path.rsplit_once("::")?;
        let child = absolute(module, from)
            .unwrap_or_else(|| if module.is_empty() { from.to_owned() } else { format!("{module}::{from}") });
        known.contains(&child).then(|| ((module.to_owned(), name.to_owned()), child))
    })
    .collect()
}

/// The module that a path leads to.
fn target(path: &str, known: &BTreeSet<Module>, exports: &BTreeMap<(Module, String), Module>) -> Option<Module> {
    let parts: Vec<&str> = path.split("::").collect();
    let module = (0..=parts.len()).rev().map(|n| parts[..n].join("::")).find(|module| known.contains(module))?;
    let depth = if module.is_empty() { 0 } else { module.split("::").count() };
    match parts.get(depth).and_then(|name| exports.get(&(module.clone(), (*name).to_owned()))) {
        Some(origin) => Some(origin.clone()),
        None => Some(module),
    }
}

/// The block of the page about a crate: what each directory or file at the top may use.
fn layers(name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(crate::root().join("docs/architecture.md")).unwrap();
    let block = page.split(&format!("```layers {name}\n")).nth(1).expect("the page has a block for each crate");
    let rows =
        block.split("```").next().unwrap().lines().map(|line| line.split_once("->").expect("a row has an arrow"));
    rows.map(|(layer, uses)| (layer.trim().to_owned(), uses.split_whitespace().map(str::to_owned).collect())).collect()
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[trial(anywhere)]
fn each_layer_uses_what_the_page_allows() {
    for name in ["stdlib", "interp"] {
        let (layers, code) = (layers(name), Crate::read(name));
        let (mut used, mut seen) = (BTreeMap::<&str, BTreeSet<&str>>::new(), BTreeSet::new());
        for (module, uses) in code.uses.iter().filter(|(module, _)| !module.is_empty() && *module != "main") {
            seen.insert(top(module));
            used.entry(top(module))
                .or_default()
                .extend(uses.iter().map(|other| top(other)).filter(|other| *other != top(module)));
        }
        for (layer, others) in &used {
            let allowed = layers.get(*layer).unwrap_or_else(|| panic!("{name}: the page has no layer `{layer}`"));
            for other in others.iter().filter(|other| !other.is_empty()) {
                assert!(allowed.contains(*other), "{name}: `{layer}` uses `{other}`, which the page does not allow");
            }
            for other in allowed {
                assert!(
                    others.contains(other.as_str()),
                    "{name}: the page allows `{layer}` to use `{other}`; it does not"
                );
            }
        }
        let stated: BTreeSet<&str> = layers.keys().map(String::as_str).collect();
        assert_eq!(stated, seen, "{name}: the layers of the page, and those of the code");
    }
}

#[trial(anywhere)]
fn no_modules_use_each_other() {
    for name in ["stdlib", "interp"] {
        let code = Crate::read(name);
        assert!(code.uses.values().map(BTreeSet::len).sum::<usize>() > 100, "{name}: hardly any use is seen");
        let cycles = code.cycles();
        assert!(cycles.is_empty(), "{name}: {cycles:#?}");
    }
}

#[trial(anywhere)]
fn the_page_names_every_directory() {
    let page = fs::read_to_string(crate::root().join("docs/architecture.md")).unwrap();
    for name in ["stdlib", "interp"] {
        let part = page.split(&format!("## {name}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        let modules = Crate::read(name).uses;
        for module in modules.keys().filter(|module| modules.keys().any(|other| parent(other) == module.as_str())) {
            let directory = format!("`{}/`", module.replace("::", "/"));
            assert!(module.is_empty() || part.contains(&directory), "{name}: the page does not name {directory}");
        }
    }
}
