//! Links: their properties, up and down, addresses, names, masters, moving.

use std::sync::Arc;

use ipnet::IpNet;
use rhai::{Array, Dynamic, INT, Map};

use super::core::handles::Pid;
use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::{Changes, Key, Names};
use crate::error::{Error, Kind, Result};
use crate::exec::handle::NsKind;
use crate::lab::host::Guard;
use crate::lab::{Lab, Link, NetNs};
use crate::name::IfName;
use crate::net::link::Which;

pub(super) mod kinds;
pub(super) mod show;

pub(super) const FAMILY: Family =
    Family { name: "links", types: &[register_type::<Link>, register_list::<Link>], bindings: BINDINGS };

value! { Link, "Link", "A network device. Prints as `ip link show dev NAME` does. Its properties are read from the kernel each time.",
    |link| format!("{link:?}");
    /// Its name.
    name: String = |link| link.name().as_str().to_owned();
    /// Its alternative names (`ip link property add dev NAME altname NAME2`), by which functions find it too.
    altnames: Array = |link| link.info()?.altnames.into_iter().map(Dynamic::from).collect();
    /// The namespace it is in.
    ns: NetNs = |link| link.ns();
    /// Its interface index.
    index: INT = |link| INT::from(link.info()?.index);
    /// Operational state: `UP`, `DOWN`, `UNKNOWN` (as `lo` has), `LOWERLAYERDOWN`. Of a link that is set up and has no
    /// carrier it is `DOWN` or `LOWERLAYERDOWN`, by the kernel's version and the order of events: check `is_up` and
    /// `carrier`.
    state: String = |link| link.info()?.state.to_owned();
    /// Whether it was set up; `carrier` shows whether the other end is too.
    is_up: bool = |link| link.info()?.is_up();
    /// Whether it has carrier: the other end is up too.
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
    /// The other end of a veth pair, if it is in a namespace that the lab has a handle of; else `()`.
    peer: Option<Link> = |link, lab| link.peer(lab)?;
    /// Interface index of the peer in *its* namespace (`@if5` in `ip link`); `()` if there is none.
    peer_index: Option<INT> = |link| link.info()?.peer_index.map(INT::from);
    /// The link below it (`m0@eth0`), if it is in a namespace that the lab has a handle of; else `()`.
    lower: Option<Link> = |link, lab| link.lower(lab)?;
    /// Interface index of the link below, in *its* namespace; `()` if there is none.
    lower_index: Option<INT> = |link| link.info()?.lower_index.map(INT::from);
    /// The id by which this link's namespace knows that of the peer or of the link below (`link-netnsid`); `()` for
    /// the same one.
    netnsid: Option<INT> = |link| link.info()?.netnsid.map(INT::from);
    /// Its master: the bridge that it is a port of; `()` if it has none.
    master: Option<Link> = |link| master(link)?;
}

/// The name of a link that exists, which may be an alternative one.
pub(crate) struct Existing(IfName);

impl Arg for Existing {
    const TYPE: &'static str = IfName::TYPE;
    const NAMES: Names = IfName::NAMES;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        IfName::existing(&String::take(call, name)?).map(Self)
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        self.0.fill(name, values);
    }
}

fn master(link: &Link) -> Result<Option<Link>> {
    let Some(index) = link.info()?.master else { return Ok(None) };
    let ns = link.ns();
    let info = ns.net()?.find_link(Which::Index(index))?;
    Ok(info.map(|info| Link::new(&ns, IfName::from_kernel(&info.name))))
}

/// Where a link is moved to: a namespace, or that of a process.
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
            error.only_hint("a namespace, or the PID of a process whose namespace is meant (1 is the lab's first)")
        })
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let target = match self {
            Self::Namespace(ns) => values.destination(ns),
            Self::Process(pid) => values.destination_of(*pid),
        };
        values.put(name, target);
    }
}

/// How an address is added.
pub(crate) struct AddressOptions {
    dad: bool,
}

impl FromOptions for AddressOptions {
    const KEYS: &'static [Key] =
        &[Key::new("dad", "run IPv6 duplicate address detection first, which takes 1 to 2 seconds; default false")];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { dad: options.flag("dad")?.unwrap_or(false) })
    }
    fn fill(&self, values: &mut Values<'_>) {
        if self.dad {
            values.switch("nodad", false);
        }
    }
}

/// Runs `work` on a copy of the handle and returns the handle, so that calls can be chained.
fn chain(link: Link, work: impl FnOnce(&Link) -> Result<()>) -> Result<Link> {
    work(&link)?;
    Ok(link)
}

