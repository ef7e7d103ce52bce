//! Network namespaces: create, open, list, delete, and who keeps one alive.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rhai::INT;

use super::args::{Current, Here};
use super::link::Doomed;
use super::list::{List, Listed, register_list};
use super::options::{FromOptions, Options};
use super::{args::Opts, bindings, register_type, value};
use crate::catalog::Key;
use crate::error::{Error, Kind, Result};
use crate::lab::{Lab, NetNs};
use crate::name::NsName;
use crate::ns::holders::{self, Holder};

value! { NetNs, "NetNs", "A network namespace. It keeps the namespace alive until `delete` or the end of the lab.";
    /// Its name below `/run/netns`; `()` if it has none.
    name: Option<String> = |ns| ns.name().map(|name| name.as_str().to_owned());
    /// The inode number of the namespace, as `ls -l /proc/PID/ns` shows it.
    inode: INT = |ns| INT::try_from(ns.inode().ino).unwrap_or(0);
    /// The number under which the current root knows it (`link-netnsid`); `()` if none was given yet.
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

/// A namespace and its number, as `ip netns list` shows them.
#[derive(Clone)]
pub(crate) struct Named {
    name: String,
    id: Option<i32>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::name::printable(&self.name))?;
        self.id.map_or(Ok(()), |id| write!(f, " (id: {id})"))
    }
}

value! { Named, "NetNsName", "One line of `ip netns list`.";
    /// The name.
    name: String = |named| named.name.clone();
    /// The number under which the current namespace knows it; `()` until a link crosses between the two.
    id: Option<INT> = |named| named.id.map(INT::from);
}

impl Listed for Named {
    const LIST: &'static str = "NetNsNames";
    const LIST_DOC: &'static str = "The names below `/run/netns`. Prints as `ip netns list` does.";
    const COLUMNS: &'static [&'static str] = &["name", "id"];
    fn is_called(&self, name: &str) -> bool {
        self.name == name
    }
}

value! { Holder, "Holder", "One reason why a namespace lives on.";
    /// `process`, `descriptor` or `mount`.
    kind: String = |holder| holder.how.word().into();
    /// The process.
    pid: INT = |holder| INT::from(holder.pid);
    /// The command of the process.
    command: String = |holder| holder.command.clone();
    /// The descriptor, or the mount point.
    detail: String = |holder| holder.detail.clone();
}

