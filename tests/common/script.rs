//! The scripts of the repository.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Shell;
use super::trials::{Need, are_met};

/// A script, by its path below `scripts/` without the extension.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Script {
    /// Every script, sorted; modules in `lib/` are none.
    pub(crate) fn all() -> Vec<Self> {
        let paths = rhai_files().into_iter().filter(|path| !path.starts_with("lib"));
        paths.map(|path| Self::at(&path)).collect()
    }

    /// The script whose output is recorded.
    pub(crate) fn walkthrough() -> Self {
        Self::at(Path::new("walkthrough.rhai"))
    }

    /// The script at a path below `scripts/`.
    pub(crate) fn at(path: &Path) -> Self {
        let text = fs::read_to_string(directory().join(path)).unwrap();
        Self { name: path.with_extension("").display().to_string(), text }
    }

    /// The words of its `//! needs:` line.
    pub(crate) fn words(&self) -> Vec<&str> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("//! needs:"));
        lines.flat_map(str::split_whitespace).collect()
    }

    pub(crate) fn needs(&self) -> Vec<Need> {
        self.words().into_iter().map(Need::of).collect()
    }

    /// Every script of which this machine has all that it needs.
    pub(crate) fn runnable() -> Vec<Self> {
        Self::all().into_iter().filter(|script| are_met(&script.needs())).collect()
    }

    /// Whether it runs with `--host`, where the files that programs write are the machine's.
    pub(crate) fn runs_on_the_machine(&self) -> bool {
        !self.words().contains(&"lab")
    }

    /// Whether users without privileges may open the devices that it needs. On most machines udev lets them.
    pub(crate) fn runs_for_all(&self) -> bool {
        let is_open = || fs::metadata("/dev/net/tun").is_ok_and(|tun| tun.mode() & 0o006 == 0o006);
        !self.words().contains(&"tun") || is_open()
    }

    /// `nslab WORDS SCRIPT`, in a private copy of `scripts/` that every user can read.
    pub(crate) fn shell(&self, words: &[&str]) -> Shell {
        let shell = rhai_files().into_iter().fold(Shell::new(), |shell, path| {
            let text = fs::read(directory().join(&path)).unwrap();
            shell.file(path.to_str().unwrap(), text)
        });
        shell.command(words.iter().copied()).args([format!("{}.rhai", self.name)])
    }
}

/// The paths of all `.rhai` files below `scripts/`, sorted.
pub(crate) fn rhai_files() -> Vec<PathBuf> {
    let paths = crate::files(&directory(), ".rhai");
    paths.into_iter().map(|path| path.strip_prefix(directory()).unwrap().to_owned()).collect()
}

fn directory() -> PathBuf {
    crate::root().join("scripts")
}
