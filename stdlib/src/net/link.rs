//! Links: create, look at, change, move, delete.

use std::fmt::{Debug, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use netlink_packet_core::NetlinkDeserializable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo as KernelInfo, LinkLayerType,
    LinkMessage, State,
};
use nix::errno::Errno;
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::connection::Ask;
use super::glance::Glance;
use super::{Net, no_answer};
use crate::error::{Error, Kind, Result};
use crate::name::IfName;

/// What the kernel knows about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its index, unique in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `LOOPBACK`, `UP`, `LOWER_UP` …, as `ip link` shows them.
    pub flags: Vec<&'static str>,
    /// Largest packet, bytes.
    pub mtu: u32,
    /// Operational state: `UP`, `DOWN`, `UNKNOWN`, `LOWERLAYERDOWN` …
    pub state: &'static str,
    /// Queueing discipline at the root.
    pub qdisc: String,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// Hardware address.
    pub mac: String,
    /// Hardware broadcast address.
    pub broadcast: String,
    /// `ether`, `loopback` …
    pub layer: String,
    /// `veth`, `bridge` …; empty for `lo`.
    pub kind: String,
    /// Index of the other end of a cable, or of the device below.
    pub peer_index: Option<u32>,
    /// The number under which this namespace knows the namespace of that index.
    pub netnsid: Option<i32>,
    /// Length of the transmit queue, packets.
    pub txqlen: u32,
    /// Group, 0 is `default`.
    pub group: u32,
    /// Free text that somebody attached.
    pub alias: Option<String>,
}

impl LinkInfo {
    /// Whether it was set up (`ip link set up`).
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags.contains(&"UP")
    }

    /// Whether a signal arrives: the other end is up too.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        self.flags.contains(&"LOWER_UP")
    }
}

/// The flags in the order in which `ip link` prints them (iproute2, ip/ipaddress.c, `print_link_flags`).
const FLAGS: [(LinkFlags, &str); 16] = [
    (LinkFlags::Loopback, "LOOPBACK"),
    (LinkFlags::Broadcast, "BROADCAST"),
    (LinkFlags::Pointopoint, "POINTOPOINT"),
    (LinkFlags::Multicast, "MULTICAST"),
    (LinkFlags::Noarp, "NOARP"),
    (LinkFlags::Allmulti, "ALLMULTI"),
    (LinkFlags::Promisc, "PROMISC"),
    (LinkFlags::Controller, "MASTER"),
    (LinkFlags::Port, "SLAVE"),
    (LinkFlags::Debug, "DEBUG"),
    (LinkFlags::Dynamic, "DYNAMIC"),
    (LinkFlags::Automedia, "AUTOMEDIA"),
    (LinkFlags::Portsel, "PORTSEL"),
    (LinkFlags::Notrailers, "NOTRAILERS"),
    (LinkFlags::Up, "UP"),
    (LinkFlags::LowerUp, "LOWER_UP"),
];