bindings! {
    /// Lists the links of a namespace.
    ///
    /// Like `ip link`, which is what `print` shows. The REPL shows a table; `addrs` lists the addresses.
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
    /// Like `ip link show dev NAME`, which is what `print` and the REPL show; `addrs` has its addresses.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// check link(ns1, "lo").mtu == 65536;
    /// ```
    fn link(ns: Here, name: Existing) -> Link {
        let link = Link::new(ns.net(), name.0);
        link.info()?;
        Ok(link)
    }

    /// Returns whether there is such a link now.
    ///
    /// Like `ip link show dev LINK`, by its exit status.
    ///
    /// ```rhai
    /// check exists("lo");
    /// check !exists("veth0");
    /// ```
    fn exists(link: Link) -> bool {
        link.exists()
    }

    /// Sets the master of the link: it becomes a port of a bridge.
    ///
    /// Like `ip link set dev LINK master MASTER`.
    ///
    /// ```rhai
    /// let br = bridge("br0");
    /// let cable = veth("port0", netns("node"), "eth0");
    /// set_master(cable.a, br);
    /// check cable.a.master == br;
    /// ```
    #[changes = Changes::Guarded(r#"set_master("eth0", bridge("br9"))"#)]
    fn set_master(guard: Guard, link: Link, master: Link) -> Link {
        chain(link.clone(), |link| link.set_master(&guard, &master))
    }

    /// Removes the master of the link: it is no port any more.
    ///
    /// Like `ip link set dev LINK nomaster`.
    ///
    /// ```rhai
    /// let cable = veth("port0", netns("node"), "eth0");
    /// set_master(cable.a, bridge("br0"));
    /// nomaster(cable.a);
    /// check cable.a.master == ();
    /// ```
    #[changes = Changes::Guarded(r#"nomaster("eth0")"#)]
    fn nomaster(guard: Guard, link: Link) -> Link {
        chain(link.clone(), |link| link.remove_master(&guard))
    }

    /// Sets the link up, with an address if one is given, and returns when packets can pass.
    ///
    /// Like `[ip addr add ADDR [brd +] dev LINK [nodad] &&] ip link set dev LINK up`. The old `ifconfig LINK ADDR up`
    /// does both. A veth has carrier once both ends are up.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// up(ns1, "lo");
    /// let cable = veth("veth0", ns1, "veth1");
    /// up(cable.b, "10.1.1.1/24");
    /// up(cable.a, "10.1.1.2/24");
    /// check ping("10.1.1.1").ok;
    /// ```
    #[changes = Changes::Guarded(r#"up("eth0")"#)]
    fn up(guard: Guard, link: Link, addr: Option<IpNet>) -> Link {
        if let Some(addr) = addr {
            link.add_addr(&guard, addr, false)?;
        }
        chain(link.clone(), |link| link.up(&guard))
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
    #[changes = Changes::Guarded(r#"down("eth0")"#)]
    fn down(guard: Guard, link: Link) -> Link {
        chain(link.clone(), |link| link.down(&guard))
    }

    /// Adds an address to the link.
    ///
    /// Like `ip addr add ADDR [brd +] dev LINK [nodad]`. An IPv6 address is usable at once (`nodad`).
    ///
    /// ```rhai
    /// let l = veth("veth0", "veth1").a;
    /// addr(l, "10.1.1.1/24");
    /// addr(l, "fd00::1/64");
    /// check "fd00::1/64" in l.addrs;
    /// ```
    #[changes = Changes::Guarded(r#"addr("eth0", "192.0.2.9/24")"#)]
    fn addr(guard: Guard, link: Link, addr: IpNet, opts: Opts<AddressOptions>) -> Link {
        chain(link.clone(), |link| link.add_addr(&guard, addr, opts.0.dad))
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
    #[changes = Changes::Guarded(r#"del_addr("eth0", "192.0.2.1/24")"#)]
    fn del_addr(guard: Guard, link: Link, addr: IpNet) -> Link {
        chain(link.clone(), |link| link.delete_addr(&guard, addr))
    }

    /// Moves the link into another namespace, given by its handle or by a process.
    ///
    /// Like `ip link set dev LINK netns TARGET`. The kernel sets it down and removes its addresses and routes; its
    /// interface index may change.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let cable = veth("veth0", "veth1");
    /// move_to(cable.b, ns1);
    /// check link(ns1, "veth1").netnsid == 0;
    /// move_to(cable.b, 1);                     // PID 1 is in the namespace that plays the host
    /// check cable.b.ns == host();
    /// ```
    #[changes = Changes::Guarded(r#"move_to("eth0", netns())"#)]
    fn move_to(guard: Guard, link: Link, target: Destination) -> Link {
        let lab = guard.lab();
        chain(link.clone(), |link| match &target {
            Destination::Namespace(ns) => link.move_to(&guard, ns),
            Destination::Process(pid) => {
                // PID 1 of the machine may be protected; the kernel still takes its number.
                let there = match crate::ns::open(*pid, NsKind::Net) {
                    Ok(handle) => lab.adopt(handle, None),
                    Err(error) if *pid == 1 && error.kind == Kind::Permission => lab.root().clone(),
                    Err(error) => return Err(error),
                };
                link.move_to_pid(&guard, *pid, &there)
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
    #[changes = Changes::Guarded(r#"rename("eth0", "eth9")"#)]
    fn rename(guard: Guard, link: Link, name: IfName) -> Link {
        chain(link.clone(), |link| link.rename(&guard, name.clone()))
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
    #[changes = Changes::Guarded(r#"set_mtu("eth0", 1400)"#)]
    fn set_mtu(guard: Guard, link: Link, bytes: INT) -> Link {
        let Ok(mtu) = u32::try_from(bytes) else {
            let error = Error::usage(format!("`{bytes}` is not a valid MTU"));
            return Err(error.hint("68 to 65535 bytes for a veth"));
        };
        chain(link.clone(), |link| link.set_mtu(&guard, mtu))
    }

    /// Returns all that the kernel reports about the link, as a map: a snapshot, to compare with later.
    /// `master`, `peer_index` and `lower_index` are interface indices.
    ///
    /// Like `ip -d addr show dev LINK`.
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
        map.insert("master".into(), info.master.map_or(Dynamic::UNIT, number));
        map.insert("peer_index".into(), info.peer_index.map_or(Dynamic::UNIT, number));
        map.insert("lower_index".into(), info.lower_index.map_or(Dynamic::UNIT, number));
        map.insert("netnsid".into(), info.netnsid.map_or(Dynamic::UNIT, |id| Dynamic::from(INT::from(id))));
        Ok(map)
    }

    /// Allows changes to a device that keeps the machine connected. Only `--host` requires it.
    ///
    /// No equivalent command: other programs guard no device.
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
