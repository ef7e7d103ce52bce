//! Namespaces of all eight types: list, compare, hold, enter, create.

use std::sync::Arc;

use rhai::INT;

use super::core::args::Current;
use super::core::handles::Pid;
use super::core::prelude::*;
use super::core::register::Family;
use super::core::written::NsTypes;
use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::{Lab, NetNs, Sandbox};
use crate::ns::{self, NsEntry};

pub(super) const FAMILY: Family = Family {
    name: "all namespace types",
    types: &[register_type::<NsEntry>, register_list::<NsEntry>, register_type::<Sandbox>],
    bindings: BINDINGS,
};

value! { NsEntry, "NsEntry", "One line of `ls -l /proc/PID/ns`.";
    /// The type: `cgroup`, `ipc`, `mnt`, `net`, `pid`, `time`, `user`, `uts`, and two `…_for_children`.
    name: String = |entry| entry.name.clone();
    /// The inode number of the namespace: as long as both live, equal numbers mean the same namespace.
    inode: INT = |entry| INT::try_from(entry.inode).unwrap_or(0);
    /// What the link points to: `net:[4026531840]`.
    target: String = |entry| entry.target.clone();
}

impl Listed for NsEntry {
    const LIST: &'static str = "NsList";
    const LIST_DOC: &'static str = "The namespaces of a process. Prints as `ls -l /proc/PID/ns` does, the names and what they point to, in the REPL too.";
    fn is_called(&self, name: &str) -> bool {
        self.name == name
    }
}

value! { Sandbox, "Sandbox", "Namespaces that are held: `within` and `exec` enter them.";
    /// The namespace types it holds.
    kinds: rhai::Array = |sandbox| sandbox.handles()?.iter().map(|h| rhai::Dynamic::from(h.kind().file())).collect();
    /// Its network namespace, if that is one of the types; else `()`.
    net: Option<NetNs> = |sandbox| sandbox.net()?;
}

/// A namespace: that of a process and a type, a handle, or the current one.
pub(crate) enum Subject {
    Net(NetNs),
    Process(u32, NsKind),
    Sandbox(Sandbox, NsKind),
}

impl Subject {
    fn open(&self) -> Result<NsHandle> {
        match self {
            Self::Net(ns) => ns.handle(),
            Self::Process(pid, kind) => ns::open(*pid, *kind),
            Self::Sandbox(sandbox, kind) => sandbox
                .handles()?
                .into_iter()
                .find(|handle| handle.kind() == *kind)
                .ok_or_else(|| Error::usage(format!("the {} has no {} namespace", sandbox.label(), kind.file()))),
        }
    }

    fn inode(&self) -> Result<u64> {
        match self {
            Self::Net(ns) => Ok(ns.handle()?.inode().ino),
            // The link can be read where the namespace may not be opened.
            Self::Process(pid, kind) => ns::list(*pid)?
                .into_iter()
                .find(|entry| entry.name == kind.file())
                .map(|entry| entry.inode)
                .ok_or_else(|| Error::usage(format!("the kernel lacks {} namespaces", kind.file()))),
            Self::Sandbox(..) => Ok(self.open()?.inode().ino),
        }
    }