fn decode(message: &LinkMessage) -> LinkInfo {
    let mut info = LinkInfo {
        index: message.header.index,
        name: String::new(),
        flags: Vec::new(),
        mtu: 0,
        state: "UNKNOWN",
        qdisc: String::new(),
        master: None,
        mac: String::new(),
        broadcast: String::new(),
        layer: match message.header.link_layer_type {
            LinkLayerType::Ether => "ether".into(),
            LinkLayerType::Loopback => "loopback".into(),
            LinkLayerType::None => "none".into(),
            other => format!("{other:?}").to_lowercase(),
        },
        kind: String::new(),
        peer_index: None,
        netnsid: None,
        txqlen: 0,
        group: 0,
        alias: None,
    };
    let flags = message.header.flags;
    if flags.contains(LinkFlags::Up) && !flags.contains(LinkFlags::Running) {
        info.flags.push("NO-CARRIER");
    }
    info.flags.extend(FLAGS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name));
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => info.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => info.mtu = *mtu,
            LinkAttribute::OperState(state) => info.state = state_name(*state),
            LinkAttribute::Qdisc(qdisc) => info.qdisc.clone_from(qdisc),
            LinkAttribute::Controller(index) => info.master = Some(*index),
            LinkAttribute::Address(bytes) => info.mac = hex(bytes),
            LinkAttribute::Broadcast(bytes) => info.broadcast = hex(bytes),
            LinkAttribute::Link(index) => info.peer_index = Some(*index),
            LinkAttribute::LinkNetNsId(id) => info.netnsid = Some(*id),
            LinkAttribute::TxQueueLen(length) => info.txqlen = *length,
            LinkAttribute::Group(group) => info.group = *group,
            LinkAttribute::IfAlias(alias) => info.alias = Some(alias.clone()),
            LinkAttribute::LinkInfo(kinds) => {
                for kind in kinds {
                    if let KernelInfo::Kind(kind) = kind {
                        info.kind = kind.to_string();
                    }
                }
            }
            _ => {}
        }
    }
    info
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Up => "UP",
        State::Down => "DOWN",
        State::NotPresent => "NOTPRESENT",
        State::LowerLayerDown => "LOWERLAYERDOWN",
        State::Testing => "TESTING",
        State::Dormant => "DORMANT",
        _ => "UNKNOWN",
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{}{byte:02x}", if text.is_empty() { "" } else { ":" });
    }
    text
}

/// Which link is meant.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a IfName),
    Index(u32),
}

impl Which<'_> {
    fn message(self) -> LinkMessageBuilder<LinkUnspec> {
        match self {
            Which::Name(name) => LinkUnspec::new_with_name(name.as_str()),
            Which::Index(index) => LinkUnspec::new_with_index(index),
        }
    }
}

/// Asks for links without their counters, which are half of the answer and nobody looks at.
fn get(mut message: LinkMessage) -> RouteNetlinkMessage {
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RouteNetlinkMessage::GetLink(message)
}

/// A change to an existing link.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    Up,
    Down,
    Mtu(u32),
    Master(Option<u32>),
    Name(&'a IfName),
}

/// What modules for tunnels put into every namespace once they are loaded (`net.core.fb_tunnels_only_for_init_net`).
const FALLBACK: [&str; 10] =
    ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6gre0", "ip6_vti0", "ip6erspan0"];

impl Net {
    /// All links.
    ///
    /// # Errors
    /// The kernel's.
    pub fn links(&self) -> Result<Vec<LinkInfo>> {
        let replies = self.request(get(LinkMessage::default()), Ask::Dump, || "list links".into())?;
        Ok(replies.iter().filter_map(link_of).collect())
    }

    /// One link.
    pub(crate) fn link(&self, which: Which<'_>) -> Result<LinkInfo> {
        let op = || match which {
            Which::Name(name) => format!("look at link `{name}`"),
            Which::Index(index) => format!("look at link {index}"),
        };
        self.find_link(which)?.ok_or_else(|| self.no_link(Error::sys(op(), Errno::ENODEV).within(self.label())))
    }

    /// One link, or none.
    pub(crate) fn find_link(&self, which: Which<'_>) -> Result<Option<LinkInfo>> {
        Ok(self.look(which)?.as_ref().and_then(link_of))
    }

    fn look<R: NetlinkDeserializable + Debug>(&self, which: Which<'_>) -> Result<Option<R>> {
        match self.ask(get(which.message().build()), Ask::Get)? {
            Ok(replies) => Ok(replies.into_iter().next()),
            Err(refusal) if refusal.errno == Errno::ENODEV => Ok(None),
            Err(refusal) => Err(refusal.into_error("look at a link").within(self.label())),
        }
    }

    /// The index of a link.
    pub(crate) fn link_index(&self, name: &IfName) -> Result<u32> {
        match self.look::<Glance>(Which::Name(name))? {
            Some(link) => Ok(link.index),
            None => self.link(Which::Name(name)).map(|link| link.index), // its error says which links there are
        }
    }

