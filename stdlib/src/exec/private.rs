//! A lab's own `/etc` and `/var`: what programs write there stays in the lab's memory.
//!
//! A tree is an overlay (`overlayfs`), whose upper layer is in a tmpfs. The kernel refuses one where something is mounted
//! below: then the lab has its own copies of the files that programs write most, or an empty directory.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::mount::MsFlags;
use nix::sys::stat::{Mode, umask};

use super::{mounts, sys};
use crate::error::{Error, Result};

/// The trees that a lab has for itself.
const TREES: [&str; 5] = [ETC, "/var/lib", "/var/log", "/var/cache", "/var/spool"];

const ETC: &str = "/etc";

/// The state of a tree that the lab has whole.
const OVERLAY: &str = "the lab's own, with the files of the machine in it";

/// The beginning of the state of a tree that the lab does not have.
const OF_MACHINE: &str = "that of the machine";

/// The files of `/etc` that a lab has for itself where `/etc` cannot be an overlay.
const FILES: [&str; 4] = ["resolv.conf", "hosts", "hostname", "nsswitch.conf"];

/// Where the upper layers are while the trees are mounted.
const STORE: &str = "/run/.private";

/// How much the lab may write to all trees together.
const LIMITS: &str = "size=256m,mode=755";

/// How deep directories of a tree are made in advance.
const LEVELS: u8 = 2;

/// A tree of files, and whether a lab has it for itself.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Its path.
    pub path: String,
    /// What the lab has there.
    pub state: String,
}

/// The trees of the lab that this process works in.
static CURRENT: OnceLock<Vec<Tree>> = OnceLock::new();

/// The trees of the lab that this process works in; none without a lab.
#[must_use]
pub fn trees() -> &'static [Tree] {
    CURRENT.get().map_or(&[], Vec::as_slice)
}

/// Whether the lab has all of `/etc` for itself.
pub(crate) fn has_etc() -> bool {
    trees().iter().any(|tree| tree.path == ETC && tree.state == OVERLAY)
}

/// Whether the lab has `/etc/hosts` for itself.
pub(crate) fn has_hosts() -> bool {
    let is_own = |tree: &Tree| tree.path == ETC && !tree.state.starts_with(OF_MACHINE);
    has_etc() || trees().iter().any(is_own) && Path::new(ETC).join("hosts").exists()
}

/// Records the trees of the lab, for this process and its children.
pub(super) fn set(report: &str) {
    let tree = |line: &str| {
        let (path, state) = line.split_once('\t')?;
        Some(Tree { path: path.into(), state: state.into() })
    };
    let _ = CURRENT.set(report.lines().filter_map(tree).collect()); // the keeper sets it once
}

/// Mounts the trees. Returns a line for each, for [`set`]. A tree that cannot be mounted is the machine's.
///
/// The root of a user's lab is not the owner of the machine's directories, so without `is_root` those of the first levels
/// are made in the upper layers, where this user owns them.
pub(super) fn mount(is_root: bool) -> String {
    let before = umask(Mode::empty()); // directories get the modes of those that they stand for
    let report = mount_all(is_root);
    umask(before);
    match report {
        Ok(lines) => lines,
        Err(error) => TREES.map(|tree| format!("{tree}\t{OF_MACHINE}: {error}\n")).concat(),
    }
}

fn mount_all(is_root: bool) -> Result<String> {
    let mounted = mount_points()?;
    directory(Path::new(STORE), 0o700)?;
    sys::mount_with("tmpfs", STORE, "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, LIMITS)
        .map_err(|e| Error::sys(format!("mount {STORE}"), e))?;
    let kept = kept();
    let lines = TREES.map(|tree| format!("{tree}\t{}\n", mount_one(tree, &mounted, is_root)));
    for (path, real) in kept {
        mounts::attach(&real, &path.to_string_lossy())?;
    }
    let _ = sys::unmount(Path::new(STORE)); // the overlays hold it
    let _ = fs::remove_dir(STORE);
    Ok(lines.concat())
}

/// The mount points of the calling process.
fn mount_points() -> Result<Vec<PathBuf>> {
    let list = fs::read_to_string("/proc/self/mountinfo").map_err(|e| Error::io("read `/proc/self/mountinfo`", &e))?;
    Ok(list.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect())
}

/// The working directory and the home directory, if they are below a tree of `/var`: they stay the machine's.
fn kept() -> Vec<(PathBuf, OwnedFd)> {
    let home = std::env::var_os("HOME").and_then(|home| fs::canonicalize(home).ok());
    let mut paths: Vec<PathBuf> = std::env::current_dir().ok().into_iter().chain(home).collect();
    paths.retain(|path| is_below_a_tree(path) && !path.starts_with(ETC));
    paths.sort();
    paths.dedup_by(|deeper, path| deeper.starts_with(path));
    let take = |path: PathBuf| mounts::take(&path.to_string_lossy()).ok().map(|real| (path, real));
    paths.into_iter().filter_map(take).collect()
}

fn is_below_a_tree(path: &Path) -> bool {
    TREES.iter().any(|tree| path.starts_with(tree) && path != Path::new(tree))
}

/// Enters the working directory again, if it is in a tree: the process is still in that of the machine.
pub(super) fn enter_working_directory() {
    if let Ok(directory) = std::env::current_dir()
        && TREES.iter().any(|tree| directory.starts_with(tree))
    {
        let _ = std::env::set_current_dir(directory); // the lab may lack it: then it stays the machine's
    }
}

/// Mounts one tree; says what the lab has there.
fn mount_one(tree: &str, mounted: &[PathBuf], is_root: bool) -> String {
    let real = match fs::canonicalize(tree) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return "the machine has none".into(),
        Err(error) => return format!("{OF_MACHINE}: {error}"),
    };
    let store = Path::new(STORE).join(tree.trim_start_matches('/').replace('/', "-"));
    let below = mounted.iter().find(|point| point.starts_with(&real) && **point != real);
    let why_not = match below {
        Some(point) => format!("`{}` is mounted below it", point.display()),
        None => match overlay(&real, &store, is_root) {
            Ok(()) => return OVERLAY.into(),
            Err(error) => error.to_string(),
        },
    };
    let (done, what) = if tree == ETC {
        (files(&store), FILES.join(", ") + " are the lab's own")
    } else {
        (directories(&real, &store, is_root), "the lab's own, with the directories of the machine in it".to_owned())
    };
    match done {
        Ok(()) => format!("{what}: {why_not}"),
        Err(error) => format!("{OF_MACHINE}: {why_not}; {error}"),
    }
}

