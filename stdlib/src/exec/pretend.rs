//! Pretended ids: the programs of a lab with one id may change to any other, which has no effect.
//!
//! The user namespace of such a lab maps one id, so the kernel refuses every other one, and a daemon that gives up root
//! fails. A seccomp filter answers these system calls with success instead, and does nothing; the method is that of
//! charliecloud. `docs/programs.md` says what it cannot do.
//!
//! A thread that starts programs installs the filter once, for good; programs inherit it. It takes no `no_new_privs`: root
//! of the lab may install a filter without. nslab itself makes none of these system calls.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;

use libc::sock_filter;

use super::{ids, sys, thread_error};
use crate::error::{Error, Kind, Result};

/// Whether programs of this lab get the filter, unless they are started without.
pub(crate) fn is_on() -> bool {
    ids::current() == ids::Ids::Pretend
}

/// Gives the calling thread the filter, if it does not have it.
pub(crate) fn install() -> Result<()> {
    thread_local! {
        static HAS_FILTER: Cell<bool> = const { Cell::new(false) };
    }
    if !HAS_FILTER.get() {
        strict()?; // a thread inherits the filter, too
        sys::install_filter(&filter()).map_err(|errno| {
            Error::sys("install the filter for pretended ids", errno).hint("`--ids one` starts programs without it")
        })?;
        HAS_FILTER.set(true);
    }
    Ok(())
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `start` on a thread without the filter.
pub(crate) fn without_filter<T: Send + 'static>(start: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (answer, answered) = sync_channel(1);
    let job = move || {
        let _ = answer.send(start()); // the thread that asked waits
    };
    let ended = || Error::plain(Kind::Bug, "the thread that starts programs has ended");
    strict()?.send(Box::new(job)).map_err(|_| ended())?;
    answered.recv().map_err(|_| ended())?
}

/// The thread without the filter. It is made before any thread has the filter, and takes jobs as long as nslab runs.
fn strict() -> Result<&'static Sender<Job>> {
    static STRICT: OnceLock<Result<Sender<Job>>> = OnceLock::new();
    let start = || {
        let (sender, jobs) = channel::<Job>();
        let work = move || {
            for job in jobs {
                job();
            }
        };
        let thread = thread::Builder::new().name("strict".into()).stack_size(256 << 10).spawn(work);
        thread.map(|_| sender).map_err(|e| thread_error("start the thread that starts strict programs", &e))
    };
    STRICT.get_or_init(start).as_ref().map_err(Clone::clone)
}

/// The architecture of the filter as seccomp(2) names it: `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64`. Programs of another
/// one, as those of 32 bits, have other numbers and pass.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// The system calls that are answered whatever their arguments are.
const SET: [libc::c_long; 9] = [
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
];

/// The system calls that are answered if an id is neither 0, which the lab has, nor -1, which leaves it as it is; each
/// with the position of the user id, which the group id follows. The numbers of x32 have a bit more, so they pass.
const CHOWN: &[(libc::c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, 1),
    (libc::SYS_fchown, 1),
    (libc::SYS_fchownat, 2),
];

// The fields of `struct seccomp_data`, by their offsets.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The filter, in the classic BPF of seccomp(2). Every jump is forward, over a few instructions.
fn filter() -> Vec<sock_filter> {
    let Some(architecture) = ARCHITECTURE else { return vec![ALLOW] };
    let mut program = vec![load(ARCH), if_equal(architecture, 1, 0), ALLOW, load(NUMBER)];
    for call in SET {
        program.extend([if_equal(number(call), 0, 1), SUCCEED]);
    }
    // An id is the low half of its argument; both architectures are little-endian.
    let id_at = |position| [load(ARGUMENTS + 8 * position), if_equal(0, 2, 0), if_equal(u32::MAX, 1, 0), SUCCEED];
    for (call, user) in CHOWN {
        program.push(if_equal(number(*call), 0, 9));
        program.extend([id_at(*user), id_at(user + 1)].concat());
        program.push(ALLOW);
    }
    program.push(ALLOW);
    program
}

const ALLOW: sock_filter = instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
/// The errno 0.
const SUCCEED: sock_filter = instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO);

/// Loads the word at an offset of `struct seccomp_data`.
const fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Skips `jt` instructions if the loaded word is `k`, else `jf`.
const fn if_equal(k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { jt, jf, ..instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k) }
}

#[expect(clippy::cast_possible_truncation, reason = "the codes have less than 16 bits")]
const fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of system calls are small")]
const fn number(call: libc::c_long) -> u32 {
    call as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter answers to a system call.
    fn answer_to(architecture: u32, call: u32, arguments: [u64; 6]) -> u32 {
        let arguments = arguments.map(u64::to_le_bytes).concat();
        let data = [&call.to_le_bytes()[..], &architecture.to_le_bytes(), &[0; 8], &arguments].concat();
        let program = filter();
        let (mut at, mut word) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match u32::from(code) {
                0x20 => word = u32::from_le_bytes(*data[k as usize..].first_chunk().expect("a word")),
                0x15 => at += usize::from(if word == k { jt } else { jf }),
                0x06 => return k,
                _ => panic!("instruction {code:#x}"),
            }
        }
    }

    fn here(call: libc::c_long, arguments: [u64; 6]) -> bool {
        let answer = answer_to(ARCHITECTURE.expect("a filter"), number(call), arguments);
        assert!(answer == libc::SECCOMP_RET_ALLOW || answer == libc::SECCOMP_RET_ERRNO);
        answer == libc::SECCOMP_RET_ERRNO
    }

    #[test]
    fn calls_that_set_ids_are_answered_and_others_pass() {
        for call in SET {
            assert!(here(call, [0; 6]) && here(call, [102, 102, 102, 0, 0, 0]));
        }
        for call in [libc::SYS_getuid, libc::SYS_read, libc::SYS_fchmodat, libc::SYS_setpgid, libc::SYS_setns] {
            assert!(!here(call, [102; 6]));
        }
    }

    #[test]
    fn a_change_of_the_owner_is_answered_if_an_id_is_not_in_the_lab() {
        const SAME: u64 = u32::MAX as u64;
        for (call, position) in CHOWN {
            let owners = |uid, gid| {
                let mut arguments = [77; 6];
                arguments[*position as usize] = uid;
                arguments[*position as usize + 1] = gid;
                here(*call, arguments)
            };
            for (uid, gid) in [(0, 0), (SAME, SAME), (0, SAME), (SAME, 0), (u64::MAX, 1 << 32)] {
                assert!(!owners(uid, gid), "{call}: {uid} {gid}");
            }
            for (uid, gid) in [(1, 0), (0, 1), (65534, SAME), (SAME, 65534), (33, 33), (SAME - 1, 0)] {
                assert!(owners(uid, gid), "{call}: {uid} {gid}");
            }
        }
    }

    /// The machine of a test has no such programs: i386, x32.
    #[test]
    fn programs_of_another_architecture_pass() {
        for call in SET.into_iter().chain(CHOWN.iter().map(|(call, _)| *call)) {
            for architecture in [0x4000_0003, 0x4000_0028, 0] {
                assert_eq!(answer_to(architecture, number(call), [77; 6]), libc::SECCOMP_RET_ALLOW);
            }
            let x32 = answer_to(ARCHITECTURE.expect("a filter"), number(call) | 0x4000_0000, [77; 6]);
            assert_eq!(x32, libc::SECCOMP_RET_ALLOW);
        }
    }
}
