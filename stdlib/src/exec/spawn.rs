//! Processes inside any set of namespaces. They inherit no descriptor but the standard streams.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp};

use super::handle::{NsHandle, NsKind};
use super::{hop, mounts, sys};
use crate::error::{Error, Result};

/// The search path if `PATH` is not set.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the kernel may take to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The standard streams of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Pipes. Without `stdin`, standard input is `/dev/null`.
    Piped { stdin: bool },
    /// The terminal, with the program in the foreground.
    Terminal,
    /// The streams of this process as they were when it was started, and the terminal as this process has it. Without a
    /// terminal the program leads a process group, so that no signal to its own group reaches the outside.
    Inherited,
}

/// A started process. The pidfd names it even after its PID is reused.
///
/// Dropping one that has not been waited for ends it, so no error leaves a process behind. A process that is not reaped
/// keeps its pid namespace alive.
pub(crate) struct Started {
    /// Its pipes, and the handle that waits for it.
    pub child: Child,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
}

impl Started {
    /// Kills the process and its process group, and reaps it. The process must not have been waited for: its PID may be
    /// another's.
    fn end(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        end(&mut self.child);
    }

    /// Waits for the end of a program that has the terminal. There is no job control, so a program that Ctrl-Z stops is
    /// continued at once.
    pub(crate) fn wait_in_the_foreground(self) -> std::result::Result<ExitStatus, Errno> {
        self.wait(|pid| {
            let _ = killpg(pid, Signal::SIGCONT);
        })
    }

    /// Waits for the end of a program with [`Streams::Inherited`]. If it stops in a process group of its own, as a shell
    /// that is suspended, the process group of nslab stops with it, which the shell that started nslab sees. In the same
    /// group the terminal has stopped both. The front passes on the SIGCONT that continues them.
    pub(crate) fn wait_as_part_of_the_job(self) -> std::result::Result<ExitStatus, Errno> {
        self.wait(|pid| {
            if has_terminal() && getpgid(Some(pid)) != Ok(getpgrp()) {
                let _ = kill(Pid::from_raw(0), Signal::SIGSTOP);
            }
        })
    }

