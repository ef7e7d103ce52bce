//! Links: cables, bridges, up and down, moving, addresses.

use std::fmt::{self, Write};
use std::sync::Arc;

use ipnet::IpNet;
use rhai::{Array, Dynamic, INT, Map};

use super::args::{Arg, Call, Here, Opts, Pid};
use super::list::{List, Listed, register_list};
use super::netns::Deleted;
use super::options::{FromOptions, Options};
use super::{bindings, register_type, value};
use crate::catalog::{Key, Names};
use crate::error::{Error, Kind, Result};
use crate::lab::host::Changing;
use crate::lab::{Lab, Link, NetNs};
use crate::name::IfName;
use crate::net::addr::AddrInfo;
use crate::net::link::{Change, LinkInfo};

value! { Link, "Link", "A network device. Its properties are asked of the kernel each time.",
    |link| format!("{link:?}");
    /// Its name.
    name: String = |link| link.name().as_str().to_owned();
    /// The namespace it is in.
    ns: NetNs = |link| link.ns();
    /// Its number in its namespace.
    index: INT = |link| INT::from(link.info()?.index);
    /// Operational state: `UP`, `DOWN`, `UNKNOWN` (as `lo` has), `LOWERLAYERDOWN` (the other end is down).
    state: String = |link| link.info()?.state.to_owned();
    /// Whether it was set up.
    is_up: bool = |link| link.info()?.is_up();
    /// Whether a signal arrives from the other end.
    carrier: bool = |link| link.info()?.has_carrier();
    /// The flags that `ip link` shows in angle brackets.
    flags: Array = |link| link.info()?.flags.into_iter().map(Dynamic::from).collect();
    /// Largest packet, bytes.
    mtu: INT = |link| INT::from(link.info()?.mtu);
    /// Hardware address.
    mac: String = |link| link.info()?.mac;
    /// `veth`, `bridge` …; empty for `lo`.
    kind: String = |link| link.info()?.kind;
    /// Its addresses with prefix lengths, as strings.
    addrs: Array = |link| link.addrs()?.into_iter().map(|addr| Dynamic::from(addr.net.to_string())).collect();
    /// The other end of a cable, if it is in a namespace that this lab has a handle of; else `()`.
    peer: Option<Link> = |link, lab| link.peer(lab);
    /// Number of the other end in *its* namespace (`@if5` in `ip link`); `()` if there is none.
    peer_index: Option<INT> = |link| link.info()?.peer_index.map(INT::from);
    /// The number under which this link's namespace knows the other end's (`link-netnsid`); `()` for the same one.
    netnsid: Option<INT> = |link| link.info()?.netnsid.map(INT::from);
    /// The bridge it is a port of; `()` if none.
    master: Option<Link> = |link| master(link)?;
}

fn master(link: &Link) -> Result<Option<Link>> {
    let Some(index) = link.info()?.master else { return Ok(None) };
    let ns = link.ns();
    let info = ns.net()?.find_link(crate::net::link::Which::Index(index))?;
    Ok(info.map(|info| Link::new(&ns, IfName::from_kernel(&info.name))))
}

