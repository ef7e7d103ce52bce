//! Two nodes, as in the walkthrough: the host, one namespace, a cable between them.

use std::{io, net::Ipv4Addr, os::fd::AsFd, path::Path};

use super::{
    Run, Watch,
    icmp::Pinger,
    netlink::Netlink,
    node::{Node, unbind},
    requests::{End, LO, add_address, add_veth, set_up},
};

const VETH0: End<'_> = End { name: "veth0", index: 1000 };
const VETH1: End<'_> = End { name: "veth1", index: 10 };
const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 2);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);

/// Two nodes, where the host is the network namespace of the calling thread and the other one is new. With `named`, it
/// also gets the name `netns1` in that directory. In this order:
///
/// 1. on the host: open a netlink socket and a raw ICMP socket;
/// 2. a namespace; with a name, also an empty file and a bind mount of the namespace on it;
/// 3. a cable from `veth0` (on the host, up) to `veth1` (in the namespace), in one message;
/// 4. address 10.1.1.2/24 on `veth0`; address 10.1.1.1/24 on `veth1`; `lo` in the namespace up; `veth1` up; wait until
///    `veth0` runs;
/// 5. probe: the host pings 10.1.1.1, then the namespace pings 10.1.1.2;
/// 6. delete: with a name, unmount and unlink; every descriptor is closed. The cable goes with the namespace, both ends.
///
/// The kernel removes the cable a little after the last descriptor is closed. The run waits for that, outside of the
/// measured time, so that the next run starts from the same state. `ip link del veth0` before step 6 takes about 18 ms.
pub(crate) fn two_nodes(named: Option<&Path>) -> io::Result<Run> {
    let name = named.map(|directory| directory.join("netns1"));
    let mut watch = Watch::start();
    let (mut host, mut host_pinger) = (Netlink::open()?, Pinger::open()?);
    let mut node = Node::new(&[])?;
    if let Some(file) = &name {
        node.bind(file)?;
    }
    host.acknowledged(add_veth(VETH0, None, VETH1, node.as_fd()))?;
    host.acknowledged(add_address(VETH0.index, HOST, 24))?;
    node.netlink.acknowledged(add_address(VETH1.index, NODE, 24))?;
    node.netlink.acknowledged(set_up(LO))?;
    node.netlink.acknowledged(set_up(VETH1.index))?;
    host.wait_running(VETH0.index)?;
    let build = watch.lap();

    let received = u32::from(host_pinger.ping(NODE)?) + u32::from(node.pinger.ping(HOST)?);
    let probe = watch.lap();

    if let Some(file) = &name {
        unbind(file)?;
    }
    drop((node, host_pinger));
    let delete = watch.lap();

    host.wait_gone(VETH0.index)?;
    Ok(Run { build, probe, delete, sent: 2, received })
}
