//! Where script text comes from: files, the modules they import, the lines of a session. Errors quote it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use stdlib::bindings::ScriptError;

use crate::text::sources::Sources;

/// How deep imports may nest.
const DEPTH: usize = 16;

/// Modules that come with nslab: `import "std/NAME" as name`.
const EMBEDDED: [(&str, &str); 1] = [("std/topo", include_str!("../../../scripts/lib/topo.rhai"))];

/// A folder, held open: scripts import what is below it.
#[derive(Clone, Debug)]
pub struct Folder {
    /// What the user calls it; empty for the current one.
    shown: PathBuf,
    fd: Arc<OwnedFd>,
}

impl Folder {
    /// Opens it; none if that is not possible.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let opened = File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()?;
        Some(Self { shown: path.to_owned(), fd: Arc::new(opened.into()) })
    }

    /// The one that the program was started in: what is typed imports from there.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::open(Path::new(""))
    }

    /// What errors call the file `key` in it.
    fn source(&self, key: &Path) -> String {
        self.shown.join(key).to_string_lossy().into_owned()
    }
}

/// A script, read before the lab was made.
pub struct Script {
    /// What errors call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its folder: imports are looked for below it.
    pub folder: Option<Folder>,
}

impl Script {
    /// A script from elsewhere than a file.
    #[must_use]
    pub fn new(name: &str, text: String, folder: Option<Folder>) -> Self {
        Self { name: name.into(), text: without_shebang(text), folder }
    }

    /// Reads a script and opens its folder.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn read(path: &Path) -> Result<Self, String> {
        let fail = |e: std::io::Error| format!("cannot read `{}`: {}", path.display(), describe(&e));
        let bytes = std::fs::read(path).map_err(fail)?;
        let text = String::from_utf8(bytes).map_err(|e| {
            format!("cannot read `{}`: byte {} is not UTF-8 text", path.display(), e.utf8_error().valid_up_to() + 1)
        })?;
        Ok(Self::new(&path.to_string_lossy(), text, path.parent().and_then(Folder::open)))
    }
}

fn describe(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

/// Takes a byte order mark away and blanks a `#!` line, which Rhai takes only in files it reads itself; the line numbers
/// stay.
pub(crate) fn without_shebang(text: String) -> String {
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.starts_with("#!") {
        let end = text.find('\n').unwrap_or(text.len());
        return format!("//{}", " ".repeat(end.saturating_sub(2))) + &text[end..];
    }
    text
}

/// Which module an import means.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// Its path below the folder, or `std/NAME`.
    key: String,
    /// What errors call it.
    source: String,
}

/// Finds imported modules: below the script's folder, then among those that come with nslab.
pub struct Resolver {
    folder: Option<Folder>,
    sources: Arc<Sources>,
    loading: Mutex<Vec<Found>>,
    loaded: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Resolver {
    /// A resolver for scripts in `folder`.
    #[must_use]
    pub fn new(folder: Option<Folder>, sources: Arc<Sources>) -> Self {
        Self { folder, sources, loading: Mutex::default(), loaded: Mutex::default() }
    }

    /// The module that `path` means in the module `importer`, and its text.
    fn find(&self, importer: Option<&str>, path: &str) -> Result<(Found, String), String> {
        let wanted = if Path::new(path).extension() == Some(OsStr::new("rhai")) {
            path.to_owned()
        } else {
            format!("{path}.rhai")
        };
        // Relative to the importing module, then to the script's folder.
        let beside = importer.and_then(|importer| Path::new(importer).parent()).map(|parent| parent.join(&wanted));
        let candidates = beside.into_iter().chain([PathBuf::from(&wanted)]);
        for candidate in candidates {
            let Some(candidate) = normal(&candidate) else {
                return Err("imports stay below the script's folder: no absolute path, no `..` out of it".into());
            };
            if let Some(folder) = &self.folder
                && let Some(text) = read_below(&folder.fd, &candidate)?
            {
                let key = candidate.to_string_lossy().into_owned();
                return Ok((Found { key, source: folder.source(&candidate) }, text));
            }
        }
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == path) {
            return Ok((Found { key: (*name).to_owned(), source: (*name).to_owned() }, (*text).to_owned()));
        }
        let known: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        Err(format!("there is no `{wanted}` below the script's folder, and nslab brings only: {}", known.join(", ")))
    }

    fn load(
        &self,
        engine: &Engine,
        source: &str,
        text: String,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        self.sources.add(source, &text);
        let in_module = |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(source.into(), error, pos));
        let mut ast: AST = engine.compile(without_shebang(text)).map_err(|e| in_module(e.into()))?;
        ast.set_source(source);
        self.sources.compiled(source, &ast);
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(in_module)?;
        Ok(module.into())
    }
}

/// `a/./b/../c` as `a/c`; none if it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            _ => return None,
        }
    }
    Some(out)
}

/// Reads a file below `folder`; no link leads out (`openat2(2)`, `RESOLVE_BENEATH`).
fn read_below(folder: &OwnedFd, path: &Path) -> Result<Option<String>, String> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH);
    let Ok(fd) = openat2(folder, path, how) else { return Ok(None) };
    let mut text = String::new();
    File::from(fd)
        .read_to_string(&mut text)
        .map_err(|e| format!("cannot read `{}`: {}", path.display(), describe(&e)))?;
    Ok(Some(text))
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let fail = |why: String| {
            ScriptError::new("not_found", "import", format!("cannot import \"{path}\""))
                .object(path)
                .hint(why)
                .at(source, pos)
                .into_rhai()
        };
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let importer = loading.iter().find(|found| Some(found.source.as_str()) == source);
        let (found, text) = self.find(importer.map(|found| found.key.as_str()), path).map_err(fail)?;
        if let Some(module) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&found.key) {
            return Ok(module.clone());
        }
        if loading.contains(&found) {
            let way: Vec<&str> = loading.iter().chain([&found]).map(|found| found.key.as_str()).collect();
            return Err(fail(format!("it imports itself: {}", way.join(" -> "))));
        }
        if loading.len() >= DEPTH {
            return Err(fail(format!("imports nest deeper than {DEPTH}")));
        }
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).push(found.clone());
        let module = self.load(engine, &found.source, text, pos);
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let module = module?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(found.key, module.clone());
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        assert_eq!(normal(Path::new("a/./b/../c")), Some("a/c".into()));
        assert_eq!(normal(Path::new("../x")), None);
        assert_eq!(normal(Path::new("a/../../x")), None);
        assert_eq!(normal(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn a_shebang_is_blanked_and_lines_keep_their_numbers() {
        assert_eq!(without_shebang("#!/usr/bin/nslab run\nlet x = 1;".into()).lines().nth(1), Some("let x = 1;"));
        assert_eq!(without_shebang("#!x".into()), "// ");
    }
}
