//! The packet filter: rules loaded by `iptables` and `nft`, read back and compared with what those say.
//!
//! A trial has a network namespace of its own, in a user and mount namespace of this program: the machine's rules, and its
//! `/run`, are not touched.

#![allow(clippy::disallowed_methods, reason = "the trials enter namespaces and start the tools they compare with")]
#![allow(clippy::unwrap_used, reason = "a trial fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::unistd::{getgid, getuid};
use stdlib::net::firewall::{Firewall, Message, read};

mod trials;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        // Before any thread exists: a user namespace is made for a whole process.
        seclude();
    }
    let trials = trials::ALL.iter().map(|&(name, needs, trial)| {
        let there = needs.split(' ').filter(|tool| !tool.is_empty()).all(is_there);
        let run = move || {
            // This thread, and what it starts, move; the thread runs further trials only after moving again.
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            trial();
            Ok(())
        };
        let kind = if there { String::new() } else { format!("needs {needs}") };
        Trial::test(name, run).with_ignored_flag(!there).with_kind(kind)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Makes a user namespace in which we are root, with a `/run` of its own: `iptables-legacy` keeps a lock there.
fn seclude() {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).expect("user namespaces are not forbidden");
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).unwrap();
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
}

/// Whether there is such a program.
fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a program in the namespace of the trial and returns what it printed.
pub(crate) fn run(words: &str, input: &str) -> String {
    let mut list = shell_words(words).into_iter();
    let mut child = Command::new(list.next().unwrap())
        .args(list)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors: String = String::from_utf8_lossy(&output.stderr).chars().take(400).collect();
    assert!(output.status.success(), "{words}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Splits at blanks outside of double quotes.
fn shell_words(text: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(crate) fn firewall() -> Firewall {
    let socket = Socket::new(NETLINK_NETFILTER).unwrap();
    read(|message| dump(&socket, message)).unwrap()
}

/// Reads, and shows every request with its replies to `seen`.
pub(crate) fn dump_with(mut seen: impl FnMut(&Message, &[Message])) -> Firewall {
    let socket = Socket::new(NETLINK_NETFILTER).unwrap();
    let dump = |message: Message| dump(&socket, message.clone()).inspect(|replies| seen(&message, replies));
    read(dump).unwrap()
}

/// The answer to `IPT_SO_GET_INFO` about a table of `iptables-legacy`.
#[expect(unsafe_code, reason = "no crate wraps this option of iptables-legacy")]
pub(crate) fn legacy_info(table: &str) -> Option<[u8; 84]> {
    // A raw socket has to name a protocol; 255 only sends.
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).unwrap();
    let (mut info, mut length) = ([0_u8; 84], 84);
    info[..table.len()].copy_from_slice(table.as_bytes());
    // SAFETY: the buffer is as long as `length` says, and both outlive the call.
    let code = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, 64, info.as_mut_ptr().cast(), &raw mut length)
    };
    (code == 0).then_some(info)
}

/// The smallest caller there can be: one request, replies until the kernel says done.
fn dump(socket: &Socket, message: Message) -> Result<Vec<Message>, String> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send_to(&bytes, &netlink_sys::SocketAddr::new(0, 0), 0).map_err(|e| e.to_string())?;
    let mut replies = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full().map_err(|e| e.to_string())?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let reply = NetlinkMessage::<Message>::deserialize(rest).map_err(|e| e.to_string())?;
            let length = (reply.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[length..];
            match reply.payload {
                NetlinkPayload::InnerMessage(message) => replies.push(message),
                NetlinkPayload::Done(_) => return Ok(replies),
                other => return Err(format!("{other:?}")),
            }
        }
    }
}
