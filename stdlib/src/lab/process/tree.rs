//! A program with all processes that it has started, found from outside, and their end.
//!
//! A process belongs to a program if it is in the session or process group that the program began, if it descends from
//! one that belongs to it, or if it has the program's mark in its environment. So a daemon that forks twice and begins a
//! session of its own is found; one that clears its environment as well is not, once its parents are gone.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::error::{Error, Kind, Result};
use crate::exec::directory::{if_visible, numbers};
use crate::exec::{Executor, sys};

/// The variable that marks the processes of a program.
pub(super) const VARIABLE: &str = "NSLAB_PROGRAM";

/// How long the kernel may take to end killed processes.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The pauses between two looks double from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(10));

/// What makes a program's processes known.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The PID of the program, which is the number of its session and process group.
    root: i32,
    /// When the program was started, by the kernel's clock: a later process may have its PID.
    started: u64,
    /// The value of [`VARIABLE`] in its environment.
    mark: Option<String>,
}

/// A mark that no other program of this machine has.
pub(super) fn new_mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", std::process::id(), time.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One process, as `/proc/PID/stat` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    started: u64,
    has_ended: bool,
}

impl Member {
    /// Reads `PID (command) state ppid pgrp session … starttime …` (`proc_pid_stat(5)`).
    fn parse(stat: &str) -> Option<Self> {
        let pid = stat.split(' ').next()?.parse().ok()?;
        // The command may contain spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            started: fields.get(19)?.parse().ok()?,
            has_ended: matches!(*fields.first()?, "Z" | "X" | "x"),
        })
    }

    fn read(pid: i32) -> Result<Option<Self>> {
        let stat = if_visible(fs::read_to_string(format!("/proc/{pid}/stat")));
        let stat = stat.map_err(|e| Error::io(format!("read the state of process `{pid}`"), &e))?;
        Ok(stat.and_then(|stat| Self::parse(&stat)))
    }

    fn has_mark(&self, mark: &str) -> bool {
        let variable = format!("{VARIABLE}={mark}");
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    }
}

impl Tree {
    /// The tree of the program `pid`, which has been started with `mark` in its environment and is not reaped.
    pub(super) fn new(pid: u32, mark: Option<String>) -> Self {
        let root = i32::try_from(pid).unwrap_or(0);
        let started = Member::read(root).ok().flatten().map_or(0, |member| member.started);
        Self { root, started, mark }
    }

    /// Its processes that have not ended.
    fn members(&self) -> Result<Vec<Member>> {
        let pids: Vec<i32> = numbers(Path::new("/proc")).map_err(|e| Error::io("list processes", &e))?;
        let mut all = Vec::with_capacity(pids.len());
        for pid in pids {
            all.extend(Member::read(pid)?);
        }
        Ok(self.select(&all, |member| self.mark.as_ref().is_some_and(|mark| member.has_mark(mark))))
    }

    /// Those of `all` that belong to the tree.
    fn select(&self, all: &[Member], has_mark: impl Fn(&Member) -> bool) -> Vec<Member> {
        // While a session or group exists, the kernel gives its number to no other process (`kernel/pid.c`).
        let is_another = all.iter().any(|member| member.pid == self.root && member.started != self.started);
        let began = |member: &Member| {
            !is_another && (member.pid == self.root || member.session == self.root || member.group == self.root)
        };
        let mut belongs: BTreeSet<i32> =
            all.iter().filter(|member| began(member) || has_mark(member)).map(|member| member.pid).collect();
        loop {
            let descends = |member: &&Member| belongs.contains(&member.parent) && !belongs.contains(&member.pid);
            let more: Vec<i32> = all.iter().filter(descends).map(|member| member.pid).collect();
            if more.is_empty() {
                break;
            }
            belongs.extend(more);
        }
        all.iter().filter(|member| belongs.contains(&member.pid) && !member.has_ended).copied().collect()
    }

