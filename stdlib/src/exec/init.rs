//! The first process of a sandbox (`unshare`): makes the namespaces that a thread cannot make, then reaps.
//!
//! It is nslab itself, executed again under another name, so all of it is ordinary single-threaded code. It writes one
//! line a step to standard output, and exits at the end of its standard input, a socket:
//!
//! * `map`: its user namespace is to be mapped;
//! * `/proc`, `/sys`: in a lab of root it needs that mount, which comes as a descriptor;
//! * `ready`;
//! * an error number with the operation.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::boot::idmap;
use super::covers::{self, Cover};
use super::handle::{NsHandle, NsKind};
use super::{hop, mounts, netns, sys};
use crate::error::{Error, Kind, Result};

/// The name under which nslab is executed again.
const NAME: &str = "nslab-init";

/// The argument that says that `/proc` and `/sys` come from the lab's helper.
const GUARDED: &str = "guarded";

/// How long a first process may take to make its namespaces. A busy machine takes milliseconds.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running first process. Dropping it kills the process, and with it everything in its pid namespace.
pub(crate) struct Init {
    child: Child,
    life: OwnedFd,
}

impl Init {
    /// Starts a first process and waits until it has made namespaces of `kinds`.
    pub(crate) fn start(kinds: &[NsKind]) -> Result<Self> {
        let list: Vec<&str> = kinds.iter().map(|kind| kind.file()).collect();
        let (life, theirs) = covers::channel()?;
        let mut child = hop::on_a_thread(|| {
            if kinds.contains(&NsKind::Pid) {
                hop::unshare(CloneFlags::CLONE_NEWPID)?; // takes effect for children: the next one is PID 1
            }
            command(&list.join(","), theirs).spawn().map_err(|e| Error::io("start the sandbox's first process", &e))
        })?;
        let Some(reports) = child.stdout.take() else {
            return Err(Error::plain(Kind::Bug, "the sandbox's first process has no pipe"));
        };
        let mut init = Self { child, life };
        let mut reports = File::from(OwnedFd::from(reports));
        let end = Instant::now() + START_LIMIT;
        loop {
            match line(&mut reports, end)?.as_str() {
                "map" => init.map()?,
                "ready" => return Ok(init),
                "" => return Err(Error::plain(Kind::Kernel, "the sandbox's first process ended before it was ready")),
                other => match Cover::at(other) {
                    Some(cover) => init.mount(cover)?,
                    None => return Err(covers::reported(other)),
                },
            }
        }
    }

    /// Its PID.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn map(&mut self) -> Result<()> {
        idmap::same(Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)))?;
        self.answer(b"mapped", None)
    }

    /// Hands it a mount by the lab's helper.
    fn mount(&mut self, cover: Cover) -> Result<()> {
        let kind = match cover {
            Cover::Proc => NsKind::Pid,
            Cover::Sys => NsKind::Net,
        };
        let namespace = NsHandle::open(kind, Path::new(&format!("/proc/{}/ns/{}", self.pid(), kind.file())))?;
        let tree = covers::ask(cover, namespace.as_fd())?;
        self.answer(b"mounted", Some(&tree))
    }

    fn answer(&self, text: &[u8], descriptor: Option<&OwnedFd>) -> Result<()> {
        let descriptor = descriptor.map(AsFd::as_fd);
        covers::pass(&self.life, text, descriptor).map_err(|e| Error::sys("write to the sandbox's first process", e))
    }
}

/// Reads one line, without its end; an empty one at the end of the file.
fn line(reports: &mut File, end: Instant) -> Result<String> {
    let failed = |e| Error::io("read from the sandbox's first process", &e);
    let mut text = String::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(reports.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(Error::plain(Kind::Timeout, "the sandbox's first process is not ready in time")),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed(errno.into())),
            Ok(_) => {}
        }
        let mut byte = [0u8];
        match reports.read(&mut byte).map_err(failed)? {
            0 => return Ok(text),
            _ if byte == *b"\n" => return Ok(text),
            _ => text.push(char::from(byte[0])),
        }
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        super::started::end(Pid::from_raw(self.child.id().cast_signed()));
    }
}

