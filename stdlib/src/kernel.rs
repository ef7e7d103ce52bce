//! What this kernel can do, found out by trying it in a throw-away namespace.

use std::fs;
use std::path::Path;

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
    /// Whether the kernel has it; none if it is not loaded, and loading it would change the machine.
    pub there: Option<bool>,
    /// The kernel option that brings it.
    pub option: &'static str,
}

/// Kind, kernel option, and the module if loading it puts devices where nobody asked for them: `bond0`, `dummy0` and
/// `ifb0` on the machine, `gre0` into every namespace.
const LINKS: [(&str, &str, Option<&str>); 13] = [
    ("veth", "VETH", None),
    ("bridge", "BRIDGE", None),
    ("macvlan", "MACVLAN", None),
    ("ipvlan", "IPVLAN", None),
    ("vlan", "VLAN_8021Q", None),
    ("vxlan", "VXLAN", None),
    ("geneve", "GENEVE", None),
    ("dummy", "DUMMY", Some("dummy")),
    ("ifb", "IFB", Some("ifb")),
    ("bond", "BONDING", Some("bonding")),
    ("vrf", "NET_VRF", None),
    ("wireguard", "WIREGUARD", None),
    ("gre", "NET_IPGRE", Some("ip_gre")),
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
            there: Some(Path::new("/proc/self/ns").join(kind.file()).exists()),
            option: "NAMESPACES",
        })
        .collect();
    for (name, option, module) in LINKS {
        let there = if module.is_none_or(is_loaded) { Some(has_link(&net, name)?) } else { None };
        features.push(Feature { sort: "link", name, there, option });
    }
    for (name, option) in QDISCS {
        features.push(Feature { sort: "qdisc", name, there: Some(has_qdisc(&net, name)?), option });
    }
    let filter = net.firewall().is_ok();
    features.push(Feature { sort: "filter", name: "nf_tables", there: Some(filter), option: "NF_TABLES" });
    let tun = fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok();
    features.push(Feature { sort: "device", name: "tun", there: Some(tun), option: "TUN" });
    drop(net);
    trial.close();
    Ok(features)
}

/// Whether a module is a part of the kernel or loaded, so that trying it loads nothing.
fn is_loaded(module: &str) -> bool {
    let Ok(loaded) = fs::read_to_string("/proc/modules") else { return true }; // a kernel without modules
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let built_in = fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim())).unwrap_or_default();
    loaded.lines().any(|line| line.split(' ').next() == Some(module))
        || Path::new("/sys/module").join(module).exists()
        || built_in.lines().any(|line| line.ends_with(&format!("/{module}.ko")))
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
