//! The child that becomes a program: it borrows the memory of this process until execve(2), as after vfork(2).
//!
//! No page table is copied, so a start takes the same time however much memory the process has. Between clone(2) and
//! execve(2) the child runs in the memory of a process with threads. It is sound because:
//!
//! * **The calling thread is suspended** (`CLONE_VFORK`) until the child has executed the program or has ended. So the
//!   plan and the thread's local storage, which has `errno`, have one user at a time.
//! * **The child has a stack of its own**, above a page that cannot be accessed.
//! * **No signal handler runs in the child.** All signals are blocked before clone(2). The child has a copy of the
//!   actions (no `CLONE_SIGHAND`); it gives caught signals their default action, and only then unblocks.
//! * **The child only makes system calls.** The strings and arrays that they take are made before. It allocates nothing,
//!   takes no lock, does not panic, and ends with _exit(2).
//! * **What the child changes is its own**: descriptors, working directory, root, namespaces and signal actions are
//!   copies (no `CLONE_FILES`, no `CLONE_FS`). An error comes back as two integers above the stack.
//!
//! Two namespace types require a child with a copy of the memory, at the price of fork(2). setns(2) refuses a time
//! namespace to a process that shares its memory (EUSERS, `timens_install` in `kernel/time/namespace.c`). A process that
//! enters a user namespace may lose the dumpable flag, which belongs to the memory (`commit_creds` in `kernel/cred.c`).
//! All of the above holds for that child too; its stack is a shared mapping, which carries the error.
//!
//! The suspended thread wakes when execve(2) has opened the program and replaced the memory. A file system that does not
//! answer delays it without a limit: neither a timeout nor Ctrl-C ends that wait, the end of the lab does.
#![allow(unsafe_code, reason = "system calls in memory that two processes share; the rules are above")]

mod signals;
mod stack;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::unistd::Pid;

use signals::{Blocked, LAST_SIGNAL, NONE, action, set_default_action, set_mask};
use stack::{Report, Stack};

/// Everything that the child needs.
pub(super) struct Plan<'a> {
    /// The namespaces to enter, in this order.
    pub namespaces: Vec<BorrowedFd<'a>>,
    /// Whether the child may borrow the memory.
    pub shares_memory: bool,
    pub streams: Streams<'a>,
    /// The working directory, if the child's mount namespace has it; none if it stays.
    pub directory: Option<CString>,
    /// Whether it is an error if there is no such directory.
    pub requires_directory: bool,
    /// Resource limits, soft and hard.
    pub limits: Vec<(Resource, u64)>,
    /// The files that are tried in turn, until one can be executed.
    pub candidates: Vec<CString>,
    pub argv: Vec<CString>,
    pub environment: Vec<&'a CStr>,
}

/// The standard streams of the child. No descriptor here is below 3: Rust's runtime opens the first three.
pub(super) enum Streams<'a> {
    /// The terminal, with the child in the foreground.
    Terminal,
    /// The child's ends of pipes, with the child in a session of its own. Without `stdin`, standard input is `/dev/null`.
    Pipes { stdin: Option<BorrowedFd<'a>>, stdout: BorrowedFd<'a>, stderr: BorrowedFd<'a> },
    /// Those of this process, but for those that are `closed`. The child may lead a process group.
    Inherited { closed: [bool; 3], leads_group: bool },
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Clone = 1,
    Enter,
    Connect,
    Directory,
    Limit,
    Execute,
}

/// The step that failed, and why.
pub(super) type Failed = (Step, Errno);

thread_local! {
    /// The stack of this thread's children that share memory. There is one such child at a time.
    static STACK: RefCell<Option<Stack>> = const { RefCell::new(None) };
}

/// Starts a child by `plan` and returns its PID and a pidfd, once it has executed the program.
pub(super) fn start(plan: &Plan<'_>) -> Result<(Pid, OwnedFd), Failed> {
    let map = |is_private| Stack::new(is_private).map_err(|errno| (Step::Clone, errno));
    if !plan.shares_memory {
        return start_on(&map(false)?, plan);
    }
    STACK.with_borrow_mut(|kept| {
        let stack = match kept.take() {
            Some(stack) => stack,
            None => map(true)?,
        };
        start_on(kept.insert(stack), plan)
    })
}

