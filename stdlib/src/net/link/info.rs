//! What the kernel reports about a link, decoded.

use std::fmt::Write;

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo as KernelInfo, LinkLayerType, LinkMessage, State};

use super::kinds;

/// What the kernel reports about a link.
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
    /// Index of the master: the bridge that it is a port of.
    pub master: Option<u32>,
    /// Hardware address.
    pub mac: String,
    /// Hardware broadcast address.
    pub broadcast: String,
    /// `ether`, `loopback` …
    pub layer: String,
    /// `veth`, `bridge` …; empty for `lo`.
    pub kind: String,
    /// Index of the other end of a veth pair, in the namespace of that end.
    pub peer_index: Option<u32>,
    /// Index of the link below a macvlan, a VLAN …, in the namespace of that link; 0 if there is none any more.
    pub lower_index: Option<u32>,
    /// The id by which this namespace knows the namespace of the peer, or of the link below.
    pub netnsid: Option<i32>,
    /// Length of the transmit queue, packets.
    pub txqlen: u32,
    /// Group, 0 is `default`.
    pub group: u32,
    /// A free text attached to it (`ip link set alias`).
    pub alias: Option<String>,
}

impl LinkInfo {
    /// Whether it was set up (`ip link set up`).
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags.contains(&"UP")
    }

    /// Whether it has exactly one other end.
    #[must_use]
    pub fn is_point_to_point(&self) -> bool {
        self.flags.contains(&"POINTOPOINT")
    }

    /// Whether it has carrier: the other end is up too.
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

pub(super) fn decode(message: &LinkMessage) -> LinkInfo {
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
        lower_index: None,
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
    let mut other = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => info.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => info.mtu = *mtu,
            LinkAttribute::OperState(state) => info.state = state_name(*state),
            LinkAttribute::Qdisc(qdisc) => info.qdisc.clone_from(qdisc),
            LinkAttribute::Controller(index) => info.master = Some(*index),
            LinkAttribute::Address(bytes) => info.mac = hex(bytes),
            LinkAttribute::Broadcast(bytes) => info.broadcast = hex(bytes),
            LinkAttribute::Link(index) => other = Some(*index),
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
    if kinds::has_peer(&info.kind) {
        info.peer_index = other;
    } else {
        info.lower_index = other;
    }
    info
}

pub(super) fn state_name(state: State) -> &'static str {
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
