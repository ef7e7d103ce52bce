//! What this kernel has: each feature is tried in a namespace made for that.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoBridge, InfoData, InfoKind};
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
    /// What it is: `link`, `bridge`, `qdisc`, `classifier`, `namespace`, `filter`, `device`.
    pub kind: &'static str,
    /// Its name, as `//! needs:` lines in scripts and the `needs` of functions use it.
    pub name: &'static str,
    /// The kernel option that it comes with, without `CONFIG_`.
    pub config: &'static str,
    /// Its module, if loading it adds devices outside of the namespace: `bond0`, `dummy0` and `ifb0` on the machine,
    /// `gre0` in every namespace.
    adds_devices: Option<&'static str>,
}

/// Whether the kernel has a feature, as far as it can be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// Its module is not loaded; loading it would add devices outside of the lab.
    NotTried,
    /// The kernel may have it, but it cannot be used here, for this reason.
    Unusable(String),
}

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

/// Classifiers of packets, which `tc filter` uses.
const CLASSIFIERS: [(&str, &str); 5] = [
    ("u32", "NET_CLS_U32"),
    ("flower", "NET_CLS_FLOWER"),
    ("matchall", "NET_CLS_MATCHALL"),
    ("basic", "NET_CLS_BASIC"),
    ("bpf", "NET_CLS_BPF"),
];

/// The interface index of `lo`, on which queueing disciplines and classifiers are tried.
const LO: i32 = 1;

/// Every feature, in the order in which `doctor` lists them.
pub fn features() -> impl Iterator<Item = Feature> {
    let feature = |kind, name, config, adds_devices| Feature { kind, name, config, adds_devices };
    let namespaces = NsKind::ALL.iter().map(move |kind| feature("namespace", kind.file(), "NAMESPACES", None));
    let links = kinds::ALL.iter().map(move |kind| feature("link", kind.name, kind.config, kind.adds_devices));
    let others = OTHER_LINKS.iter().map(move |(name, config, module)| feature("link", name, config, *module));
    let qdiscs = QDISCS.iter().map(move |(name, config)| feature("qdisc", name, config, None));
    let classifiers = CLASSIFIERS.iter().map(move |(name, config)| feature("classifier", name, config, None));
    let vlans = feature("bridge", "vlan_filtering", "BRIDGE_VLAN_FILTERING", None);
    let rest = [feature("filter", "nf_tables", "NF_TABLES", None), feature("device", "tun", "TUN", None)];
    namespaces.chain(links).chain(others).chain([vlans]).chain(qdiscs).chain(classifiers).chain(rest)
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
pub fn probe(lab: &Arc<Lab>) -> Result<Vec<(Feature, Answer)>> {
    let guard = lab.guard();
    let trial = guard.create_netns(None)?;
    let permit = guard.in_own(&trial)?;
    let net = trial.net()?;
    let mut answers = Vec::new();
    for feature in features() {
        let has = match feature.adds_devices {
            Some(module) if !is_loaded(module) => Answer::NotTried,
            _ => has(&net, &permit, &feature)?,
        };
        answers.push((feature, has));
    }
    drop(net);
    trial.close();
    Ok(answers)
}

fn has(net: &Net, permit: &Permitted, feature: &Feature) -> Result<Answer> {
    let yes_or_no = |has: bool| if has { Answer::Yes } else { Answer::No };
    match feature.kind {
        "namespace" => Ok(yes_or_no(Path::new("/proc/self/ns").join(feature.name).exists())),
        "link" => net.has_link_kind(permit, feature.name).map(yes_or_no),
        "bridge" => {
            // Without the option the kernel refuses to switch it on (net/bridge/br_private.h, `br_vlan_filter_toggle`).
            let data = InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)]);
            Ok(answer_of(net.try_link(permit, InfoKind::Bridge, Some(data))?, Errno::EOPNOTSUPP))
        }
        "qdisc" => has_qdisc(net, permit, feature.name),
        "classifier" => has_classifier(net, permit, feature.name),
        "filter" => match net.firewall() {
            Ok(_) => Ok(Answer::Yes),
            Err(error) => Ok(answer_of(error.errno, Errno::EPROTONOSUPPORT)),
        },
        _ => {
            let opened = fs::File::options().read(true).write(true).open("/dev/net/tun");
            let errno = opened.err().map(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)));
            Ok(tun(errno, &fs::read_to_string("/proc/misc").unwrap_or_default()))
        }
    }
}

/// The answer to a trial: `missing` is the error of a kernel that lacks the feature; what lacks only a permission or
/// an argument is there.
fn answer_of(errno: Option<Errno>, missing: Errno) -> Answer {
    match errno {
        Some(errno) if errno == missing => Answer::No,
        Some(errno @ (Errno::EPERM | Errno::EACCES)) => Answer::Unusable(format!("the kernel refuses it: {errno}")),
        _ => Answer::Yes,
    }
}

