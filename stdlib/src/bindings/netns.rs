//! Network namespaces: create, open, list.

use std::fmt;
use std::sync::Arc;

use rhai::INT;

use super::core::args::Current;
use super::core::options::Opts;
use super::core::prelude::*;
use super::core::register::Family;
use super::netns_files::FileOptions;
use crate::catalog::Changes;
use crate::error::Result;
use crate::lab::host::Guard;
use crate::lab::{Lab, NetNs};
use crate::name::NsName;

pub(super) const FAMILY: Family = Family {
    name: "namespaces",
    types: &[register_type::<NetNs>, register_list::<NetNs>, register_type::<NetNsName>, register_list::<NetNsName>],
    bindings: BINDINGS,
};

value! { NetNs, "NetNs", "A network namespace. It keeps the namespace alive until `delete` or the end of the lab.";
    /// Its name below `/run/netns`; `()` if it has none.
    name: Option<String> = |ns| ns.name().map(|name| name.as_str().to_owned());
    /// The inode number of the namespace, as `ls -l /proc/PID/ns` shows it.
    inode: INT = |ns| INT::try_from(ns.inode().ino).unwrap_or(0);
    /// The id by which the lab's root knows it (`link-netnsid`); `()` if it has none yet.
    id: Option<INT> = |ns, lab| {
        if ns.is_root() { None } else { lab.root().net()?.id_of(&*ns.net()?)?.map(INT::from) }
    };
    /// Whether it is the namespace that the lab started in.
    is_host: bool = |ns| ns.is_root();
    /// Whether `delete` was called on it.
    deleted: bool = |ns| ns.is_closed();
}

impl Listed for NetNs {
    const LIST: &'static str = "NetNsList";
    const LIST_DOC: &'static str = "Namespaces with a name. Prints as `ip netns list` does.";
    const COLUMNS: &'static [&'static str] = &["name", "inode"];
}

/// A namespace and its id, as `ip netns list` shows them.
#[derive(Clone)]
pub(crate) struct NetNsName {
    name: String,
    id: Option<i32>,
}

impl fmt::Display for NetNsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::name::printable(&self.name))?;
        self.id.map_or(Ok(()), |id| write!(f, " (id: {id})"))
    }
}

value! { NetNsName, "NetNsName", "One line of `ip netns list`.";
    /// The name.
    name: String = |named| named.name.clone();
    /// The id by which the current namespace knows it; `()` until a link crosses between the two.
    id: Option<INT> = |named| named.id.map(INT::from);
}

impl Listed for NetNsName {
    const LIST: &'static str = "NetNsNames";
    const LIST_DOC: &'static str = "The names below `/run/netns`. Prints as `ip netns list` does.";
    const COLUMNS: &'static [&'static str] = &["name", "id"];
    fn is_called(&self, name: &str) -> bool {
        self.name == name
    }
}

fn names(lab: &Lab, seen_from: &NetNs) -> Result<Vec<NetNsName>> {
    let viewer = seen_from.net()?;
    lab.netns_names()?
        .into_iter()
        .map(|name| {
            let id = match NsName::new(&name).and_then(|name| lab.open_netns(&name)) {
                Ok(ns) => viewer.id_of(&*ns.net()?)?,
                Err(_) => None, // made by another tool with a name that nslab does not take, or gone by now
            };
            Ok(NetNsName { name, id })
        })
        .collect()
}

bindings! {
    /// Creates a network namespace called `name` and returns it. In it there is only `lo`, and that is DOWN.
    ///
    /// Like `ip netns add NAME`, or `unshare --net sleep infinity &` without a name. A name appears below `/run/netns`,
    /// where `ip netns` finds it. Without one only the returned handle keeps the namespace alive.
    ///
    /// Programs in it see the files in `/etc/netns/NAME` in place of those in `/etc`, as with `ip netns exec`. The options
    /// write such files, which go with the namespace.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// check ns1.name == "netns1";
    /// check links(ns1)[0].name == "lo";
    /// check link(ns1, "lo").state == "DOWN";
    ///
    /// let h1 = netns("h1", #{hosts: #{db: "10.0.0.5"}, resolv_conf: ["10.0.0.53"]});
    /// check exec(h1, "cat /etc/resolv.conf").stdout == "nameserver 10.0.0.53\n";
    /// ```
    #[changes = Changes::Unguarded("creates a namespace of its own")]
    fn netns(guard: Guard, name: Option<NsName>, opts: Opts<FileOptions>) -> NetNs {
        guard.create_netns_with(name, &opts.0.0)
    }

    /// Returns the existing namespace called `name`, made by this script or by `ip netns add`.
    ///
    /// No equivalent command: the tools take the name itself.
    ///
    /// ```rhai
    /// netns("blue");
    /// exec("ip netns add green");
    /// check open_netns("green").name == "green";
    /// check open_netns("blue") != open_netns("green");
    /// ```
    fn open_netns(lab: Arc<Lab>, name: NsName) -> NetNs {
        lab.open_netns(&name)
    }

    /// Lists the names of network namespaces, with the id that each has in `ns`.
    ///
    /// Like `ip netns list`. The kernel assigns an id when a link first crosses between two namespaces.
    ///
    /// ```rhai
    /// let red = netns("red");
    /// check netns_list().map(|ns| ns.name) == ["red"];
    /// check netns_list()[0].id == ();
    /// veth("veth0", red, "veth1");
    /// check netns_list()[0].id == 0;
    /// ```
    fn netns_list(lab: Arc<Lab>, ns: Here) -> List<NetNsName> {
        Ok(names(&lab, ns.net())?.into())
    }

    /// Switches the names of namespaces in the lab's `/etc/hosts` on or off. They are on at first.
    ///
    /// While they are on, a program that starts finds each name with the addresses that its namespace has then, so
    /// `curl http://h2/` works in `h1`. Other lines of the file stay.
    ///
    /// No equivalent command: a script for the shell would write the file itself.
    ///
    /// ```rhai
    /// let h1 = netns("h1");
    /// up(veth("veth0", h1, "eth0").b, "10.0.0.1/24");
    /// check exec("grep h1 /etc/hosts").lines == ["10.0.0.1\th1"];
    /// keep_hosts(false);
    /// check !exec("grep h1 /etc/hosts").ok;
    /// ```
    #[changes = Changes::Unguarded("writes to a file of the lab")]
    fn keep_hosts(guard: Guard, on: bool) -> () {
        guard.lab().keep_hosts(on)
    }

    /// Returns the namespace that the lab started in. It plays the part of the host.
    ///
    /// In a lab of its own this is a fresh namespace; with `--host` it is the machine's.
    ///
    /// No equivalent command: the tools work in it unless told otherwise.
    ///
    /// ```rhai
    /// check host().is_host;
    /// within netns("a") { check ns_inode() != ns_inode(host()); }
    /// ```
    fn host(lab: Arc<Lab>) -> NetNs {
        Ok(lab.root().clone())
    }

    /// Returns the current namespace: the innermost `within`, or the host.
    ///
    /// Like `ip netns identify`, which prints nothing for the host.
    ///
    /// ```rhai
    /// let blue = netns("blue");
    /// check current() == host();
    /// within blue { check current() == blue; }
    /// ```
    fn current(here: Current) -> NetNs {
        Ok(here.0.net.clone())
    }
}
