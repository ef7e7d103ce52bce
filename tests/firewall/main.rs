//! The packet filter: rules loaded by `iptables` and `nft`, read back and compared with what those say.
//!
//! Each trial has user, network and mount namespaces of its own: the rules of the machine, and its `/run`, where
//! `iptables-legacy` keeps a lock, are not touched.

#![allow(clippy::disallowed_methods, reason = "the trials enter namespaces and start the tools they compare with")]
#![allow(clippy::unwrap_used, reason = "a trial fails by panicking")]

#[macro_use]
extern crate nslab_trial;

use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use stdlib::net::firewall::{Firewall, Message, read};

#[path = "../common/trials/mod.rs"]
#[allow(dead_code, reason = "trials that have the program use more of it")]
mod common;
mod trials;

fn main() -> ExitCode {
    common::main()
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

/// Reads the rules, and passes every request with its replies to `seen`.
pub(crate) fn dump_with(mut seen: impl FnMut(&Message, &[Message])) -> Firewall {
    let socket = Socket::new(NETLINK_NETFILTER).unwrap();
    let dump = |message: Message| dump(&socket, message.clone()).inspect(|replies| seen(&message, replies));
    read(dump).unwrap()
}

/// Sends one request and collects the replies until the kernel says done.
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
