//! Every namespace pings every other, in waves that the neighbour table has room for.

use std::sync::Arc;
use std::time::Duration;

use super::address::Addresses;
use super::{Lab, NetNs};
use crate::error::{Error, Result};
use crate::net::Net;
use crate::net::neigh::NeighbourTable;
use crate::net::probe::{Pair, PingAll, TABLE_FULL, ask};

/// How many entries of the neighbour table one request makes: that of the target, and at the target that of the node.
const ENTRIES: usize = 2;

impl Lab {
    /// Pings every namespace from every other, once.
    ///
    /// All namespaces of the machine share one neighbour table, and the kernel keeps each entry for at least 5 seconds
    /// (net/core/neighbour.c, `neigh_forced_gc`). If it has no room for all pairs, some nodes ask after others, and the
    /// neighbours that are new after such a wave are deleted. On the machine itself they are not nslab's to delete.
    ///
    /// # Errors
    /// `Usage` if a namespace has no address, if no socket can be opened, or `Interrupted`.
    pub fn ping_all(self: &Arc<Self>, nodes: &[NetNs], timeout: Duration) -> Result<PingAll> {
        let nets = nodes.iter().map(NetNs::net).collect::<Result<Vec<_>>>()?;
        let addresses = nodes.iter().map(addresses_of).collect::<Result<Vec<_>>>()?;
        let mut pairs = pairs(&addresses);
        let row = nodes.len().saturating_sub(1);
        let Some(net) = nets.first() else { return Ok(PingAll::default()) };
        let tables = Tables::read(net, &pairs)?;
        if pairs.len() <= tables.room() {
            tables.ask(&nets, &mut pairs, timeout)?;
        } else {
            let before = nets.iter().map(|net| net.neighbours(None)).collect::<Result<Vec<_>>>()?;
            // Half of the room, so that other pings on the machine have some.
            let rows = (tables.room() / 2 / (ENTRIES * row)).max(1);
            for wave in pairs.chunks_mut(rows * row) {
                tables.ask(&nets, wave, timeout)?;
                for ((ns, net), before) in nodes.iter().zip(&nets).zip(&before) {
                    if let Ok(permit) = self.guard().in_own(ns) {
                        net.forget_new(&permit, before)?;
                    }
                }
            }
        }
        Ok(PingAll::new(nodes.iter().map(NetNs::short).collect(), pairs))
    }
}

fn addresses_of(ns: &NetNs) -> Result<Addresses> {
    let addresses = ns.addresses()?;
    if addresses.first().is_none() {
        return Err(Error::usage(format!("{} has no address to ping", ns.label()))
            .hint("give it one: `up(link, \"10.0.0.1/24\")`"));
    }
    Ok(addresses)
}

/// Each node with each other, by rows: the targets of the first node first.
fn pairs(nodes: &[Addresses]) -> Vec<Pair> {
    let row = |(from, node): (usize, &Addresses)| {
        let others = nodes.iter().enumerate().filter(|(to, _)| *to != from);
        let pair = |(to, target): (usize, &Addresses)| match node.toward(target) {
            Ok(addr) => Pair { from, to, addr: Some(addr), rtt: None, error: None },
            Err(error) => Pair { from, to, addr: None, rtt: None, error: Some(error) },
        };
        others.map(pair).collect::<Vec<_>>()
    };
    nodes.iter().enumerate().flat_map(row).collect()
}

/// The neighbour tables of the two families.
struct Tables<'a> {
    net: &'a Net,
    tables: Vec<(bool, NeighbourTable)>,
}

impl<'a> Tables<'a> {
    /// The tables of the families that the pairs use.
    fn read(net: &'a Net, pairs: &[Pair]) -> Result<Self> {
        let is_used = |v6: &bool| pairs.iter().any(|pair| pair.is_of(*v6));
        let used = [false, true].into_iter().filter(is_used);
        let tables = used.map(|v6| Ok(net.neighbour_table(v6)?.map(|table| (v6, table))));
        Ok(Self { net, tables: tables.filter_map(Result::transpose).collect::<Result<_>>()? })
    }

    /// For how many entries each of them has room.
    fn room(&self) -> usize {
        self.tables.iter().map(|(_, table)| table.free()).min().unwrap_or(usize::MAX)
    }

    /// Asks, and says of the pairs without a reply that a table was full, if it was meanwhile.
    fn ask(&self, nets: &[Arc<Net>], pairs: &mut [Pair], timeout: Duration) -> Result<()> {
        ask(nets, pairs, timeout)?;
        for (v6, before) in &self.tables {
            let is_lost = |pair: &Pair| pair.rtt.is_none() && pair.is_of(*v6);
            if pairs.iter().any(is_lost)
                && self.net.neighbour_table(*v6)?.is_some_and(|now| now.refused > before.refused)
            {
                for pair in pairs.iter_mut().filter(|pair| is_lost(pair)) {
                    pair.error = pair.error.as_ref().map(|error| format!("{error}: {TABLE_FULL}"));
                }
            }
        }
        Ok(())
    }
}
