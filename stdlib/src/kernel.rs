//! What this kernel has: each feature is tried in a namespace made for that.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::errno::Errno;

use crate::error::Result;
use crate::exec::handle::NsKind;
use crate::lab::Lab;
use crate::lab::host::Permitted;
use crate::net::Net;
use crate::net::connection::Write;
use crate::net::link::kinds;

/// Something that a kernel has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is: `link`, `qdisc`, `namespace`, `filter`, `device`.
    pub kind: &'static str,
    /// Its name, as `//! needs:` lines in scripts and the `needs` of functions use it.
    pub name: &'static str,
    /// The kernel option that it comes with, without `CONFIG_`.
    pub config: &'static str,
    /// Its module, if loading it adds devices outside of the namespace: `bond0`, `dummy0` and `ifb0` on the machine,
    /// `gre0` in every namespace.
    adds_devices: Option<&'static str>,
}

/// A feature, and whether the kernel has it; none if it is not loaded and was not tried.
pub type Answer = (Feature, Option<bool>);

/// Kinds of link that have no function yet: name, kernel option, module that adds devices.
const OTHER_LINKS: [(&str, &str, Option<&str>); 9] = [
    ("ipvlan", "IPVLAN", None),
    ("vlan", "VLAN_8021Q", None),
    ("vxlan", "VXLAN", None),
    ("geneve", "GENEVE", None),
    ("dummy", "DUMMY", Some("dummy")),
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

/// Every feature, in the order in which `doctor` lists them.
pub fn features() -> impl Iterator<Item = Feature> {
    let feature = |kind, name, config, adds_devices| Feature { kind, name, config, adds_devices };
    let namespaces = NsKind::ALL.iter().map(move |kind| feature("namespace", kind.file(), "NAMESPACES", None));
    let links = kinds::ALL.iter().map(move |kind| feature("link", kind.name, kind.config, kind.adds_devices));
    let others = OTHER_LINKS.iter().map(move |(name, config, module)| feature("link", name, config, *module));
    let qdiscs = QDISCS.iter().map(move |(name, config)| feature("qdisc", name, config, None));
    let rest = [feature("filter", "nf_tables", "NF_TABLES", None), feature("device", "tun", "TUN", None)];
    namespaces.chain(links).chain(others).chain(qdiscs).chain(rest)
}

/// The feature called `name`.
#[must_use]
pub fn feature(name: &str) -> Option<Feature> {
    features().find(|feature| feature.name == name)
}

/// Tries every feature.
///
/// # Errors
/// When no namespace can be made to try it in.
pub fn probe(lab: &Arc<Lab>) -> Result<Vec<Answer>> {
    let guard = lab.guard();
    let trial = guard.create_netns(None)?;
    let permit = guard.in_own(&trial)?;
    let net = trial.net()?;
    let mut answers = Vec::new();
    for feature in features() {
        let has = match feature.adds_devices {
            Some(module) if !is_loaded(module) => None,
            _ => Some(has(&net, &permit, &feature)?),
        };
        answers.push((feature, has));
    }
    drop(net);
    trial.close();
    Ok(answers)
}

fn has(net: &Net, permit: &Permitted, feature: &Feature) -> Result<bool> {
    match feature.kind {
        "namespace" => Ok(Path::new("/proc/self/ns").join(feature.name).exists()),
        "link" => net.has_link_kind(permit, feature.name),
        "qdisc" => has_qdisc(net, permit, feature.name),
        "filter" => Ok(net.firewall().is_ok()),
        _ => Ok(fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok()),
    }
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

/// Asks for a queueing discipline on `lo`; an unknown one is ENOENT (`qdisc_create` in `net/sched/sch_api.c`).
fn has_qdisc(net: &Net, permit: &Permitted, kind: &str) -> Result<bool> {
    let mut message = TcMessage::with_index(1);
    message.header.parent = TcHandle::ROOT;
    message.attributes.push(TcAttribute::Kind(kind.into()));
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    let answer = net.try_change::<RouteNetlinkMessage>(permit, message, Write::Create)?;
    Ok(!matches!(answer, Err(refusal) if refusal.errno == Errno::ENOENT))
}