fn directory(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode).create(path).map_err(|e| Error::io(format!("make `{}`", path.display()), &e))
}

/// Mounts an overlay over `real`.
fn overlay(real: &Path, store: &Path, is_root: bool) -> Result<()> {
    let (upper, work) = (store.with_extension("upper"), store.with_extension("work"));
    let model = like(real, &upper, is_root)?;
    directory(&work, 0o700)?;
    if !is_root {
        copy_directories(real, &model, &upper, LEVELS, is_root)?;
    }
    if real == Path::new(ETC) {
        own_files(&upper, is_root)?;
    }
    let options =
        format!("lowerdir={},upperdir={},workdir={},userxattr", real.display(), upper.display(), work.display());
    sys::mount_with("overlay", &real.to_string_lossy(), "overlay", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &options)
        .map_err(|e| Error::sys(format!("mount an overlay over {}", real.display()), e))
}

/// Makes a directory with the mode of `model`, and as root with its owner. Returns what the kernel says of `model`.
fn like(model: &Path, path: &Path, is_root: bool) -> Result<Metadata> {
    let failed = |e| Error::io(format!("make `{}`", path.display()), &e);
    let metadata = fs::metadata(model).map_err(failed)?;
    directory(path, metadata.mode() & 0o7777)?;
    if is_root {
        lchown(path, Some(metadata.uid()), Some(metadata.gid())).map_err(failed)?;
    }
    Ok(metadata)
}

/// Makes the directories below `from` in `to`, as many levels deep. What the user cannot read is left out.
fn copy_directories(from: &Path, metadata: &Metadata, to: &Path, levels: u8, is_root: bool) -> Result<()> {
    // Each directory in it has a link to it: two are its own. (Some file systems do not count, and say 1.)
    if metadata.nlink() == 2 {
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let metadata = like(&from, &to, is_root)?;
            if levels > 1 {
                copy_directories(&from, &metadata, &to, levels - 1, is_root)?;
            }
        }
    }
    Ok(())
}

/// Puts those of [`FILES`] into the upper layer that the lab cannot write to otherwise: in a user's lab all, since they belong
/// to the machine's root; in each lab those that are links into the machine's `/run`, as with systemd-resolved.
fn own_files(upper: &Path, is_root: bool) -> Result<()> {
    for name in FILES {
        let path = Path::new(ETC).join(name);
        let is_link = path.is_symlink();
        match fs::read(&path) {
            Ok(text) if is_link || !is_root => copy(&path, &text, &upper.join(name))?,
            Err(_) if is_link => copy(&path, b"", &upper.join(name))?,
            _ => {}
        }
    }
    Ok(())
}

/// Mounts copies over [`FILES`].
fn files(store: &Path) -> Result<()> {
    directory(store, 0o755)?;
    for name in FILES {
        let path = Path::new(ETC).join(name);
        let Ok(text) = fs::read(&path) else { continue };
        let copied = store.join(name);
        copy(&path, &text, &copied)?;
        bind(&copied, &path.to_string_lossy())?;
    }
    Ok(())
}

/// Writes `text` to `to`, with the permissions of `path`.
fn copy(path: &Path, text: &[u8], to: &Path) -> Result<()> {
    let mode = fs::metadata(path).map_or(0o644, |metadata| metadata.mode());
    fs::write(to, text)
        .and_then(|()| fs::set_permissions(to, Permissions::from_mode(mode & 0o7777)))
        .map_err(|e| Error::io(format!("copy `{}`", path.display()), &e))
}

/// Mounts a directory with the directories of `real` over it.
fn directories(real: &Path, store: &Path, is_root: bool) -> Result<()> {
    let model = like(real, store, is_root)?;
    copy_directories(real, &model, store, LEVELS, is_root)?;
    bind(store, &real.to_string_lossy())
}

fn bind(source: &Path, target: &str) -> Result<()> {
    sys::mount(&source.to_string_lossy(), target, "none", MsFlags::MS_BIND)
        .map_err(|e| Error::sys(format!("mount over {target}"), e))
}
