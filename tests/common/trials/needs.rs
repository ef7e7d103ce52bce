//! What a trial needs of the machine, and how the reason reads when it is missing.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// The programs that trials and scripts start, each with its Debian package.
const TOOLS: &str = include_str!("../../tools.txt");

/// Directories of tools that the PATH of an ordinary user often lacks.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// One thing that a trial needs, or a script by its `//! needs:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A lab can be made: by root, or with user namespaces.
    Lab,
    /// A user without privileges can make one, too; found out when a trial runs the program as that user.
    LabOfNobody,
    /// The tests run as root.
    Root,
    /// A new network namespace has `lo` alone: no module for tunnels adds its fallback devices.
    LoAlone,
    /// A program on PATH or at a path, and the Debian package that has it.
    Tool(&'static str, &'static str),
    /// A program at this path.
    File(PathBuf),
    /// A feature of the kernel, by the name that `nslab doctor` prints.
    Kernel(String),
}

impl Need {
    /// What a word of `#[trial(…)]`, or of a `//! needs:` line, stands for.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "lab" => Self::Lab,
            "root" => Self::Root,
            "lo_alone" => Self::LoAlone,
            word => match tools().find(|(tool, _)| *tool == word) {
                Some((tool, package)) => Self::Tool(tool, package),
                None if word.starts_with('/') => Self::File(word.into()),
                None => Self::Kernel(word.to_owned()),
            },
        }
    }

    /// The tools that a script names on lines that start programs. It may name one too many, but none too few: a tool that
    /// is not found this way fails the trial where it is missing.
    pub(crate) fn of_script(text: &str) -> Vec<Self> {
        let starts = text.lines().filter(|line| line.contains("exec(") || line.contains("start("));
        let words: BTreeSet<&str> = starts.flat_map(words_of).collect();
        tools().filter(|(tool, _)| words.contains(tool)).map(|(tool, package)| Self::Tool(tool, package)).collect()
    }

    /// Whether it is the path of a program of this name.
    pub(crate) fn is_file_called(&self, tool: &str) -> bool {
        matches!(self, Self::File(path) if path.ends_with(tool))
    }

    /// Whether it depends on the kernel: another kernel has it, no package adds it.
    pub(crate) fn is_of_kernel(&self) -> bool {
        matches!(self, Self::Kernel(_) | Self::LoAlone)
    }
}

/// The reason why a trial is ignored that lacks this.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lab => write!(f, "no lab can be made here: see `nslab doctor`"),
            Self::LabOfNobody => write!(f, "a user without privileges cannot make a lab here"),
            Self::Root => write!(f, "not root"),
            Self::LoAlone => write!(f, "modules for tunnels add links to each namespace"),
            Self::Tool(tool, package) => match elsewhere(tool) {
                Some(directory) => write!(f, "`{tool}` is in {directory}, not on PATH"),
                None => write!(f, "no `{tool}` ({package})"),
            },
            Self::File(path) => write!(f, "no `{}`", path.display()),
            Self::Kernel(feature) => write!(f, "the kernel has no {feature}"),
        }
    }
}

/// The words of a line that may be programs: not those after `ip`, which are its objects (`ip route`).
fn words_of(line: &str) -> Vec<&str> {
    let words: Vec<&str> =
        line.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty()).collect();
    let follows_ip = |n: usize| words[..n].iter().rfind(|word| !word.starts_with('-')) == Some(&"ip");
    (0..words.len()).filter(|n| !follows_ip(*n)).map(|n| words[n]).collect()
}

/// The rows of the table: a program and its package.
fn tools() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = TOOLS.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| row.split_once(' ').expect("a row has two words")).map(|(tool, package)| (tool, package.trim()))
}

/// Whether a program is on PATH.
pub(crate) fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// The directory of the system that has a tool, if PATH leaves it out.
fn elsewhere(tool: &str) -> Option<&'static str> {
    SYSTEM.into_iter().find(|directory| Path::new(directory).join(tool).is_file())
}

/// The command that installs all tools which are missing on this machine.
pub(crate) fn install_line() -> Option<String> {
    let missing = tools().filter(|(tool, _)| !is_on_path(tool) && elsewhere(tool).is_none());
    let packages: BTreeSet<&str> = missing.map(|(_, package)| package).collect();
    let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
    (!packages.is_empty()).then(|| format!("tools for the ignored trials: apt-get install -y {packages}"))
}
