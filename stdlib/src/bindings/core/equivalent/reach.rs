//! How a root shell in the lab's root reaches a namespace: by its name, by a process in it, or by the descriptor of
//! the interpreter that holds it.

use std::process;

use crate::error::Error;
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::{Lab, NetNs, Place, Sandbox, path_of};
use crate::name::NsName;

/// What is typed before a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing: the command works in the lab's root.
    None,
    /// `ip -n NAME`, or for other programs `ip netns exec NAME`.
    Name(String),
    /// The text.
    Before(String),
}

impl Way {
    /// The command with the way before it.
    pub(super) fn before(&self, command: &str) -> String {
        match (self, command.strip_prefix("ip ")) {
            (Self::None, _) => command.to_owned(),
            (Self::Name(name), Some(rest)) => format!("ip -n {name} {rest}"),
            (Self::Name(name), None) => format!("ip netns exec {name} {command}"),
            (Self::Before(text), _) => format!("{text} {command}"),
        }
    }
}

/// The way for a tool that works on the network alone.
pub(super) fn for_tool(lab: &Lab, place: &Place) -> Result<Way, String> {
    let ns = &place.net;
    if ns.is_root() {
        return Ok(Way::None);
    }
    if let Some(name) = name_of(lab, ns)? {
        return Ok(Way::Name(name));
    }
    let handle = ns.handle().map_err(text)?;
    Ok(Way::Before(format!("nsenter --net={}", file(lab, place.sandbox.as_ref(), &handle))))
}

/// The way for a program, which enters all namespaces of the place and sees the `/sys` of the network namespace.
pub(super) fn for_program(lab: &Lab, place: &Place) -> Result<Way, String> {
    let mut handles = place.namespaces(lab).map_err(text)?;
    let sandbox_has_mounts = match &place.sandbox {
        Some(sandbox) => sandbox.handles().map_err(text)?.iter().any(|handle| handle.kind() == NsKind::Mount),
        None => false,
    };
    let name = name_of(lab, &place.net)?.filter(|_| !place.net.is_root() && !sandbox_has_mounts);
    if name.is_some() {
        // `ip netns exec` makes a mount namespace with that `/sys` itself.
        handles.retain(|handle| !matches!(handle.kind(), NsKind::Net | NsKind::Mount));
    }
    let mut words: Vec<String> = name.map(|name| format!("ip netns exec {name}")).into_iter().collect();
    if !handles.is_empty() {
        words.push(nsenter(lab, place.sandbox.as_ref(), &handles));
    }
    Ok(if words.is_empty() { Way::None } else { Way::Before(words.join(" ")) })
}

/// `nsenter(1)` with options for all of `handles`: short ones for those of the sandbox's process.
fn nsenter(lab: &Lab, sandbox: Option<&Sandbox>, handles: &[NsHandle]) -> String {
    let pid = sandbox.and_then(Sandbox::pid).filter(|pid| handles.iter().any(|handle| is_of(*pid, handle)));
    let mut words = vec!["nsenter".to_owned()];
    words.extend(pid.map(|pid| format!("-t {pid}")));
    for handle in handles {
        words.push(match pid {
            Some(pid) if is_of(pid, handle) => flag(handle.kind()).into(),
            _ => format!("--{}={}", long_option(handle.kind()), file(lab, sandbox, handle)),
        });
    }
    if handles.iter().any(|handle| handle.kind() == NsKind::User) {
        // Without it nsenter(1) calls setgroups(2), which is denied in the lab of an ordinary user.
        words.push("--preserve-credentials".into());
    }
    if handles.iter().any(|handle| handle.kind() == NsKind::Mount) {
        // Entering a mount namespace sets the working directory to its root.
        words.push("--wdns=\"$PWD\"".into());
    }
    words.join(" ")
}

/// The option of nsenter(1) and unshare(1) for a namespace type.
pub(crate) fn flag(kind: NsKind) -> &'static str {
    match kind {
        NsKind::Cgroup => "-C",
        NsKind::Ipc => "-i",
        NsKind::Mount => "-m",
        NsKind::Net => "-n",
        NsKind::Pid => "-p",
        NsKind::Time => "-T",
        NsKind::User => "-U",
        NsKind::Uts => "-u",
    }
}

