//! The star: nodes on one bridge, of which the first pings all others.

use std::io;

use super::{
    Run, Watch,
    switch::{Switch, address},
};

/// Node 0 pings this many others at most.
///
/// The kernel keeps 1,024 neighbours for all namespaces together, and each echo adds two: one at either end.
const PROBES: u32 = 500;

/// A star of `n` nodes, at most 1,023. In this order:
///
/// 1. the switch: a namespace; `lo` up; a bridge `br0`, up from the start;
/// 2. all nodes: a namespace each;
/// 3. for each node `i`: a cable from `port{i}` (in the switch, a port of `br0`, up) to `eth0` (in the node), in one
///    message;
/// 4. for each node `i`: address 10.0.0.0 + (i + 1), prefix 16, on `eth0`; `lo` up; `eth0` up;
/// 5. for each node: wait until its port runs;
/// 6. probe: node 0 pings node 1, 2, …, n − 1, each echo awaited before the next; in a star of more than 501 it stops at
///    node 500;
/// 7. delete: every descriptor is closed. The links go with the namespaces.
///
/// Steps 2 to 4 are three loops because one loop, node by node, takes half as long again in a star of 500.
pub(crate) fn star(n: u32) -> io::Result<Run> {
    let mut watch = Watch::start();
    let mut lab = Switch::build(n)?;
    let build = watch.lap();

    let (mut sent, mut received) = (0, 0);
    if let Some(hub) = lab.nodes.first_mut() {
        for i in 1..n.min(PROBES + 1) {
            sent += 1;
            received += u32::from(hub.pinger.ping(address(i))?);
        }
    }
    let probe = watch.lap();

    drop(lab);
    Ok(Run { build, probe, delete: watch.lap(), sent, received })
}