/// The two lines of `ip link`, and one for each address.
fn show(link: &Link, info: &LinkInfo, addrs: &[AddrInfo], all: &[LinkInfo], f: &mut impl Write) -> fmt::Result {
    use crate::name::printable;
    let name_of = |index: u32| all.iter().find(|other| other.index == index).map(|other| printable(&other.name));
    write!(f, "{}: {}", info.index, printable(&info.name))?;
    match info.peer_index {
        Some(index) if info.netnsid.is_some() => write!(f, "@if{index}")?,
        Some(index) => write!(f, "@{}", name_of(index).unwrap_or_else(|| format!("if{index}")))?,
        None => {}
    }
    let mut flags = info.flags.clone();
    if let (Some(index), None) = (info.peer_index, info.netnsid)
        && all.iter().any(|other| other.index == index && !other.is_up())
    {
        flags.push("M-DOWN");
    }
    write!(f, ": <{}> mtu {} qdisc {}", flags.join(","), info.mtu, info.qdisc)?;
    if let Some(master) = info.master {
        write!(f, " master {}", name_of(master).unwrap_or_else(|| master.to_string()))?;
    }
    write!(f, " state {}", info.state)?;
    if info.group == 0 {
        write!(f, " group default")?;
    } else {
        write!(f, " group {}", info.group)?;
    }
    write!(f, " qlen {}\n    link/{} {} brd {}", info.txqlen, info.layer, info.mac, info.broadcast)?;
    if let Some(id) = info.netnsid {
        write!(f, " link-netnsid {id}")?;
    }
    for addr in addrs.iter().filter(|addr| addr.index == info.index) {
        let family = if addr.net.addr().is_ipv4() { "inet" } else { "inet6" };
        write!(f, "\n    {family} {}", addr.net)?;
        if let Some(broadcast) = addr.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        let flags = [(addr.nodad, " nodad"), (addr.tentative, " tentative")];
        let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word).collect();
        write!(f, " scope {}{flags}", addr.scope)?;
        if let Some(label) = &addr.label {
            write!(f, " {}", printable(label))?;
        }
    }
    let _ = link;
    Ok(())
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = || Ok((self.info()?, self.addrs()?, self.ns().net()?.links()?));
        let looked: Result<_> = look();
        match looked {
            Ok((info, addrs, all)) => show(self, &info, &addrs, &all, f),
            Err(error) => write!(f, "{self:?}: {error}"),
        }
    }
}

impl Listed for Link {
    const LIST: &'static str = "Links";
    const LIST_DOC: &'static str = "The links of a namespace. Prints as `ip link` and `ip addr` do.";
    const COLUMNS: &'static [&'static str] = &["index", "name", "state", "mtu", "kind", "addrs", "peer", "master"];
    fn is_called(&self, name: &str) -> bool {
        self.name().as_str() == name
    }
    fn show(items: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = items.first() else { return Ok(()) };
        let look = || {
            let net = first.ns().net()?;
            Ok((net.links()?, net.addrs(None)?))
        };
        let looked: Result<_> = look();
        let Ok((all, addrs)) = looked else { return write!(f, "{} links of {}", items.len(), first.ns().label()) };
        for (n, link) in items.iter().enumerate() {
            let name = link.name();
            f.write_str(if n > 0 { "\n" } else { "" })?;
            match all.iter().find(|info| info.name == name.as_str()) {
                Some(info) => self::show(link, info, &addrs, &all, f)?,
                None => write!(f, "{link:?}: gone")?,
            }
        }
        Ok(())
    }
}

/// A cable: both ends of a veth pair.
#[derive(Clone)]
pub(crate) struct Cable {
    a: Link,
    b: Link,
}

impl fmt::Display for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} <-> {:?}", self.a, self.b)
    }
}

value! { Cable, "Veth", "A virtual cable: what goes in at one end comes out at the other.";
    /// The first end.
    a: Link = |cable| cable.a.clone();
    /// The second end.
    b: Link = |cable| cable.b.clone();
}

/// One end of a cable to be: a name, after an optional namespace.
pub(crate) struct End {
    ns: NetNs,
    name: IfName,
}

impl Arg for End {
    const TYPE: &'static str = "string";
    const MOST: usize = 2;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let here = Here::take(call, name)?;
        let Some(text) = call.take_text() else {
            return Err(call
                .wrong(name, "a name")
                .hint("each end is a name, or a namespace and a name: `veth(ns1, \"eth0\", ns2, \"eth0\")`"));
        };
        Ok(Self { ns: here.net().clone(), name: IfName::new(&text)? })
    }
}

/// Where a link goes: a namespace, or that of a process.
pub(crate) enum Destination {
    Namespace(NetNs),
    Process(u32),
}

impl Arg for Destination {
    const TYPE: &'static str = "NetNs or int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(ns) = call.take_net()? {
            return Ok(Self::Namespace(ns));
        }
        Pid::take(call, name).map(|pid| Self::Process(pid.0)).map_err(|error| {
            error.hint("a namespace, or the number of a process whose namespace is meant (1 is the lab's first)")
        })
    }
}

/// What `delete` takes.
pub(crate) enum Doomed {
    Namespace(NetNs),
    Link(Link),
}