    /// Adds which links there are to the error about one that is not.
    fn no_link(&self, error: Error) -> Error {
        match self.links() {
            Ok(links) if !links.is_empty() => {
                let links: Vec<_> = links.iter().filter(|link| !FALLBACK.contains(&link.name.as_str())).collect();
                let names: Vec<_> = links.iter().take(8).map(|l| crate::name::printable(&l.name)).collect();
                let more = if links.len() > 8 { ", …" } else { "" };
                error.hint(format!("the links there are: {}{more}", names.join(", ")))
            }
            _ => error,
        }
    }

    /// Creates a pair of connected links, the second in `peer_net`.
    ///
    /// Like `ip link add name A netns … type veth peer name B netns …`: one message places both ends, so that
    /// nothing has to be moved, which would cost the kernel 17–40 ms an end.
    /// Returns the indices of both ends, where the kernel tells (Linux 6.3).
    pub(crate) fn add_veth(&self, name: &IfName, peer_net: &Net, peer_name: &IfName) -> Result<[Option<u32>; 2]> {
        let mut peer = LinkUnspec::new_with_name(peer_name.as_str());
        if !self.handle().is(peer_net.handle()) {
            peer = peer.setns_by_fd(peer_net.handle().as_fd().as_raw_fd());
        }
        let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(name.as_str())
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())))
            .build();
        let op = || format!("create veth `{name}` with peer `{peer_name}`");
        let made = self.create(message, op).map_err(|error| {
            if error.errno != Some(Errno::EEXIST) {
                return error;
            }
            // The kernel does not say which of the two names is taken.
            let at = |net: &Net, name| net.find_link(Which::Name(name)).is_ok_and(|link| link.is_some());
            let (taken, net) = if at(self, name) { (name, self) } else { (peer_name, peer_net) };
            error.hint(format!("{} has a link `{taken}` already: choose another name, or `delete` it", net.label()))
        })?;
        Ok([made.map(|link| link.index), made.and_then(|link| link.peer_index)])
    }

    /// Creates a bridge. Like `ip link add name NAME type bridge`; it starts DOWN. Returns its index, as `add_veth`.
    pub(crate) fn add_bridge(&self, name: &IfName) -> Result<Option<u32>> {
        // Not `LinkBridge::new`: that one also sets the link up.
        let message = LinkMessageBuilder::<LinkBridge>::new(name.as_str()).build();
        Ok(self.create(message, || format!("create bridge `{name}`"))?.map(|link| link.index))
    }

    fn create(&self, message: LinkMessage, op: impl Fn() -> String) -> Result<Option<Glance>> {
        let made = self.ask(RouteNetlinkMessage::NewLink(message), Ask::CreateAndGet)?;
        made.map(|replies| replies.into_iter().next()).map_err(|refusal| {
            let error = refusal.into_error(op()).within(self.label());
            match error.errno {
                Some(Errno::EEXIST) => {
                    error.hint("a link of that name is there already: choose another name, or `delete` it")
                }
                Some(Errno::EOPNOTSUPP) => error.hint("`nslab doctor` lists the kinds of link that this kernel has"),
                _ => error,
            }
        })
    }

    /// Changes a link. Like `ip link set dev NAME …`.
    pub(crate) fn change_link(&self, which: Which<'_>, change: Change<'_>, op: impl Fn() -> String) -> Result<()> {
        let message = match (which, change) {
            (_, Change::Up) => which.message().up(),
            (_, Change::Down) => which.message().down(),
            (_, Change::Mtu(mtu)) => which.message().mtu(mtu),
            (_, Change::Master(index)) => which.message().controller(index.unwrap_or(0)),
            (_, Change::Name(name)) => which.message().name(name.as_str()),
        };
        self.set_link(message.build(), op)
    }

    /// Moves a link into the namespace `target`. Like `ip link set dev NAME netns TARGET`.
    pub(crate) fn move_link(&self, name: &IfName, target: &Net) -> Result<()> {
        let message = Which::Name(name).message().setns_by_fd(target.handle().as_fd().as_raw_fd()).build();
        self.set_link(message, || format!("move link `{name}` to {}", target.label())).map_err(|error| {
            match error.errno {
                Some(Errno::EINVAL | Errno::EOPNOTSUPP) if name.as_str() == "lo" => error
                    .hint("each namespace has its own loopback device, which stays where it is (netdevice.h, `netns_immutable`)"),
                Some(Errno::EEXIST) => error.hint(format!("{} has a link `{name}` already", target.label())),
                _ => error,
            }
        })
    }

    /// Moves a link into the network namespace of a process. Like `ip link set dev NAME netns PID`.
    pub(crate) fn move_link_to_pid(&self, name: &IfName, pid: u32) -> Result<()> {
        let message = Which::Name(name).message().setns_by_pid(pid).build();
        self.set_link(message, || format!("move link `{name}` to the namespace of process {pid}")).map_err(|error| {
            match error.errno {
                Some(Errno::ESRCH) => error.hint("no such process in the lab"),
                _ => error,
            }
        })
    }

    fn set_link(&self, message: LinkMessage, op: impl Fn() -> String) -> Result<()> {
        self.request(RouteNetlinkMessage::SetLink(message), Ask::Do, op).map(drop).map_err(|error| match error.errno {
            Some(Errno::ENODEV) => self.no_link(error),
            _ => error,
        })
    }

    /// Deletes a link; its peer goes with it. Like `ip link del dev NAME`.
    pub(crate) fn delete_link(&self, name: &IfName) -> Result<()> {
        let message = Which::Name(name).message().build();
        self.request(RouteNetlinkMessage::DelLink(message), Ask::Do, || format!("delete link `{name}`"))
            .map(drop)
            .map_err(|error| match error.errno {
                Some(Errno::ENODEV) => self.no_link(error),
                Some(Errno::EOPNOTSUPP) if name.as_str() == "lo" => {
                    error.hint("every namespace keeps its loopback device")
                }
                _ => error,
            })
    }

    /// Waits until a link that is up can carry packets, or shows in its state that it has no carrier.
    ///
    /// After "up" the kernel tells the queueing layer later, from a work queue (`net/core/link_watch.c`); a packet
    /// sent before is dropped, and ARP asks again only after a second. Recent kernels run that work when the link
    /// is looked at *by index*; on older ones we look until it is done. Returns whether there is another end that
    /// carries now as well.
    pub(crate) fn wait_usable(&self, index: u32) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut pause = Duration::from_micros(50);
        loop {
            let Some(link) = self.look::<Glance>(Which::Index(index))? else { return Ok(false) };
            if link.is_settled() {
                return Ok(link.has_carrier() && link.peer_index.is_some());
            }
            if Instant::now() > deadline {
                return Err(Error::plain(Kind::Timeout, format!("wait for link {index} to be usable"))
                    .within(self.label())
                    .detail(format!("its state is {}", state_name(link.state()))));
            }
            self.exec().sleep(pause)?;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// As [`Net::id_of`], where an error is as good as no number.
    #[must_use]
    pub fn knows(&self, other: &Self) -> Option<i32> {
        self.id_of(other).ok().flatten()
    }

    /// The number under which this namespace knows `other`, if it has one. Like `ip netns list-id`.
    pub(crate) fn id_of(&self, other: &Net) -> Result<Option<i32>> {
        use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Fd(u32::try_from(other.handle().as_fd().as_raw_fd()).unwrap_or(0)));
        let op = || format!("ask for the id of {}", other.label());
        let replies = self.request(RouteNetlinkMessage::GetNsId(message), Ask::Get, op)?;
        let answer = replies.iter().find_map(|reply| match reply {
            RouteNetlinkMessage::NewNsId(message) => message.attributes.iter().find_map(|a| match a {
                NsidAttribute::Id(id) => Some(*id),
                _ => None,
            }),
            _ => None,
        });
        answer.map(|id| (id >= 0).then_some(id)).ok_or_else(|| no_answer(op()))
    }
}

fn link_of(reply: &RouteNetlinkMessage) -> Option<LinkInfo> {
    match reply {
        RouteNetlinkMessage::NewLink(message) => Some(decode(message)),
        _ => None,
    }
}