#[expect(clippy::disallowed_methods, reason = "part of the executor: executes nslab itself")]
fn command(kinds: &str, life: OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(NAME)
        .arg(kinds)
        .args(covers::are_from_helper().then_some(GUARDED))
        .stdin(life)
        .stdout(Stdio::piped())
        .process_group(0);
    command
}

/// Runs as a sandbox's first process if this program was started as one, and returns its exit status.
///
/// `main` calls it before anything else.
#[must_use]
pub fn main_of_init() -> Option<u8> {
    let mut args = std::env::args_os();
    if args.next().is_none_or(|name| name != NAME) {
        return None;
    }
    let _ = nix::sys::prctl::set_name(c"nslab-init"); // else every list of processes calls it `exe`
    let kinds = args.next().unwrap_or_default().into_string().unwrap_or_default();
    let kinds: Result<Vec<NsKind>> = kinds.split(',').map(NsKind::parse).collect();
    let guarded = args.next().is_some();
    match kinds.and_then(|kinds| make(&kinds, guarded)).and_then(|()| ends_of_children()) {
        Ok(events) => {
            report("ready");
            live(&events);
            Some(0)
        }
        Err(error) => {
            report(&covers::report_of(&error));
            Some(1)
        }
    }
}

/// Writes one line to the interpreter. If that is gone, standard input has ended too, and so does this process.
fn report(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn make(kinds: &[NsKind], guarded: bool) -> Result<()> {
    let unshare = |flags| sys::unshare(flags).map_err(hop::unshare_error);
    let has = |kind| kinds.contains(&kind);
    if has(NsKind::Mount) {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mounts::make_private()?;
    }
    if has(NsKind::Mount) && has(NsKind::Pid) {
        // Before the user namespace: inside it the kernel refuses a new /proc while mounts below the old one are locked
        // (fs/namespace.c, `mount_too_revealing`).
        if guarded { mount_from_helper(Cover::Proc)? } else { mounts::proc()? }
    }
    if has(NsKind::User) {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        report("map");
        answer()?;
        if has(NsKind::Mount) {
            unshare(CloneFlags::CLONE_NEWNS)?; // again, so that the new user namespace owns it
        }
    }
    let made = [NsKind::Mount, NsKind::Pid, NsKind::User];
    let rest =
        kinds.iter().filter(|kind| !made.contains(kind)).fold(CloneFlags::empty(), |all, kind| all | kind.flag());
    unshare(rest)?;
    if has(NsKind::Net) {
        netns::set_defaults()?;
    }
    if has(NsKind::Mount) && has(NsKind::Net) {
        if guarded { mount_from_helper(Cover::Sys)? } else { mounts::sys()? }
    }
    Ok(())
}

/// Mounts what the lab's helper has made for the namespaces of this process.
fn mount_from_helper(cover: Cover) -> Result<()> {
    report(cover.path());
    match answer()? {
        Some(tree) => mounts::attach(&tree, cover.path()),
        None => Err(Error::sys(format!("mount `{}`", cover.path()), Errno::ECANCELED)),
    }
}

/// The descriptor in the answer of the interpreter, if there is one.
fn answer() -> Result<Option<OwnedFd>> {
    let (_, descriptor) = covers::receive(io::stdin()).map_err(|e| Error::sys("read from the interpreter", e))?;
    Ok(descriptor)
}

/// A descriptor that is readable when a child has ended.
fn ends_of_children() -> Result<SignalFd> {
    let failed = |e| Error::sys("watch the ends of processes", e);
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block().map_err(failed)?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)
}

/// Reaps until the end of standard input.
fn live(events: &SignalFd) {
    let stdin = io::stdin();
    loop {
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN), PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        if fds[1].any() == Some(true) {
            return;
        }
        while let Ok(Some(_)) = events.read_signal() {}
        while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
    }
}