/// The answer to opening `/dev/net/tun`. `misc` is `/proc/misc`, where its driver registers.
fn tun(errno: Option<Errno>, misc: &str) -> Answer {
    let is_registered = || misc.lines().any(|line| line.split_whitespace().nth(1) == Some("tun"));
    match errno {
        None => Answer::Yes,
        Some(Errno::EPERM | Errno::EACCES) => {
            Answer::Unusable("this user may not open /dev/net/tun: the permission is missing, not the driver".into())
        }
        Some(Errno::ENOENT) if is_registered() => Answer::Unusable(
            "the kernel has the driver, but there is no /dev/net/tun: `mknod /dev/net/tun c 10 200`".into(),
        ),
        // ENODEV and ENXIO are those of a device file without a driver.
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Answer::No,
        Some(errno) => Answer::Unusable(format!("/dev/net/tun cannot be opened: {}", errno.desc())),
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

/// Asks for a queueing discipline on `lo`, and deletes it; an unknown one is ENOENT (`qdisc_create` in
/// `net/sched/sch_api.c`), but only while there is no other.
fn has_qdisc(net: &Net, permit: &Permitted, kind: &str) -> Result<Answer> {
    let added = add_qdisc(net, permit, TcHandle::ROOT, kind)?;
    delete_qdisc(net, permit, TcHandle::ROOT)?;
    Ok(answer_of(added, Errno::ENOENT))
}

/// Asks for a classifier on `lo`; an unknown one is ENOENT (`tcf_proto_lookup_ops` in `net/sched/cls_api.c`), others
/// require arguments or are added.
fn has_classifier(net: &Net, permit: &Permitted, kind: &str) -> Result<Answer> {
    // `clsact` has no classes and takes filters for what comes in (include/uapi/linux/pkt_sched.h).
    let (clsact, ingress) = (TcHandle::from(0xffff_fff1), TcHandle::from(0xffff_fff2));
    if let Some(errno) = add_qdisc(net, permit, clsact, "clsact")? {
        return Ok(Answer::Unusable(format!(
            "not tried, there is no qdisc `clsact` (CONFIG_NET_SCH_INGRESS): {errno}"
        )));
    }
    let mut message = TcMessage::with_index(LO);
    message.header.parent = ingress;
    // The priority, and every protocol in network byte order.
    message.header.info = 1 << 16 | u32::from(u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be());
    message.attributes.push(TcAttribute::Kind(kind.into()));
    let message = RouteNetlinkMessage::NewTrafficFilter(message);
    let added = net.try_change::<RouteNetlinkMessage>(permit, message, Write::Create)?;
    delete_qdisc(net, permit, clsact)?;
    Ok(answer_of(added.err().map(|refusal| refusal.errno), Errno::ENOENT))
}

/// Adds a queueing discipline to `lo`. Returns the error number of a refusal.
fn add_qdisc(net: &Net, permit: &Permitted, parent: TcHandle, kind: &str) -> Result<Option<Errno>> {
    let mut message = TcMessage::with_index(LO);
    message.header.parent = parent;
    message.attributes.push(TcAttribute::Kind(kind.into()));
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    let added = net.try_change::<RouteNetlinkMessage>(permit, message, Write::Create)?;
    Ok(added.err().map(|refusal| refusal.errno))
}

/// Deletes the queueing discipline of `lo`, if there is one.
fn delete_qdisc(net: &Net, permit: &Permitted, parent: TcHandle) -> Result<()> {
    let mut message = TcMessage::with_index(LO);
    message.header.parent = parent;
    let message = RouteNetlinkMessage::DelQueueDiscipline(message);
    net.try_change::<RouteNetlinkMessage>(permit, message, Write::Do).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_not_a_missing_driver() {
        assert_eq!(tun(None, ""), Answer::Yes);
        for errno in [Errno::EACCES, Errno::EPERM] {
            assert!(matches!(tun(Some(errno), ""), Answer::Unusable(why) if why.contains("permission")));
        }
        assert!(
            matches!(tun(Some(Errno::ENOENT), "200 tun\n 63 psaux\n"), Answer::Unusable(why) if why.contains("mknod"))
        );
        for errno in [Errno::ENOENT, Errno::ENODEV, Errno::ENXIO] {
            assert_eq!(tun(Some(errno), " 63 psaux\n"), Answer::No);
        }
        assert!(matches!(tun(Some(Errno::EMFILE), ""), Answer::Unusable(_)));
    }
}
