//! Where script text comes from: files, standard input, and the modules that scripts import.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use stdlib::bindings::ScriptError;
use stdlib::name::printable;

use super::compile::{TEXT, compile, too_large};
use crate::console::describe;
use crate::text::sources::Sources;

/// How deep imports may nest.
const DEPTH: usize = 16;

/// The modules of nslab itself: `import "std/NAME" as name`.
const EMBEDDED: [(&str, &str); 2] = [
    ("std/frr", include_str!("../../../scripts/lib/frr.rhai")),
    ("std/topo", include_str!("../../../scripts/lib/topo.rhai")),
];

/// An open directory: scripts import the modules below it.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The path as the user wrote it; empty for the working directory.
    shown: PathBuf,
    fd: Arc<OwnedFd>,
}

impl Directory {
    /// Opens a directory; none if that is not possible.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let opened = File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()?;
        Some(Self { shown: path.to_owned(), fd: Arc::new(opened.into()) })
    }

    /// The working directory: typed inputs import from there.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::open(Path::new(""))
    }

    /// The name that errors use for the file `key` in the directory.
    fn source(&self, key: &Path) -> String {
        self.shown.join(key).to_string_lossy().into_owned()
    }
}

/// A script. It is read before the lab exists: in the lab, `/run` and the files in it are different ones.
pub struct Script {
    /// The name that errors use.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The directory that it imports from.
    pub directory: Option<Directory>,
}

impl Script {
    /// A script that is not in a file.
    #[must_use]
    pub fn new(name: &str, text: String, directory: Option<Directory>) -> Self {
        Self { name: name.into(), text: without_shebang(text), directory }
    }

    /// Reads a script from a file or a pipe, and opens the directory that it is in. Waits for the writer of a pipe.
    ///
    /// # Errors
    /// A sentence that says why the script cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        Self::of(path, File::open(path))
    }

    /// As [`Script::read`], from a regular file only: it never waits.
    ///
    /// # Errors
    /// As [`Script::read`].
    pub fn read_file(path: &Path) -> Result<Self, String> {
        let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        Self::of(path, opened.and_then(regular))
    }

    fn of(path: &Path, opened: io::Result<File>) -> Result<Self, String> {
        let text = opened.map_err(|error| describe(&error)).and_then(read_text);
        let text = text.map_err(|why| format!("cannot read `{}`: {why}", printable(&path.to_string_lossy())))?;
        Ok(Self::new(&path.to_string_lossy(), text, path.parent().and_then(Directory::open)))
    }
}

/// Reads a text, up to the size that can be compiled. An error says why that is not possible.
pub(crate) fn read_text(from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(TEXT as u64 + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
    if bytes.len() > TEXT {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8 text", error.utf8_error().valid_up_to() + 1))
}

/// The file, unless it is a pipe, a terminal or a device: reading one of those may wait for ever.
fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false if file.metadata()?.is_dir() => Err(io::Error::from_raw_os_error(Errno::EISDIR as i32)),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Removes a byte order mark and blanks a `#!` line, which Rhai accepts only in files that it reads itself. The line
/// numbers stay.
pub fn without_shebang(text: String) -> String {
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.starts_with("#!") {
        let end = text.find('\n').unwrap_or(text.len());
        return format!("//{}", " ".repeat(end.saturating_sub(2))) + &text[end..];
    }
    text
}

/// The module that an import means.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// The path below the directory, or `std/NAME`.
    key: String,
    /// The name that errors use.
    source: String,
}

/// Finds imported modules: first below the script's directory, then among the modules of nslab.
pub struct Resolver {
    directory: Option<Directory>,
    sources: Arc<Sources>,
    loading: Mutex<Vec<Found>>,
    loaded: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Resolver {
    /// A resolver for scripts in `directory`.
    #[must_use]
    pub fn new(directory: Option<Directory>, sources: Arc<Sources>) -> Self {
        Self { directory, sources, loading: Mutex::default(), loaded: Mutex::default() }
    }

    /// The module that `path` means in the module `importer`, and its text.
    fn find(&self, importer: Option<&str>, path: &str) -> Result<(Found, String), String> {
        let wanted = if Path::new(path).extension() == Some(OsStr::new("rhai")) {
            path.to_owned()
        } else {
            format!("{path}.rhai")
        };
        // Relative to the importing module, then to the script's directory.
        let beside = importer.and_then(|importer| Path::new(importer).parent()).map(|parent| parent.join(&wanted));
        let candidates = beside.into_iter().chain([PathBuf::from(&wanted)]);
        for candidate in candidates {
            let Some(candidate) = normal(&candidate) else {
                return Err("imports stay below the script's directory: no absolute path, no `..` out of it".into());
            };
            if let Some(directory) = &self.directory
                && let Some(text) = read_below(&directory.fd, &candidate)?
            {
                let key = candidate.to_string_lossy().into_owned();
                return Ok((Found { key, source: directory.source(&candidate) }, text));
            }
        }
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == path) {
            return Ok((Found { key: (*name).to_owned(), source: (*name).to_owned() }, (*text).to_owned()));
        }
        let known: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        Err(format!(
            "there is no `{wanted}` below the script's directory, and the modules of nslab are: {}",
            known.join(", ")
        ))
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
        let mut ast: AST = compile(engine, &Scope::new(), &without_shebang(text)).map_err(in_module)?;
        ast.set_source(source);
        self.sources.compiled(source, &ast);
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(in_module)?;
        Ok(module.into())
    }
}

/// `a/./b/../c` as `a/c`; none for a path that leads out of its directory.
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

/// Reads a file below `directory`. No symbolic link leads out of it (openat2(2), `RESOLVE_BENEATH`).
fn read_below(directory: &OwnedFd, path: &Path) -> Result<Option<String>, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH);
    let Ok(fd) = openat2(directory, path, how) else { return Ok(None) };
    let text = regular(File::from(fd)).map_err(|error| describe(&error)).and_then(read_text);
    text.map(Some).map_err(|why| format!("cannot read `{}`: {why}", printable(&path.to_string_lossy())))
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
    fn a_path_stays_below_its_directory() {
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