    /// A file that is the namespace, for commands.
    fn file(&self, values: &Values<'_>) -> std::result::Result<String, String> {
        match self {
            Self::Net(ns) => values.file_of(ns),
            Self::Process(pid, kind) => Ok(format!("/proc/{pid}/ns/{}", kind.file())),
            Self::Sandbox(sandbox, _) => match self.open() {
                Ok(handle) => Ok(values.file_in(sandbox, &handle)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

impl Arg for Subject {
    const TYPE: &'static str = "NetNs or pid";
    const OPTIONAL: bool = true;
    const MAX_ARGS: usize = 2;
    const NAMES: Names = Names::NsTypes;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if call.left() == 0 {
            return Ok(Self::Net(Current::take(call, name)?.0.net));
        }
        let kind = |call: &mut Call<'_>| if call.left() > 0 { NsKind::take(call, "kind") } else { Ok(NsKind::Net) };
        if let Some(sandbox) = call.take::<Sandbox>() {
            return Ok(Self::Sandbox(sandbox, kind(call)?));
        }
        if let Some(ns) = call.take_net()? {
            return Ok(Self::Net(ns));
        }
        let pid = Pid::take(call, name)
            .map_err(|e| e.only_hint("a namespace, or a PID and a namespace type: `ns_inode(1, \"net\")`"))?;
        Ok(Self::Process(pid.0, kind(call)?))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.put(name, self.file(values));
    }
}

/// A process or a namespace, to be compared with another.
#[derive(Clone)]
pub(crate) enum Member {
    Net(NetNs),
    Sandbox(Sandbox),
    Process(u32),
}

impl Member {
    fn of_type(self, kind: NsKind) -> Subject {
        match self {
            Self::Net(ns) => Subject::Net(ns),
            Self::Sandbox(sandbox) => Subject::Sandbox(sandbox, kind),
            Self::Process(pid) => Subject::Process(pid, kind),
        }
    }

    fn open(&self, kind: NsKind) -> Result<NsHandle> {
        match self {
            Self::Net(ns) if kind == NsKind::Net => ns.handle(),
            Self::Net(ns) => {
                Err(Error::usage(format!("{} is a network namespace, not a {} one", ns.label(), kind.file())))
            }
            Self::Sandbox(sandbox) => Subject::Sandbox(sandbox.clone(), kind).open(),
            Self::Process(pid) => ns::open(*pid, kind),
        }
    }
}

impl Arg for Member {
    const TYPE: &'static str = "NetNs or pid";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(sandbox) = call.take::<Sandbox>() {
            return Ok(Self::Sandbox(sandbox));
        }
        match call.take_net()? {
            Some(ns) => Ok(Self::Net(ns)),
            None => Pid::take(call, name).map(|pid| Self::Process(pid.0)),
        }
    }
    /// A file that is its namespace of the type in question, which a later parameter names.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let member = self.clone();
        values.put_of_type(name, move |values, kind| member.clone().of_type(kind).file(values));
    }
}

/// The types of new namespaces.
pub(crate) struct NewTypes(NsTypes);

impl Arg for NewTypes {
    const TYPE: &'static str = NsTypes::TYPE;
    const NAMES: Names = NsTypes::NAMES;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        NsTypes::take(call, name).map(Self)
    }
    /// The options of unshare(1), and what it takes to have the same mounts and ids.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let has = |kind| self.0.0.contains(&kind);
        self.0.fill(name, values);
        if crate::exec::are_from_helper() && has(NsKind::Mount) && (has(NsKind::Pid) || has(NsKind::Net)) {
            values.put(
                name,
                Err("in a lab of root no program can mount another `/proc`, or a `/sys` to write to".into()),
            );
        }
        // A process enters a new pid or time namespace when it is forked.
        values.switch("--fork", has(NsKind::Pid) || has(NsKind::Time));
        values.switch("--mount-proc", has(NsKind::Pid) && has(NsKind::Mount));
        values.switch("sh", has(NsKind::Net) && has(NsKind::Mount));
        if has(NsKind::User) {
            let same = if ns::maps_root_alone() { Ok("--map-root-user") } else { Err("unshare(1) maps root alone") };
            values.put("map", same.map(Into::into).map_err(Into::into));
        }
    }
}