fn start_on(stack: &Stack, plan: &Plan<'_>) -> Result<(Pid, OwnedFd), Failed> {
    let (argv, environment) =
        (pointers(plan.argv.iter().map(CString::as_c_str)), pointers(plan.environment.iter().copied()));
    // What execvp(3) executes for a file without a format that the kernel has: sh FILE ARGUMENTS…
    let script = [SHELL.as_ptr(), ptr::null()].into_iter().chain(argv.iter().skip(1).copied()).map(Cell::new);
    let script: Vec<_> = script.collect();
    let child = Child { plan, argv: &argv, environment: &environment, script: &script, report: stack.report() };
    let memory = if plan.shares_memory { libc::CLONE_VM } else { 0 };
    let flags = memory | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    let blocked = Blocked::all();
    // SAFETY: the stack is mapped, no other child uses it, and the module says why the child is sound. The kernel
    // writes one descriptor to `pidfd`.
    let pid = unsafe { libc::clone(main, stack.top(), flags, (&raw const child).cast_mut().cast(), &raw mut pidfd) };
    let pid = Errno::result(pid);
    drop(blocked);
    let pid = Pid::from_raw(pid.map_err(|errno| (Step::Clone, errno))?);
    // SAFETY: the kernel has just made the descriptor, and no other value owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match stack.report().take() {
        None => Ok((pid, pidfd)),
        Some(failed) => {
            let _ = super::sys::wait_for(pid, 0); // it is about to end
            Err(failed)
        }
    }
}

/// The shell that runs scripts without an interpreter line.
const SHELL: &CStr = c"/bin/sh";

/// An array of strings as execve(2) takes it.
fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    strings.map(CStr::as_ptr).chain([ptr::null()]).collect()
}

/// What the child reads: the plan, and its strings as execve(2) takes them.
struct Child<'a> {
    plan: &'a Plan<'a>,
    argv: &'a [*const c_char],
    environment: &'a [*const c_char],
    script: &'a [Cell<*const c_char>],
    report: &'a Report,
}