    /// Waits for the end, and calls `stopped` each time when the process has stopped.
    fn wait(self, stopped: impl Fn(Pid)) -> std::result::Result<ExitStatus, Errno> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        loop {
            match waitpid(pid, Some(WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(ExitStatus::from_raw(code << 8)),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(ExitStatus::from_raw(signal as i32)),
                Ok(WaitStatus::Stopped(..)) => stopped(pid),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Kills `child`, which may have left its process group, and reaps it. A process that the kernel does not end in time,
/// as one that waits for a dead disk, stays behind: the lab's first process reaps it.
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
    let end = Instant::now() + KILL_LIMIT;
    let mut pause = Duration::from_micros(50);
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Starts `argv` inside `namespaces`, with `environment` besides that of this process.
pub(crate) fn spawn(
    namespaces: &[NsHandle],
    argv: &[impl AsRef<OsStr> + Sync],
    streams: Streams,
    environment: &[(&str, String)],
) -> Result<Started> {
    let [program, args @ ..] = argv else {
        return Err(Error::usage("no program to run: the command is empty"));
    };
    let program = program.as_ref();
    let op = || format!("run `{}`", shown(program));
    if let Some(bad) = argv.iter().map(AsRef::as_ref).find(|word| word.as_bytes().contains(&0)) {
        return Err(Error::usage(format!("the word `{}` contains a NUL byte", shown(bad))));
    }
    let home = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    hop::on_a_thread(|| {
        let in_child = enter_what_a_thread_can(namespaces)?;
        let own_path = environment.iter().find(|(name, _)| *name == "PATH").map(|(_, path)| path.clone());
        let path = find(program, own_path)?;
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(path);
        command.arg0(program).args(args).envs(environment.iter().cloned());
        if namespaces.iter().any(|ns| ns.kind() == NsKind::Mount) {
            // Entering a mount namespace sets the working directory to its root.
            command.current_dir(if home.is_dir() { home.as_path() } else { Path::new("/") });
        }
        match streams {
            Streams::Piped { stdin } => {
                let stdin = if stdin { Stdio::piped() } else { Stdio::null() };
                command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            }
            Streams::Terminal => sys::take_terminal_in_child(&mut command),
            Streams::Inherited => {
                if !has_terminal() {
                    command.process_group(0);
                }
                sys::close_streams_in_child(&mut command);
            }
        }
        if !in_child.is_empty() {
            sys::enter_in_child(&mut command, in_child);
        }
        let mut child = command.spawn().map_err(|e| Error::io(op(), &e))?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
        match sys::pidfd_open(pid) {
            Ok(pidfd) => Ok(Started { child, pidfd }),
            Err(errno) => {
                end(&mut child);
                Err(Error::sys(op(), errno)
                    .hint("the kernel, or a seccomp filter as in a container, refuses pidfd_open(2)"))
            }
        }
    })
}

/// Enters the namespaces that a thread may enter. Returns the rest for the child: the user namespace last, since
/// entering it gives up the right to enter the others.
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
        hop::enter_mounts(ns.as_fd())?;
    }
    Ok(in_child)
}

/// Whether this process has a terminal that controls it.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// A word as messages show it.
fn shown(word: &OsStr) -> String {
    crate::name::short(&word.to_string_lossy())
}

/// The search path with the directories of [`USUAL_PATH`] that it lacks at its end. An empty one stays empty.
pub(crate) fn with_system_directories(path: &str) -> String {
    let has = |directory: &&str| path.is_empty() || path.split(':').any(|own| own == *directory);
    let missing = USUAL_PATH.split(':').filter(|directory| !has(directory));
    std::iter::once(path).chain(missing).collect::<Vec<_>>().join(":")
}

/// Finds `program` on `path`, or else on `PATH`, as a shell does, in the calling thread's mount namespace.
fn find(program: &OsStr, path: Option<String>) -> Result<PathBuf> {
    let not_found = |hint: String| Error::sys(format!("run `{}`", shown(program)), Errno::ENOENT).hint(hint);
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let path = path.or_else(|| std::env::var("PATH").ok()).unwrap_or_else(|| USUAL_PATH.into());
    let runs = |candidate: &PathBuf| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(candidate).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    // To a shell an empty entry is the current directory. It is skipped on purpose: it runs what lies there.
    let mut candidates = path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(program));
    candidates.find(runs).ok_or_else(|| {
        // On Debian an ordinary user's PATH has no sbin directories.
        let sbin = USUAL_PATH.split(':').map(|dir| Path::new(dir).join(program)).find(runs);
        not_found(match (path.is_empty(), sbin) {
            (true, _) => "PATH is empty: name the program by its whole path".to_owned(),
            (_, Some(there)) => format!("it is not on your PATH ({path}), but there is `{}`", there.display()),
            _ => format!("no such program on the PATH ({path})"),
        })
    })
}

/// Makes new namespaces of `kinds`. Some of them require a process; it is returned if it has to stay.
pub(crate) fn make(kinds: &[NsKind]) -> Result<(Vec<NsHandle>, Option<super::init::Init>)> {
    use NsKind::{Mount, Net, Pid, Time, User};
    let open_all = |of: &str| {
        kinds
            .iter()
            .map(|&kind| {
                // A new time namespace is for the children of its maker (time_namespaces(7)).
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

/// Refuses a list of types that is empty or has one twice: a process is in one namespace of each type.
pub(crate) fn no_duplicates(kinds: &[NsKind]) -> Result<()> {
    let mut sorted = kinds.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != kinds.len() {
        return Err(Error::usage("a namespace type is given twice"));
    }
    if kinds.is_empty() {
        return Err(Error::usage("no namespace type is given").hint(r#"for example ["mount", "net"]"#));
    }
    Ok(())
}