fn long_option(kind: NsKind) -> &'static str {
    if kind == NsKind::Mount { "mount" } else { kind.file() }
}

/// The name of a namespace below `/run/netns`, if it has one now.
pub(super) fn name_of(lab: &Lab, ns: &NetNs) -> Result<Option<String>, String> {
    let handle = ns.handle().map_err(text)?;
    let own = ns.name().filter(|name| names(name, &handle)).map(|name| name.as_str().to_owned());
    Ok(own.or_else(|| any_name_of(lab, &handle)))
}

fn any_name_of(lab: &Lab, handle: &NsHandle) -> Option<String> {
    let all = lab.netns_names().unwrap_or_default();
    all.into_iter().find(|name| NsName::new(name).is_ok_and(|name| names(&name, handle)))
}

/// Whether `name` is a name of the namespace.
fn names(name: &NsName, handle: &NsHandle) -> bool {
    NsHandle::open(NsKind::Net, &path_of(name)).is_ok_and(|named| named.is(handle))
}

/// A file that is the namespace.
pub(super) fn net_file(lab: &Lab, ns: &NetNs) -> Result<String, String> {
    if ns.is_root() {
        return Ok(format!("/proc/{}/ns/net", root_pid(lab)));
    }
    Ok(file(lab, None, &ns.handle().map_err(text)?))
}

/// A file that is the namespace of an open handle: its name, that of a process in it, or else the descriptor.
pub(super) fn file(lab: &Lab, sandbox: Option<&Sandbox>, handle: &NsHandle) -> String {
    use std::os::fd::{AsFd, AsRawFd};
    let name = if handle.kind() == NsKind::Net { any_name_of(lab, handle) } else { None };
    if let Some(name) = name {
        return format!("/run/netns/{name}");
    }
    let alive = lab.processes().into_iter().filter(|process| process.ended().is_none()).map(|process| process.pid());
    let mut pids = sandbox.and_then(Sandbox::pid).into_iter().chain(alive);
    match pids.find(|pid| is_of(*pid, handle)) {
        Some(pid) => format!("/proc/{pid}/ns/{}", handle.kind().file()),
        None => format!("/proc/{}/fd/{}", process::id(), handle.as_fd().as_raw_fd()),
    }
}

/// A namespace, as `ip link set … netns` takes it: a name, a PID, or a file.
pub(super) fn destination(lab: &Lab, ns: &NetNs) -> Result<String, String> {
    if let Some(name) = name_of(lab, ns)? {
        return Ok(name);
    }
    if ns.is_root() {
        return pid_destination(lab, root_pid(lab));
    }
    net_file(lab, ns)
}

/// The network namespace of a process, as `ip link set … netns` takes it. A name of the same digits would come first.
pub(super) fn pid_destination(lab: &Lab, pid: u32) -> Result<String, String> {
    let names = lab.netns_names().map_err(text)?;
    Ok(if names.contains(&pid.to_string()) { format!("/proc/{pid}/ns/net") } else { pid.to_string() })
}

/// A process in the lab's root: the first one, if it is there, as it is in a lab.
fn root_pid(lab: &Lab) -> u32 {
    let is_root = |pid| lab.root().handle().is_ok_and(|root| is_of(pid, &root));
    if is_root(1) { 1 } else { process::id() }
}

/// Whether a process is in the namespace.
fn is_of(pid: u32, handle: &NsHandle) -> bool {
    crate::ns::open(pid, handle.kind()).is_ok_and(|of| of.is(handle))
}

#[expect(clippy::needless_pass_by_value, reason = "it maps the error of a result")]
fn text(error: Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_stands_before_the_command() {
        let name = Way::Name("ns1".into());
        assert_eq!(name.before("ip link list"), "ip -n ns1 link list");
        assert_eq!(name.before("route -n"), "ip netns exec ns1 route -n");
        assert_eq!(Way::None.before("ip link list"), "ip link list");
        assert_eq!(Way::Before("nsenter -t 7 -n".into()).before("ip link"), "nsenter -t 7 -n ip link");
    }
}
