//! Programs inside any set of namespaces. They inherit no descriptor but the standard streams.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::resource::Resource;
use nix::unistd::{Pid, pipe2};

use super::handle::{NsHandle, NsKind};
use super::started::{Started, has_terminal};
use super::vfork::{self, Plan, Step};
use super::{hop, mounts, pretend, sys};
use crate::error::{Error, Result};
use crate::name::short;

/// The search path if `PATH` is not set.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The standard streams of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Pipes, and a session without a terminal. Without `stdin`, standard input is `/dev/null`.
    Piped { stdin: bool },
    /// The terminal, with the program in the foreground.
    Terminal,
    /// The streams of this process as they were when it was started, and the terminal as this process has it. Without a
    /// terminal the program leads a process group, so that no signal to its own group reaches the outside.
    Inherited,
}

/// A program to start.
#[derive(Clone)]
pub(crate) struct Program {
    /// Its name or path, and its arguments.
    pub argv: Vec<OsString>,
    pub streams: Streams,
    /// What its environment has other than what it inherits.
    pub variables: Vec<(String, String)>,
    /// Whether it inherits the environment of this process.
    pub inherits: bool,
    /// Its working directory, if not that of this process.
    pub directory: Option<PathBuf>,
    /// Its resource limits, if not those of this process.
    pub limits: Vec<(Resource, u64)>,
    /// Whether changes of ids are the kernel's, also where the lab pretends them.
    pub strict: bool,
}

/// Starts `program` inside `namespaces`. It is looked for in the mount namespace among them.
pub(crate) fn spawn(namespaces: Vec<NsHandle>, program: Program) -> Result<Started> {
    if pretend::is_on() {
        if program.strict {
            return pretend::without_filter(move || spawn_here(&namespaces, &program));
        }
        pretend::install()?;
    }
    spawn_here(&namespaces, &program)
}

/// Starts a program, which inherits the seccomp filter of the calling thread.
fn spawn_here(namespaces: &[NsHandle], program: &Program) -> Result<Started> {
    let Program { argv, streams, variables, inherits, directory, limits, .. } = program;
    let [program, ..] = &argv[..] else {
        return Err(Error::usage("no program to run: the command is empty"));
    };
    if let Some(bad) = argv.iter().find(|word| word.as_bytes().contains(&0)) {
        return Err(Error::usage(format!("the word `{}` contains a NUL byte", short(&bad.to_string_lossy()))));
    }
    let pipes = match streams {
        Streams::Piped { stdin } => Some(Pipes::new(*stdin)?),
        Streams::Terminal | Streams::Inherited => None,
    };
    let is_replaced = |variable: &CString| {
        let name = variable.as_bytes().split(|byte| *byte == b'=').next();
        variables.iter().any(|(other, _)| name == Some(other.as_bytes()))
    };
    let inherited = environment().iter().filter(|variable| *inherits && !is_replaced(variable));
    let added = variables.iter().map(|(name, value)| variable(name.as_ref(), value.as_ref()));
    let added: Vec<_> = added.collect::<Result<_>>()?;
    // Entering a mount namespace sets the working directory to its root.
    let is_moved = namespaces.iter().any(|ns| ns.kind() == NsKind::Mount);
    let own_directory = || is_moved.then(|| env::current_dir().unwrap_or_else(|_| PathBuf::from("/")));
    let requires_directory = directory.is_some();
    let directory = directory.clone().or_else(own_directory);
    let path = search_path(variables);
    let mut plan = Plan {
        namespaces: in_order(namespaces).map(AsFd::as_fd).collect(),
        shares_memory: !namespaces.iter().any(|ns| matches!(ns.kind(), NsKind::Time | NsKind::User)),
        streams: match &pipes {
            Some(Pipes { stdin, stdout, stderr }) => vfork::Streams::Pipes {
                stdin: stdin.as_ref().map(|pipe| pipe.childs.as_fd()),
                stdout: stdout.childs.as_fd(),
                stderr: stderr.childs.as_fd(),
            },
            None if *streams == Streams::Inherited => {
                vfork::Streams::Inherited { closed: sys::closed_streams(), leads_group: !has_terminal() }
            }
            None => vfork::Streams::Terminal,
        },
        directory: directory.as_ref().map(|directory| c_string(directory.as_os_str())).transpose()?,
        requires_directory,
        limits: limits.clone(),
        candidates: candidates(&path, program).iter().map(|path| c_string(path.as_os_str())).collect::<Result<_>>()?,
        argv: argv.iter().map(|word| c_string(word)).collect::<Result<_>>()?,
        environment: inherited.chain(&added).map(CString::as_c_str).collect(),
    };
    let mut result = start(namespaces, &plan)?;
    if let Err((Step::Execute, _)) = result
        && !is_path(program)
    {
        // The errno is that of one candidate among others.
        plan.candidates = vec![c_string(find(namespaces, &path, program)?.as_os_str())?];
        result = start(namespaces, &plan)?;
    }
    let (pid, pidfd) = result.map_err(|(step, errno)| match step {
        Step::Directory => {
            let directory = directory.unwrap_or_default();
            Error::sys(format!("enter directory `{}`", short(&directory.to_string_lossy())), errno)
        }
        _ => failed(program, step, errno),
    })?;
    let mut started = Started::new(pid, pidfd);
    if let Some(Pipes { stdin, stdout, stderr }) = pipes {
        started.stdin = stdin.map(|pipe| pipe.ours);
        (started.stdout, started.stderr) = (Some(stdout.ours), Some(stderr.ours));
    }
    Ok(started)
}