impl Listed for Holder {
    const LIST: &'static str = "Holders";
    const LIST_DOC: &'static str = "Everything that can be seen keeping a namespace alive.";
    const COLUMNS: &'static [&'static str] = &["kind", "pid", "command", "detail"];
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if items.is_empty() {
            return f.write_str("nothing holds it");
        }
        for (n, item) in items.iter().enumerate() {
            write!(f, "{}{item}", if n > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

/// What `delete` returns.
#[derive(Clone)]
pub(crate) struct Deleted {
    ns: NetNs,
    /// Looked up when somebody looks: a look through all processes costs more than the deletion.
    holders: Arc<Mutex<Option<Vec<Holder>>>>,
}

impl Deleted {
    pub(crate) fn new(ns: &NetNs) -> Self {
        Self { ns: ns.clone(), holders: Arc::default() }
    }

    fn holders(&self) -> Result<Vec<Holder>> {
        let mut seen = self.holders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.is_none() {
            *seen = Some(holders::of(self.ns.inode(), self.ns.unique_id())?);
        }
        Ok(seen.clone().unwrap_or_default())
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holders() {
            Ok(holders) if holders.is_empty() => write!(f, "{}: gone, nothing holds it", self.ns.label()),
            Ok(holders) => {
                write!(f, "{}: its name is gone, but it lives on:", self.ns.label())?;
                holders.iter().try_for_each(|holder| write!(f, "\n  {holder}"))
            }
            Err(error) => write!(f, "{}: its name is gone; {error}", self.ns.label()),
        }
    }
}

value! { Deleted, "Deleted", "What came of deleting a namespace: whether it is gone, and who still holds it.";
    /// Whether nothing holds it any more.
    gone: bool = |deleted| deleted.holders()?.is_empty();
    /// Who still holds it; looked up once, when first asked.
    holders: List<Holder> = |deleted| deleted.holders()?.into();
}

/// How long to wait.
pub(crate) struct Patience(pub Duration);

impl FromOptions for Patience {
    const KEYS: &'static [Key] = &[Key::new("timeout", "how long to wait at most; default \"5s\"")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("timeout")?.unwrap_or(Duration::from_secs(5))))
    }
}

fn names(lab: &Lab, seen_from: &NetNs) -> Result<Vec<Named>> {
    let viewer = seen_from.net()?;
    lab.netns_names()?
        .into_iter()
        .map(|name| {
            let id = match NsName::new(&name).and_then(|name| lab.open_netns(&name)) {
                Ok(ns) => viewer.id_of(&*ns.net()?)?,
                Err(_) => None, // made by another tool with a name we do not take, or gone meanwhile
            };
            Ok(Named { name, id })
        })
        .collect()
}

/// Polls `gone` until it holds: a namespace's end has no event that can be waited for.
pub(crate) fn wait_until(lab: &Lab, limit: Duration, what: &str, gone: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    while !gone()? {
        if Instant::now() >= end {
            return Err(Error::plain(
                Kind::Timeout,
                format!("wait for the end of {what}: it is there after {limit:?}"),
            ));
        }
        lab.exec().sleep(pause)?;
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    Ok(())
}

bindings! { "namespaces", types: [
        register_type::<NetNs>, register_list::<NetNs>, register_type::<Named>, register_list::<Named>,
        register_type::<Holder>, register_list::<Holder>, register_type::<Deleted>
    ];

    /// Creates a network namespace called `name` and returns it. In it there is only `lo`, and that is DOWN.
    ///
    /// Like `ip netns add NAME`: it appears below `/run/netns`, where `ip netns` finds it. Without a name only the
    /// returned handle keeps it alive.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// check ns1.name == "netns1";
    /// check links(ns1)[0].name == "lo";
    /// check link(ns1, "lo").state == "DOWN";
    /// ```
    fn netns(lab: Arc<Lab>, name: Option<NsName>) -> NetNs {
        lab.create_netns(name)
    }

    /// Returns the existing namespace called `name`, made by this script or by `ip netns add`.
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

    /// Lists the names of network namespaces, with the number that each has in `ns`.
    ///
    /// Like `ip netns list`. The kernel gives a number when a link first crosses between two namespaces.
    ///
    /// ```rhai
    /// let red = netns("red");
    /// check netns_list().map(|ns| ns.name) == ["red"];
    /// check netns_list()[0].id == ();
    /// veth("veth0", red, "veth1");
    /// check netns_list()[0].id == 0;
    /// ```
    fn netns_list(lab: Arc<Lab>, ns: Here) -> List<Named> {
        Ok(names(&lab, ns.net())?.into())
    }

    /// Returns the namespace that the lab started in. It plays the part of the host.
    ///
    /// In a lab of its own this is a fresh namespace; with `--host` it is the machine's.
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
    /// ```rhai
    /// let blue = netns("blue");
    /// check current() == host();
    /// within blue { check current() == blue; }
    /// ```
    fn current(here: Current) -> NetNs {
        Ok(here.0.net.clone())
    }

    /// Lists what keeps the namespace alive: processes in it, open descriptors, mounts.
    ///
    /// Like `ip netns pids NAME`, which knows of processes alone. A socket that a process opened inside keeps it too; the
    /// kernel has no list of those.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// let kinds = holders(ns1).map(|h| h.kind);
    /// check "process" in kinds;
    /// check "mount" in kinds;
    /// ```
    fn holders(ns: NetNs) -> List<Holder> {
        ns.net()?;
        Ok(holders::of(ns.inode(), ns.unique_id())?.into())
    }

    /// Waits until a deleted namespace, or a link, is really gone. The kernel takes its time with both.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", ns1, "veth1");
    /// delete(ns1);
    /// wait_gone(ns1);                     // nothing holds it any more
    /// wait_gone(cable.a);                 // the kernel has taken its end of the cable away
    /// check !exists(host(), "veth0");
    /// ```
    fn wait_gone(lab: Arc<Lab>, thing: Doomed, opts: Opts<Patience>) -> () {
        match &thing {
            Doomed::Link(link) => {
                wait_until(&lab, opts.0.0, &format!("{link:?}"), || link.exists().map(|exists| !exists))
            }
            Doomed::Namespace(ns) if !ns.is_closed() => Err(Error::usage(format!("{} was not deleted", ns.label()))
                .hint("`delete(ns)` first: as long as this handle is open, the namespace lives")),
            Doomed::Namespace(ns) => wait_until(&lab, opts.0.0, ns.label(), || {
                holders::of(ns.inode(), ns.unique_id()).map(|holders| holders.is_empty())
            }),
        }
    }
}