extern "C" fn main(child: *mut c_void) -> c_int {
    // SAFETY: `start` passes a `Child` that lives until this process has executed or ended.
    let child = unsafe { &*child.cast::<Child<'_>>() };
    let failed = match child.prepare() {
        Err(failed) => failed,
        Ok(()) => (Step::Execute, child.execute()),
    };
    child.report.write(failed);
    // SAFETY: _exit(2) has no precondition. No destructor of the shared memory runs.
    unsafe { libc::_exit(127) }
}

impl Child<'_> {
    fn prepare(&self) -> Result<(), Failed> {
        for ns in &self.plan.namespaces {
            // SAFETY: takes a descriptor that the plan keeps open.
            check(unsafe { libc::setns(ns.as_raw_fd(), 0) }).map_err(|errno| (Step::Enter, errno))?;
        }
        match self.plan.streams {
            Streams::Terminal => take_terminal(),
            Streams::Pipes { stdin, stdout, stderr } => {
                // The session, new, has no terminal: the program cannot push input into that of the user (TIOCSTI).
                // SAFETY: setsid(2) accesses no memory.
                check(unsafe { libc::setsid() }).map_err(|errno| (Step::Connect, errno))?;
                connect(stdin, stdout, stderr).map_err(|errno| (Step::Connect, errno))?;
            }
            Streams::Inherited { closed, leads_group } => inherit(closed, leads_group),
        }
        // Entering a mount namespace has set the working directory to its root.
        // SAFETY: the path is a string that outlives the call.
        let enter = |path: &CStr| check(unsafe { libc::chdir(path.as_ptr()) });
        match self.plan.directory.as_deref().map(enter) {
            Some(Err(errno)) if self.plan.requires_directory => return Err((Step::Directory, errno)),
            Some(Err(_)) => _ = enter(c"/"), // it cannot fail
            _ => {}
        }
        for (resource, limit) in &self.plan.limits {
            let limit = libc::rlimit { rlim_cur: *limit, rlim_max: *limit };
            // SAFETY: reads one limit. Limits belong to the process, not to the memory that it borrows.
            check(unsafe { libc::setrlimit(*resource as _, &raw const limit) })
                .map_err(|errno| (Step::Limit, errno))?;
        }
        self.reset_signals();
        Ok(())
    }

    /// Gives signals the actions of a new program, and unblocks them. What is ignored stays ignored, but for SIGPIPE,
    /// which Rust's runtime ignores, and for the signals of the keyboard if the program has the terminal.
    fn reset_signals(&self) {
        const KEYBOARD: [c_int; 4] = [libc::SIGTTOU, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP];
        let has_terminal = matches!(self.plan.streams, Streams::Terminal);
        for signal in 1..=LAST_SIGNAL {
            let is_caught = action(signal).is_some_and(|handler| handler != libc::SIG_DFL && handler != libc::SIG_IGN);
            if is_caught || signal == libc::SIGPIPE || (has_terminal && KEYBOARD.contains(&signal)) {
                set_default_action(signal);
            }
        }
        set_mask(&NONE, None);
    }

    /// Executes the first candidate that can be executed. Returns the errno, of several candidates that of any.
    fn execute(&self) -> Errno {
        let is_piped = matches!(self.plan.streams, Streams::Pipes { .. });
        let mut last = Errno::ENOENT;
        for candidate in &self.plan.candidates {
            // SAFETY: the arrays end with a null pointer; they and their strings outlive the call.
            unsafe { libc::execve(candidate.as_ptr(), self.argv.as_ptr(), self.environment.as_ptr()) };
            match Errno::last() {
                errno @ (Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => {
                    last = errno;
                }
                Errno::ENOEXEC if !is_piped => return self.interpret(candidate),
                errno => return errno,
            }
        }
        last
    }

    /// Executes the shell with the script `file`, as execvp(3) does.
    fn interpret(&self, file: &CStr) -> Errno {
        if let Some(word) = self.script.get(1) {
            word.set(file.as_ptr());
        }
        // SAFETY: as for `execute`; a `Cell` is laid out as its value.
        unsafe { libc::execve(SHELL.as_ptr(), self.script.as_ptr().cast(), self.environment.as_ptr()) };
        Errno::last()
    }
}

fn check(result: c_int) -> Result<c_int, Errno> {
    Errno::result(result)
}

/// Makes the pipes the standard streams.
fn connect(stdin: Option<BorrowedFd<'_>>, stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> Result<(), Errno> {
    let stdin = match stdin {
        Some(stdin) => stdin.as_raw_fd(),
        // SAFETY: the path is a string.
        None => check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) })?,
    };
    for (from, to) in [(stdin, 0), (stdout.as_raw_fd(), 1), (stderr.as_raw_fd(), 2)] {
        // SAFETY: dup2(2) accesses no memory; it replaces a descriptor of the child alone.
        check(unsafe { libc::dup2(from, to) })?;
    }
    Ok(())
}

/// Closes standard streams, and makes the child the leader of a process group.
fn inherit(closed: [bool; 3], leads_group: bool) {
    for (fd, _) in (0..).zip(closed).filter(|(_, is_closed)| *is_closed) {
        // SAFETY: close(2) accesses no memory; it closes a descriptor of the child alone.
        unsafe { libc::close(fd) };
    }
    if leads_group {
        // SAFETY: setpgid(2) accesses no memory.
        unsafe { libc::setpgid(0, 0) };
    }
}

/// Makes the child the leader of the foreground process group, if this process has a group that can take the terminal
/// back. SIGTTOU, which stops a background process that does so, is blocked.
fn take_terminal() {
    // SAFETY: these system calls access no memory of this process but a local variable of tcsetpgrp(3).
    unsafe {
        if libc::getpgrp() > 0 {
            libc::setpgid(0, 0);
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
}
