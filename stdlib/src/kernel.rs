//! What this kernel can do, found out by trying it in a throw-away namespace.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::InfoKind;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::errno::Errno;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::error::Result;
use crate::exec::handle::NsKind;
use crate::lab::Lab;
use crate::net::Net;
use crate::net::connection::Ask;

/// Something that a kernel has or lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is: `link`, `qdisc`, `namespace`, `filter`, `device`.
    pub sort: &'static str,
    /// Its name, as `//! needs:` lines in scripts use it.
    pub name: &'static str,
    /// Whether the kernel has it.
    pub there: bool,
    /// The kernel option that brings it.
    pub option: &'static str,
}

const LINKS: [(&str, &str); 13] = [
    ("veth", "VETH"),
    ("bridge", "BRIDGE"),
    ("macvlan", "MACVLAN"),
    ("ipvlan", "IPVLAN"),
    ("vlan", "VLAN_8021Q"),
    ("vxlan", "VXLAN"),
    ("geneve", "GENEVE"),
    ("dummy", "DUMMY"),
    ("ifb", "IFB"),
    ("bond", "BONDING"),
    ("vrf", "NET_VRF"),
    ("wireguard", "WIREGUARD"),
    ("gre", "NET_IPGRE"),
];

const QDISCS: [(&str, &str); 6] = [
    ("netem", "NET_SCH_NETEM"),
    ("tbf", "NET_SCH_TBF"),
    ("htb", "NET_SCH_HTB"),
    ("fq_codel", "NET_SCH_FQ_CODEL"),
    ("prio", "NET_SCH_PRIO"),
    ("cake", "NET_SCH_CAKE"),
];

/// Tries everything.
///
/// # Errors
/// When no namespace can be made to try it in.
pub fn features(lab: &Lab) -> Result<Vec<Feature>> {
    let trial = lab.create_netns(None)?;
    let net = trial.net()?;
    let mut features: Vec<Feature> = NsKind::ALL
        .iter()
        .map(|kind| Feature {
            sort: "namespace",
            name: kind.file(),
            there: std::path::Path::new("/proc/self/ns").join(kind.file()).exists(),
            option: "NAMESPACES",
        })
        .collect();
    for (name, option) in LINKS {
        features.push(Feature { sort: "link", name, there: has_link(&net, name)?, option });
    }
    for (name, option) in QDISCS {
        features.push(Feature { sort: "qdisc", name, there: has_qdisc(&net, name)?, option });
    }
    features.push(Feature { sort: "filter", name: "nf_tables", there: net.firewall().is_ok(), option: "NF_TABLES" });
    let tun = std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok();
    features.push(Feature { sort: "device", name: "tun", there: tun, option: "TUN" });
    drop(net);
    trial.close();
    Ok(features)
}

/// Asks for a link of the kind, without what it would need: an unknown kind is refused before anything else
/// (`rtnl_newlink` in `net/core/rtnetlink.c`).
fn has_link(net: &Net, kind: &str) -> Result<bool> {
    let message =
        LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Other(kind.into())).name("probe0").build();
    let answer = net.try_request(RouteNetlinkMessage::NewLink(message), Ask::Create)?;
    if answer.is_ok() {
        let _ = net.delete_link(&crate::name::IfName::new("probe0")?);
    }
    Ok(!matches!(answer, Err(refusal) if refusal.errno == Errno::EOPNOTSUPP))
}

/// Asks for a queueing discipline on `lo`; an unknown one is ENOENT (`qdisc_create` in `net/sched/sch_api.c`).
fn has_qdisc(net: &Net, kind: &str) -> Result<bool> {
    let mut message = TcMessage::with_index(1);
    message.header.parent = TcHandle::ROOT;
    message.attributes.push(TcAttribute::Kind(kind.into()));
    let answer = net.try_request(RouteNetlinkMessage::NewQueueDiscipline(message), Ask::Create)?;
    Ok(!matches!(answer, Err(refusal) if refusal.errno == Errno::ENOENT))
}