/// The namespaces that the child enters: the mount namespace after those whose entry it does not affect, and the user
/// namespace last, since entering it gives up the right to enter the others.
fn in_order(namespaces: &[NsHandle]) -> impl Iterator<Item = &NsHandle> {
    let last = [NsKind::Mount, NsKind::Time, NsKind::User];
    let others = namespaces.iter().filter(move |ns| ns.kind() != NsKind::Pid && !last.contains(&ns.kind()));
    others.chain(last.into_iter().flat_map(|kind| namespaces.iter().filter(move |ns| ns.kind() == kind)))
}

/// The pipes of a program.
struct Pipes {
    stdin: Option<Pipe>,
    stdout: Pipe,
    stderr: Pipe,
}

struct Pipe {
    ours: OwnedFd,
    childs: OwnedFd,
}

impl Pipes {
    fn new(stdin: bool) -> Result<Self> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::sys("make a pipe", e));
        let output = || pipe().map(|(ours, childs)| Pipe { ours, childs });
        let input = || pipe().map(|(childs, ours)| Pipe { ours, childs });
        Ok(Self { stdin: stdin.then(input).transpose()?, stdout: output()?, stderr: output()? })
    }
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::usage("a path contains a NUL byte"))
}

/// The environment of this process, which does not change once there are threads.
fn environment() -> &'static [CString] {
    static ENVIRONMENT: OnceLock<Vec<CString>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| env::vars_os().filter_map(|(name, value)| variable(&name, &value).ok()).collect())
}

/// `NAME=VALUE`.
fn variable(name: &OsStr, value: &OsStr) -> Result<CString> {
    c_string(&[name, value].join(OsStr::new("=")))
}

/// The paths at which `program` may be.
fn candidates(path: &str, program: &OsStr) -> Vec<PathBuf> {
    if is_path(program) { vec![program.into()] } else { on_path(path, program) }
}

fn is_path(program: &OsStr) -> bool {
    program.as_bytes().contains(&b'/')
}

/// The search path of a program with these variables.
fn search_path(variables: &[(String, String)]) -> String {
    let own = variables.iter().find(|(name, _)| *name == "PATH").map(|(_, path)| path.clone());
    own.or_else(|| env::var("PATH").ok()).unwrap_or_else(|| USUAL_PATH.into())
}

/// The search path with the directories of [`USUAL_PATH`] that it lacks at its end. An empty one stays empty.
pub(crate) fn with_system_directories(path: &str) -> String {
    let has = |directory: &&str| path.is_empty() || path.split(':').any(|own| own == *directory);
    let missing = USUAL_PATH.split(':').filter(|directory| !has(directory));
    std::iter::once(path).chain(missing).collect::<Vec<_>>().join(":")
}

/// `program` in each directory of `path`. A shell takes an empty entry for the current directory. It is skipped on purpose:
/// it runs what lies there.
fn on_path(path: &str, program: &OsStr) -> Vec<PathBuf> {
    path.split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(directory).join(program))
        .collect()
}

/// Starts the child, from a thread in the pid namespace if there is one: it is for the children of the thread that enters
/// it (`pid_namespaces(7)`).
fn start(namespaces: &[NsHandle], plan: &Plan<'_>) -> Result<Result<(Pid, OwnedFd), vfork::Failed>> {
    match namespaces.iter().find(|ns| ns.kind() == NsKind::Pid) {
        None => Ok(vfork::start(plan)),
        Some(pid) => hop::on_a_thread(|| hop::enter(pid.as_fd()).map(|()| vfork::start(plan))),
    }
}

/// The error of a start that failed at `step`.
fn failed(program: &OsStr, step: Step, errno: Errno) -> Error {
    let error = Error::sys(format!("run `{}`", short(&program.to_string_lossy())), errno);
    match (step, errno) {
        (Step::Clone, Errno::EAGAIN | Errno::ENOMEM) => {
            error.hint("a limit is reached: of processes (`ulimit -u`, `pids.max` of the cgroup) or memory")
        }
        (Step::Enter, _) => Error::sys("enter the namespace", errno),
        (Step::Limit, _) => Error::sys(format!("set the limits of `{}`", short(&program.to_string_lossy())), errno)
            .hint("a limit can be lowered: `ulimit -H -a` shows the highest"),
        _ => error,
    }
}

/// Finds `program` on `path` as a shell does, in the mount namespace among `namespaces`.
fn find(namespaces: &[NsHandle], path: &str, program: &OsStr) -> Result<PathBuf> {
    hop::on_a_thread(|| {
        if let Some(mount) = namespaces.iter().find(|ns| ns.kind() == NsKind::Mount) {
            hop::enter_mounts(mount.as_fd())?;
        }
        let runs = |candidate: &PathBuf| {
            use std::os::unix::fs::PermissionsExt;
            fs::metadata(candidate).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        on_path(path, program).into_iter().find(runs).ok_or_else(|| {
            // On Debian an ordinary user's PATH has no sbin directories.
            let sbin = on_path(USUAL_PATH, program).into_iter().find(runs);
            failed(program, Step::Execute, Errno::ENOENT).hint(match (path.is_empty(), sbin) {
                (true, _) => "PATH is empty: name the program by its whole path".to_owned(),
                (_, Some(there)) => format!("it is not on your PATH ({path}), but there is `{}`", there.display()),
                _ => format!("no such program on the PATH ({path})"),
            })
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
