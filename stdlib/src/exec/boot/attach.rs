//! Another interpreter in a lab that runs: its front has not made the lab, and ends nothing but this interpreter.
//!
//! The front enters the lab's namespaces, and the interpreter, its child, is in the lab's pid namespace. In a lab of root a
//! helper of their own mounts covers for them.

use std::env;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getppid};

use super::front::{Children, End, Foreground, block_signals, wait_for};
use super::helper;
use super::inherited::forget_inherited_descriptors;
use super::keeper::interpret;
use super::names::INTERPRETER;
use super::pipe::pipe;
use super::terminal::{self, Saved};
use crate::error::{Error, Result};
use crate::exec::ids::{self, Ids};
use crate::exec::labs::RunningLab;
use crate::exec::{covers, sys};

/// The namespaces of a lab.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC);

/// Runs `interpreter` in a process of its own inside `lab`. Returns its exit status, and whether the lab has ended. Nothing
/// that is open here is open in the lab but the standard streams.
///
/// Call it before any thread exists.
///
/// # Errors
/// If the lab has ended, or the kernel refuses to enter it.
pub fn attach(lab: RunningLab, foreground: Foreground<'_>, interpreter: impl FnOnce() -> u8) -> Result<(u8, bool)> {
    let failed = |errno| Error::sys(format!("enter the lab `{lab}`"), errno);
    forget_inherited_descriptors()?;
    let terminal = Saved::now();
    let signals = block_signals(foreground)?;
    let directory = env::current_dir();
    let ids = lab.ids();
    let (alive, alive_end) = pipe()?;
    let mut alive_end = Some(alive_end);
    let (helper, requests) = helper::join(&lab, &alive, &mut alive_end)?.unzip();
    sys::enter_namespaces_of(lab.keeper(), NAMESPACES).map_err(failed)?;
    // Entering a mount namespace sets the working directory to its root.
    let directory = directory.ok().filter(|directory| directory.is_dir());
    let _ = env::set_current_dir(directory.as_deref().unwrap_or(Path::new("/")));
    let Some(child) = sys::fork().map_err(failed)? else {
        drop((alive, alive_end, lab));
        sys::exit_now(i32::from(inside(ids, requests, matches!(foreground, Foreground::Repl), interpreter)));
    };
    drop((alive, requests));
    let mut children = Children { keeper: child, helper };
    let status = wait_for(&mut children, &signals, foreground, &mut None)
        .map(|(End::OfLab(status) | End::OfSession(status))| status);
    children.end(status.is_err());
    drop(alive_end);
    match foreground {
        Foreground::Program(_) => terminal::take_from_the_dead(),
        Foreground::Script | Foreground::Repl => terminal.restore(),
    }
    let status = status?;
    Ok((status, status == 128 + 9 && is_over()))
}

/// Whether the lab, whose pid namespace is that of the children of this process, has ended: then the kernel makes no process
/// there (`alloc_pid` in kernel/pid.c). The lab's first process may still wait for the others.
fn is_over() -> bool {
    match sys::fork() {
        Ok(Some(child)) => {
            let _ = waitpid(child, None);
            false
        }
        Ok(None) => sys::exit_now(0),
        Err(_) => true,
    }
}

/// The interpreter, in the lab.
fn inside(ids: Ids, requests: Option<OwnedFd>, interactive: bool, interpreter: impl FnOnce() -> u8) -> u8 {
    // The parent is outside of the pid namespace; the lab's first process is the parent if that has ended already.
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || getppid() != Pid::from_raw(0) {
        return 128 + 9;
    }
    // New credentials hide a process from others of the same user, as from `holders` (`commit_creds` in kernel/cred.c).
    let _ = prctl::set_dumpable(true);
    let _ = prctl::set_name(INTERPRETER);
    ids::name_user();
    ids::set(ids);
    if let Some(requests) = requests {
        covers::ask_over(requests);
    }
    interpret(interactive, interpreter)
}