    /// Sends `signal` to `members`, by descriptors: a PID may be another process's by now.
    fn signal(members: &[Member], signal: Signal) -> Result<()> {
        for member in members {
            let Ok(pidfd) = sys::pidfd_open(Pid::from_raw(member.pid)) else { continue }; // it has ended
            if Member::read(member.pid)?.is_none_or(|now| now.started != member.started) {
                continue;
            }
            match sys::pidfd_send_signal(pidfd.as_fd(), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(Error::sys(format!("send {signal} to process `{}`", member.pid), errno)),
            }
        }
        Ok(())
    }

    /// Asks all of them to end (SIGTERM), kills those that still run after `grace`, and waits until none is left.
    ///
    /// # Errors
    /// As [`Tree::kill`], or `Interrupted`: then they run on.
    pub(super) fn end(&self, exec: &Executor, grace: Duration) -> Result<()> {
        Self::signal(&self.members()?, Signal::SIGTERM)?;
        let ended = exec.poll_until(grace, PAUSES.0, PAUSES.1, || Ok(self.members()?.is_empty().then_some(())))?;
        if ended.is_some() { Ok(()) } else { self.kill() }
    }

    /// Kills all of them, and waits until none is left.
    ///
    /// # Errors
    /// If some do not end.
    pub(super) fn kill(&self) -> Result<()> {
        let end = Instant::now() + KILL_LIMIT;
        let mut pause = PAUSES.0;
        // A process may fork while it is looked for, so those that are found are killed until none is found.
        loop {
            let members = self.members()?;
            if members.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                let left: Vec<String> = members.iter().map(|member| member.pid.to_string()).collect();
                return Err(Error::plain(Kind::Timeout, format!("processes {} do not end", left.join(", ")))
                    .hint("they wait in the kernel, as for a disk or network file system that does not answer"));
            }
            Self::signal(&members, Signal::SIGKILL)?;
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: i32, parent: i32, group: i32, session: i32) -> Member {
        Member { pid, parent, group, session, started: 7, has_ended: false }
    }

    fn found(tree: &Tree, all: &[Member], marked: &[i32]) -> Vec<i32> {
        tree.select(all, |member| marked.contains(&member.pid)).iter().map(|member| member.pid).collect()
    }

    #[test]
    fn a_command_may_contain_anything() {
        let rest = "4 5 6 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 1 2";
        let parsed = Member::parse(&format!("3 (a) b (c)) S {rest}")).unwrap();
        assert_eq!((parsed.pid, parsed.parent, parsed.group, parsed.session), (3, 4, 5, 6));
        assert_eq!((parsed.started, parsed.has_ended), (77, false));
        assert!(Member::parse(&format!("3 (x) Z {rest}")).unwrap().has_ended);
        assert_eq!(Member::parse("3 (x"), None);
    }

    #[test]
    fn session_group_descent_and_mark_each_find_a_process() {
        let tree = Tree { root: 10, started: 7, mark: None };
        let all = [
            member(1, 0, 1, 1),
            member(10, 1, 10, 10),
            member(11, 10, 10, 10),
            member(12, 11, 12, 12), // a child with a session of its own
            member(13, 1, 13, 10),  // an orphan in the session
            member(14, 1, 14, 14),  // a daemon that forked twice
            member(15, 14, 15, 15),
            member(20, 1, 20, 20),
        ];
        assert_eq!(found(&tree, &all, &[14]), [10, 11, 12, 13, 14, 15]);
        assert_eq!(found(&tree, &all, &[]), [10, 11, 12, 13]);
    }

    #[test]
    fn a_later_process_with_the_same_pid_is_another() {
        let tree = Tree { root: 10, started: 6, mark: None };
        assert_eq!(found(&tree, &[member(10, 1, 10, 10), member(11, 10, 10, 10)], &[]), [0; 0]);
        let mut ended = member(10, 1, 10, 10);
        ended.has_ended = true;
        let tree = Tree { started: 7, ..tree };
        assert_eq!(found(&tree, &[ended, member(11, 1, 10, 10)], &[]), [11]);
    }
}