bindings! {
    /// Lists the namespaces of a process.
    ///
    /// Like `ls -l /proc/PID/ns`; `print` and the REPL show the names and what they point to.
    ///
    /// ```rhai
    /// print(ns_list(1));
    /// check "net" in ns_list(1).map(|ns| ns.name);
    /// ```
    fn ns_list(pid: Pid) -> List<NsEntry> {
        Ok(ns::list(pid.0)?.into())
    }

    /// Returns the inode number of a namespace: of a handle, of a process and a type, or of the current network.
    ///
    /// Like `stat -L -c %i SUBJECT`, for a file such as `/proc/PID/ns/net`. The kernel reuses the number once a namespace
    /// is gone.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// check ns_inode(1, "net") == ns_inode();
    /// check ns_inode(ns1) != ns_inode();
    /// within ns1 { check ns_inode() == ns_inode(ns1); }
    /// ```
    fn ns_inode(subject: Subject) -> INT {
        subject.inode().map(|ino| INT::try_from(ino).unwrap_or(0))
    }

    /// Returns whether two processes, or a process and a namespace, are in the same namespace of type `kind` (default net).
    ///
    /// Like `test A -ef B`, for files such as `/proc/PID/ns/net`. Both are held open and compared by device and inode, so a
    /// reused number does not matter.
    ///
    /// ```rhai
    /// let p = start("sleep 60");
    /// let q = start(netns("netns1"), "sleep 60");
    /// check same_ns(1, p.pid, "net");
    /// check !same_ns(1, q.pid, "net");
    /// check same_ns(1, q.pid, "uts");
    /// ```
    fn same_ns(a: Member, b: Member, kind: Option<NsKind>) -> bool {
        let kind = kind.unwrap_or(NsKind::Net);
        Ok(a.open(kind)?.is(&b.open(kind)?))
    }

    /// Opens a network namespace once more and keeps it open: it outlives `delete`, without any process.
    ///
    /// Like `sleep infinity < FILE &`, for a file such as `/run/netns/NAME`. The returned handle can be entered like a
    /// namespace, until `release`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// let h = hold(ns1);
    /// delete(ns1);
    /// check exists("veth0");              // the peer exists, so the namespace does
    /// check "veth1" in links(h);
    /// release(h);
    /// wait_gone(cable.a);
    /// ```
    fn hold(lab: Arc<Lab>, ns: NetNs) -> Sandbox {
        Sandbox::hold(&lab, &ns)
    }

    /// Closes what `hold`, `nsenter` or `unshare` keeps open. Returns whether it was open.
    ///
    /// No equivalent command: the descriptors are those of nslab.
    ///
    /// ```rhai
    /// let h = hold(netns("netns1"));
    /// check release(h);
    /// check !release(h);
    /// ```
    fn release(sandbox: Sandbox) -> bool {
        Ok(sandbox.release())
    }

    /// Opens namespaces of a process, to be entered by `within` or `exec`.
    ///
    /// Like `nsenter -t PID TYPES`. The types are cgroup, ipc, mount (or mnt), net, pid, time, user, uts.
    ///
    /// ```rhai
    /// let p = start(netns("netns1"), "sleep 60");
    /// within nsenter(p.pid, ["mount", "net"]) { check exists("lo"); }
    /// check exec(nsenter(1, ["uts"]), "hostname").ok;
    /// ```
    fn nsenter(lab: Arc<Lab>, pid: Pid, types: NsTypes) -> Sandbox {
        Sandbox::of_process(&lab, pid.0, &types.0)
    }

    /// Creates namespaces of the given types and returns them, to be entered by `within` or `exec`.
    ///
    /// Like `unshare TYPES [--fork] [--mount-proc] [MAP] [sh -c 'mount -t sysfs none /sys; exec "$@"' sh] sleep infinity &`.
    /// With both `pid` and `mount` the sandbox has a `/proc` of its own, with `net` and `mount` a `/sys`.
    ///
    /// ```rhai
    /// let box = unshare(["pid", "mount", "uts"]);
    /// exec(box, "hostname inside");
    /// check exec(box, "hostname").stdout == "inside\n";
    /// check exec("hostname").stdout != "inside\n";
    /// check exec(box, ["sh", "-c", "echo $$"]).stdout.parse_int() < 10;    // it sees almost no other process
    /// ```
    fn unshare(lab: Arc<Lab>, types: NewTypes) -> Sandbox {
        Sandbox::make(&lab, &types.0.0)
    }
}
