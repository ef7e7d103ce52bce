//! Processes inside any set of namespaces, with none of our descriptors.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::handle::{NsHandle, NsKind};
use super::{hop, mounts, sys};
use crate::error::{Error, Kind, Result};

/// Where programs are looked for when `PATH` is not set.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the program reads and writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Pipes of ours; standard input only if something is to be written.
    Piped { stdin: bool },
    /// The terminal, in the foreground.
    Terminal,
}

/// A started process, held by a descriptor that no reuse of its number can confuse.
pub(crate) struct Started {
    /// Its pipes, and the only right to wait for it.
    pub child: Child,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
}

impl Started {
    /// Kills the process and its process group. The group's number is still its own: we have not waited for it yet.
    pub(crate) fn kill_group(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Waits for the end of a program that has the terminal. There is no job control, so one that Ctrl-Z stopped goes
    /// on: nobody could wake it any more.
    pub(crate) fn wait_in_the_foreground(self) -> std::result::Result<ExitStatus, Errno> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        loop {
            match waitpid(pid, Some(WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(ExitStatus::from_raw(code << 8)),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(ExitStatus::from_raw(signal as i32)),
                Ok(WaitStatus::Stopped(..)) => {
                    let _ = nix::sys::signal::killpg(pid, Signal::SIGCONT);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Starts `argv` inside `namespaces`, with `tag` in its environment.
pub(crate) fn spawn(
    namespaces: &[NsHandle],
    argv: &[String],
    streams: Streams,
    tag: Option<(&str, String)>,
) -> Result<Started> {
    let [program, args @ ..] = argv else {
        return Err(Error::usage("no program to run: the command is empty"));
    };
    let op = || format!("run `{}`", crate::name::short(program));
    if let Some(bad) = argv.iter().find(|word| word.contains('\0')) {
        return Err(Error::usage(format!("the word `{}` contains a NUL byte", crate::name::short(bad))));
    }
    let home = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    hop::on_a_thread(|| {
        let in_child = enter_what_a_thread_can(namespaces)?;
        let path = find(program)?;
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(path);
        command.arg0(program).args(args).envs(tag);
        // Entering a mount namespace moved us to its root.
        command.current_dir(if home.is_dir() { home.as_path() } else { Path::new("/") });
        match streams {
            Streams::Piped { stdin } => {
                let stdin = if stdin { Stdio::piped() } else { Stdio::null() };
                command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            }
            Streams::Terminal => sys::take_terminal_in_child(&mut command),
        }
        if !in_child.is_empty() {
            sys::enter_in_child(&mut command, in_child);
        }
        let child = command.spawn().map_err(|e| Error::io(op(), &e))?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
        let pidfd = sys::pidfd_open(pid).map_err(|e| Error::sys(op(), e))?;
        Ok(Started { child, pidfd })
    })
}

/// Enters what a thread may enter and returns the rest, for the child: user last, since it gives up the right to
/// enter the others.
fn enter_what_a_thread_can(namespaces: &[NsHandle]) -> Result<Vec<OwnedFd>> {
    let copy = |ns: &NsHandle| ns.as_fd().try_clone_to_owned().map_err(|e| Error::io("copy a descriptor", &e));
    let of_kind = |kind| namespaces.iter().filter(move |ns: &&NsHandle| ns.kind() == kind);
    let mut in_child = Vec::new();
    for kind in [NsKind::Time, NsKind::User] {
        for ns in of_kind(kind) {
            in_child.push(copy(ns)?);
        }
    }
    for ns in namespaces {
        if !matches!(ns.kind(), NsKind::Time | NsKind::User | NsKind::Mount) {
            hop::enter(ns.as_fd())?;
        }
    }
    for ns in of_kind(NsKind::Mount) {
        hop::unshare(CloneFlags::CLONE_FS)?; // a thread that shares its root with others may not change it
        hop::enter(ns.as_fd())?;
    }
    Ok(in_child)
}

/// Finds `program` as a shell does, in the calling thread's view of the file system.
fn find(program: &str) -> Result<PathBuf> {
    let not_found =
        |hint: String| Error::sys(format!("run `{}`", crate::name::short(program)), Errno::ENOENT).hint(hint);
    if program.contains('/') {
        return Ok(program.into());
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| USUAL_PATH.into());
    let runs = |candidate: &PathBuf| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(candidate).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    // An empty entry means the current folder to a shell: a trap that we leave out.
    let mut candidates = path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(program));
    candidates.find(runs).ok_or_else(|| {
        // On Debian the tools of the administrator are not on an ordinary user's PATH.
        let sbin = USUAL_PATH.split(':').map(|dir| Path::new(dir).join(program)).find(runs);
        not_found(match (path.is_empty(), sbin) {
            (true, _) => "PATH is empty: name the program by its whole path".to_owned(),
            (_, Some(there)) => format!("it is not on your PATH ({path}), but there is `{}`", there.display()),
            _ => format!("no such program on the PATH ({path})"),
        })
    })
}

/// A mount namespace whose `/sys` shows the network namespace `net`, so that programs which read it see its links.
///
/// `ip netns exec` makes one at each call; here it is made once and kept.
pub(crate) fn mounts_for(net: &NsHandle, cut_propagation: bool) -> Result<NsHandle> {
    hop::hop(net.as_fd(), || {
        hop::unshare(CloneFlags::CLONE_NEWNS)?;
        if cut_propagation {
            mounts::follow()?;
        }
        mounts::sys()?;
        NsHandle::open(NsKind::Mount, Path::new("/proc/thread-self/ns/mnt"))
    })
}

/// Makes `kinds` anew. A process is needed for some of them; it is returned if it has to stay.
pub(crate) fn make(kinds: &[NsKind]) -> Result<(Vec<NsHandle>, Option<super::init::Init>)> {
    use NsKind::{Mount, Net, Pid, Time, User};
    let open_all = |of: &str| {
        kinds
            .iter()
            .map(|&kind| {
                // The maker of a time namespace stays outside; its children are in (time_namespaces(7)).
                let file = if kind == Time { "time_for_children" } else { kind.file() };
                NsHandle::open(kind, Path::new(&format!("/proc/{of}/ns/{file}")))
            })
            .collect::<Result<Vec<_>>>()
    };
    if kinds.contains(&Pid) || kinds.contains(&User) {
        let init = super::init::Init::start(kinds)?;
        let handles = open_all(&init.pid().to_string())?;
        return Ok((handles, kinds.contains(&Pid).then_some(init)));
    }
    let flags = kinds.iter().fold(CloneFlags::empty(), |all, kind| all | kind.flag());
    let handles = hop::on_a_thread(|| {
        hop::unshare(flags)?;
        if kinds.contains(&Mount) {
            mounts::make_private()?;
        }
        if kinds.contains(&Mount) && kinds.contains(&Net) {
            mounts::sys()?;
        }
        open_all("thread-self")
    })?;
    Ok((handles, None))
}

/// Whether an error means that a process is simply gone.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT))
}

/// Refuses what cannot be: entering a kind twice.
pub(crate) fn no_duplicates(kinds: &[NsKind]) -> Result<()> {
    let mut sorted = kinds.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != kinds.len() {
        return Err(Error::usage("a kind of namespace is named twice"));
    }
    if kinds.is_empty() {
        return Err(Error::plain(Kind::Usage, "no kind of namespace is named").hint(r#"for example ["mount", "net"]"#));
    }
    Ok(())
}