impl Arg for Doomed {
    const TYPE: &'static str = "NetNs or Link";
    const MOST: usize = 2;
    const NAMES: Names = Names::Links;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if call.left() == 1
            && let Some(ns) = call.take_net()?
        {
            return Ok(Self::Namespace(ns));
        }
        Link::take(call, name).map(Self::Link)
    }
}

/// How an address is added.
pub(crate) struct AddressOptions {
    dad: bool,
}

impl FromOptions for AddressOptions {
    const KEYS: &'static [Key] =
        &[Key::new("dad", "let IPv6 look for duplicates first, which takes 1 to 2 seconds; default false")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { dad: options.flag("dad")?.unwrap_or(false) })
    }
}

fn add_addr(lab: &Lab, link: &Link, net: IpNet, dad: bool) -> Result<()> {
    lab.changing(link, Changing::AddAddress(net))?;
    link.add_addr(net, dad)
}

/// Runs `work` on a copy of the handle and returns the handle, so that calls can be chained.
fn chain(link: Link, work: impl FnOnce(&Link) -> Result<()>) -> Result<Link> {
    work(&link)?;
    Ok(link)
}

bindings! { "links", types: [register_type::<Link>, register_list::<Link>, register_type::<Cable>];

    /// Lists the links of a namespace.
    ///
    /// Like `ip -n NS link list`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// print(links(ns1));
    /// check "lo" in links(ns1);
    /// ```
    fn links(ns: Here) -> List<Link> {
        let ns = ns.net();
        let all = ns.net()?.links()?;
        Ok(all.iter().map(|info| Link::new(ns, IfName::from_kernel(&info.name))).collect::<Vec<_>>().into())
    }

    /// Returns the link called `name` of a namespace.
    ///
    /// Like `ip -n NS link show NAME`.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// check link(ns1, "lo").mtu == 65536;
    /// ```
    fn link(ns: Here, name: IfName) -> Link {
        let link = Link::new(ns.net(), name);
        link.info()?;
        Ok(link)
    }

    /// Tells whether there is such a link now.
    ///
    /// ```rhai
    /// check exists("lo");
    /// check !exists("veth0");
    /// ```
    fn exists(link: Link) -> bool {
        link.exists()
    }

    /// Creates a virtual cable and returns its two ends, both DOWN.
    ///
    /// Like `ip link add name A type veth peer name B`. Each name may follow its namespace: then both ends are where
    /// they belong from the start, which is much faster than moving them.
    ///
    /// ```rhai
    /// let cable = veth("veth0", "veth1");                  // both here
    /// let ns1 = netns("netns1");
    /// let ns2 = netns("netns2");
    /// let across = veth(ns1, "eth0", ns2, "eth0");         // one in each
    /// check cable.a.peer == cable.b;
    /// check across.b.ns == ns2;
    /// ```
    fn veth(lab: Arc<Lab>, a: End, b: End) -> Cable {
        let ends = [(&a.ns, &a.name), (&b.ns, &b.name)];
        let make = || Link::make_cable((&a.ns, a.name.clone()), (&b.ns, b.name.clone()));
        let (a, b) = lab.making_links(&ends, make)?;
        Ok(Cable { a, b })
    }

    /// Creates a bridge called `name` and returns it. It starts DOWN.
    ///
    /// Like `ip -n NS link add name NAME type bridge`.
    ///
    /// ```rhai
    /// let lab = netns("lab");
    /// let br = bridge(lab, "br0");
    /// check br.kind == "bridge" && br.state == "DOWN";
    /// ```
    fn bridge(lab: Arc<Lab>, ns: Here, name: IfName) -> Link {
        let ns = ns.net();
        lab.making_links(&[(ns, &name)], || Link::make_bridge(ns, name.clone()))
    }

    /// Makes the link a port of a bridge.
    ///
    /// Like `ip link set dev LINK master BRIDGE`.
    ///
    /// ```rhai
    /// let br = bridge("br0");
    /// let cable = veth("port0", netns("node"), "eth0");
    /// set_master(cable.a, br);
    /// check cable.a.master == br;
    /// ```
    fn set_master(lab: Arc<Lab>, link: Link, bridge: Link) -> Link {
        lab.changing(&link, Changing::Take("make a port of"))?;
        chain(link.clone(), |link| link.set_master(Some(&bridge)))
    }

    /// Takes the link off its bridge.
    ///
    /// Like `ip link set dev LINK nomaster`.
    ///
    /// ```rhai
    /// let cable = veth("port0", netns("node"), "eth0");
    /// set_master(cable.a, bridge("br0"));
    /// nomaster(cable.a);
    /// check cable.a.master == ();
    /// ```
    fn nomaster(lab: Arc<Lab>, link: Link) -> Link {
        lab.changing(&link, Changing::Take("release"))?;
        chain(link.clone(), |link| link.set_master(None))
    }

    /// Sets the link up, with an address if one is given, and returns when packets can pass.
    ///
    /// Like `ip link set dev LINK up`, or `ifconfig LINK ADDRESS up`. A cable carries once both ends are up.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// up(ns1, "lo");
    /// let cable = veth("veth0", ns1, "veth1");
    /// up(cable.b, "10.1.1.1/24");
    /// up(cable.a, "10.1.1.2/24");
    /// check ping("10.1.1.1").ok;
    /// ```
    fn up(lab: Arc<Lab>, link: Link, addr: Option<IpNet>) -> Link {
        lab.changing(&link, Changing::Up)?;
        if let Some(addr) = addr {
            add_addr(&lab, &link, addr, false)?;
        }
        chain(link.clone(), |link| link.up(&lab))
    }

    /// Sets the link down. Its routes go; its IPv4 addresses stay.
    ///
    /// Like `ip link set dev LINK down`.
    ///
    /// ```rhai
    /// up("lo");
    /// down("lo");
    /// check link("lo").state == "DOWN";
    /// ```
    fn down(lab: Arc<Lab>, link: Link) -> Link {
        lab.changing(&link, Changing::Down)?;
        chain(link.clone(), Link::down)
    }

    /// Adds an address to the link.
    ///
    /// Like `ip addr add ADDR dev LINK`. An IPv6 address is usable at once (`nodad`).
    ///
    /// ```rhai
    /// let l = veth("veth0", "veth1").a;
    /// addr(l, "10.1.1.1/24");
    /// addr(l, "fd00::1/64");
    /// check "fd00::1/64" in l.addrs;
    /// ```
    fn addr(lab: Arc<Lab>, link: Link, addr: IpNet, opts: Opts<AddressOptions>) -> Link {
        chain(link.clone(), |link| add_addr(&lab, link, addr, opts.0.dad))
    }

    /// Removes an address from the link.
    ///
    /// Like `ip addr del ADDR dev LINK`.
    ///
    /// ```rhai
    /// let l = addr(veth("veth0", "veth1").a, "10.1.1.1/24");
    /// del_addr(l, "10.1.1.1/24");
    /// check l.addrs == [];
    /// ```
    fn del_addr(lab: Arc<Lab>, link: Link, addr: IpNet) -> Link {
        lab.changing(&link, Changing::RemoveAddress(addr))?;
        chain(link.clone(), |link| link.delete_addr(addr))
    }

    /// Moves the link into another namespace: one that you hold, or that of a process.
    ///
    /// Like `ip link set dev LINK netns NS` and `… netns PID`. The kernel sets it down and takes its addresses and
    /// routes away; its number may change.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", "veth1");
    /// move_to(cable.b, ns1);
    /// check link(ns1, "veth1").netnsid == 0;
    /// move_to(cable.b, 1);                     // PID 1 is in the namespace that plays the host
    /// check cable.b.ns == host();
    /// ```
    fn move_to(lab: Arc<Lab>, link: Link, target: Destination) -> Link {
        lab.changing(&link, Changing::Take("move"))?;
        chain(link.clone(), |link| match &target {
            Destination::Namespace(ns) => lab.moving(link, ns, || link.move_to(ns)),
            Destination::Process(pid) => {
                // PID 1 of the machine may be protected; as a number the kernel still takes it.
                let there = match crate::ns::open(*pid, crate::exec::handle::NsKind::Net) {
                    Ok(handle) => lab.adopt(handle, None),
                    Err(error) if *pid == 1 && error.kind == Kind::Permission => lab.root().clone(),
                    Err(error) => return Err(error),
                };
                lab.moving(link, &there, || link.move_to_pid(*pid, &there))
            }
        })
    }

    /// Gives the link another name.
    ///
    /// Like `ip link set dev LINK name NAME`. Older kernels want it DOWN for that.
    ///
    /// ```rhai
    /// let l = veth("veth0", "veth1").a;
    /// rename(l, "uplink");
    /// check l.name == "uplink";
    /// ```
    fn rename(lab: Arc<Lab>, link: Link, name: IfName) -> Link {
        lab.changing(&link, Changing::Take("rename"))?;
        chain(link.clone(), |link| link.rename(name.clone()))
    }

    /// Sets the largest packet that the link sends, in bytes.
    ///
    /// Like `ip link set dev LINK mtu BYTES`.
    ///
    /// ```rhai
    /// let l = veth("veth0", "veth1").a;
    /// set_mtu(l, 1400);
    /// check l.mtu == 1400;
    /// ```
    fn set_mtu(lab: Arc<Lab>, link: Link, bytes: INT) -> Link {
        let Ok(mtu) = u32::try_from(bytes) else {
            return Err(Error::usage(format!("{bytes} is no packet size")).hint("68 to 65535 bytes for a cable"));
        };
        lab.changing(&link, Changing::Mtu(mtu))?;
        chain(link.clone(), |link| link.change(Change::Mtu(mtu), &format!("set mtu {mtu} of")))
    }

    /// Deletes a namespace, and reports what still holds it; or a link, whose other end goes with it.
    ///
    /// Like `ip netns delete NAME` and `ip link delete dev LINK`. A namespace in which a process runs, or that
    /// somebody has open, lives on without its name.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, "sleep 60");
    /// let report = delete(ns1);
    /// check !report.gone;
    /// check report.holders[0].pid == p.pid;
    /// check netns_list().is_empty;
    /// ```
    fn delete(lab: Arc<Lab>, thing: Doomed) -> Dynamic {
        use super::args::Out;
        match &thing {
            Doomed::Namespace(ns) => {
                lab.delete_netns(ns)?;
                Ok(Deleted::new(ns).out())
            }
            Doomed::Link(link) => {
                lab.changing(link, Changing::Take("delete"))?;
                link.delete().map(Out::out)
            }
        }
    }

    /// Returns all that the kernel says about the link, as a map: a snapshot, to compare with later.
    ///
    /// ```rhai
    /// let before = info("lo");
    /// up("lo");
    /// check before.state == "DOWN" && link("lo").state == "UNKNOWN";
    /// ```
    fn info(link: Link) -> Map {
        let info = link.info()?;
        let number = |n: u32| Dynamic::from(INT::from(n));
        let mut map = Map::new();
        map.insert("name".into(), info.name.clone().into());
        map.insert("index".into(), number(info.index));
        map.insert("state".into(), info.state.into());
        map.insert("is_up".into(), info.is_up().into());
        map.insert("carrier".into(), info.has_carrier().into());
        map.insert("flags".into(), info.flags.iter().map(|flag| Dynamic::from(*flag)).collect::<Array>().into());
        map.insert("mtu".into(), number(info.mtu));
        map.insert("mac".into(), info.mac.clone().into());
        map.insert("kind".into(), info.kind.clone().into());
        map.insert("qdisc".into(), info.qdisc.clone().into());
        map.insert("addrs".into(), link.addrs()?.iter().map(|a| Dynamic::from(a.net.to_string())).collect::<Array>().into());
        map.insert("peer_index".into(), info.peer_index.map_or(Dynamic::UNIT, number));
        map.insert("netnsid".into(), info.netnsid.map_or(Dynamic::UNIT, |id| Dynamic::from(INT::from(id))));
        Ok(map)
    }

    /// Says that changes to a device which keeps the machine connected are meant. Only `--host` asks for it.
    ///
    /// ```rhai
    /// allow_host_device("lo");
    /// ```
    fn allow_host_device(lab: Arc<Lab>, name: IfName) -> () {
        if let Some(journal) = lab.journal() {
            journal.allow(name.as_str());
        }
        Ok(())
    }
}
