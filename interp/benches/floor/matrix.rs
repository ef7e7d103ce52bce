//! The matrix: nodes on one bridge, each of which pings all others.

use std::io;

use super::{
    Run, Watch,
    switch::{Switch, address},
};

/// All ordered pairs of `n` nodes, cold: no neighbour table has an entry. In this order:
///
/// 1. to 5. build: as the workload `star`;
/// 6. probe: node 0 pings node 1, 2, …, n − 1, then node 1 pings node 0, 2, …, each echo awaited before the next:
///    n (n − 1) in all;
/// 7. delete: every descriptor is closed. The links go with the namespaces.
///
/// The kernel keeps 1,024 neighbours for all namespaces together, so 32 nodes (992 pairs) are the most that return
/// every echo, and only while no other namespace uses many.
pub(crate) fn matrix(n: u32) -> io::Result<Run> {
    let mut watch = Watch::start();
    let mut lab = Switch::build(n)?;
    let build = watch.lap();

    let (mut sent, mut received) = (0, 0);
    for (from, node) in (0..).zip(&mut lab.nodes) {
        for to in (0..n).filter(|to| *to != from) {
            sent += 1;
            received += u32::from(node.pinger.ping(address(to))?);
        }
    }
    let probe = watch.lap();

    drop(lab);
    Ok(Run { build, probe, delete: watch.lap(), sent, received })
}
