//! The matrix: every namespace pings every other, once.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::icmp::{Echo, Sent};
use crate::error::{Error, Kind, Result};
use crate::exec::readable;
use crate::net::Net;

/// A node of the matrix.
pub struct Node<'a> {
    /// Its name in the report.
    pub name: String,
    /// Its namespace.
    pub net: &'a Net,
    /// The address at which the others ping it.
    pub addr: IpAddr,
}

/// One node pings another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index of the node that asks.
    pub from: usize,
    /// Index of the node that is asked.
    pub to: usize,
    /// Round-trip time, if there was a reply.
    pub rtt: Option<Duration>,
    /// Why there was no reply.
    pub error: Option<String>,
}

/// The result of [`ping_all`]. Prints as Mininet's `pingall` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingAll {
    nodes: Vec<String>,
    pairs: Vec<Pair>,
}

impl PingAll {
    /// Whether every node reached every other.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.received() == self.sent()
    }

    /// Requests that were sent: one for each ordered pair of nodes.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.pairs.len()
    }

    /// Requests that were answered.
    #[must_use]
    pub fn received(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.rtt.is_some()).count()
    }

    /// The pairs without a reply, as `a -> b: why`.
    pub fn lost(&self) -> impl Iterator<Item = String> + '_ {
        let lost = self.pairs.iter().filter(|pair| pair.rtt.is_none());
        lost.map(|pair| {
            let why = pair.error.as_deref().unwrap_or("no reply");
            format!("{} -> {}: {why}", self.nodes[pair.from], self.nodes[pair.to])
        })
    }
}

impl fmt::Display for PingAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, node) in self.nodes.iter().enumerate() {
            let row = self.pairs.iter().filter(|pair| pair.from == from);
            let reached: Vec<_> =
                row.map(|pair| if pair.rtt.is_some() { self.nodes[pair.to].as_str() } else { "X" }).collect();
            writeln!(f, "{node} -> {}", reached.join(" "))?;
        }
        let (sent, received) = (self.sent(), self.received());
        let dropped = ((sent - received) * 100).checked_div(sent).unwrap_or(0);
        write!(f, "Results: {dropped}% dropped ({received}/{sent} received)")?;
        let full = |pair: &Pair| pair.error.as_deref() == Some(Errno::ENOBUFS.desc());
        if self.pairs.iter().any(full) {
            write!(
                f,
                "\nThe neighbour table is full: one for all namespaces of the machine (net.ipv4.neigh.default.gc_thresh3)."
            )?;
        }
        Ok(())
    }
}

/// Pings every node from every other, once. All requests are sent before the first late reply is waited for.
///
/// # Errors
/// `Usage` if the addresses are of two families, if no socket can be opened, or `Interrupted`.
pub fn ping_all(nodes: &[Node<'_>], timeout: Duration) -> Result<PingAll> {
    let Some(first) = nodes.first() else { return Ok(PingAll::default()) };
    if nodes.iter().any(|node| node.addr.is_ipv6() != first.addr.is_ipv6()) {
        return Err(Error::usage("the nodes have addresses of two families"));
    }
    let mut pairs = Vec::with_capacity(nodes.len() * nodes.len());
    let mut late = Vec::new();
    for (from, node) in nodes.iter().enumerate() {
        node.net.exec().check()?;
        let mut echo = node.net.echo_socket(node.addr)?;
        echo.begin();
        let id = node.net.echo.next_id();
        let row = pairs.len();
        let mut requests = Vec::with_capacity(nodes.len());
        for (to, target) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            requests.push(Sent::now());
            let seq = u16::try_from(requests.len()).unwrap_or(u16::MAX);
            let sent = echo.send(SocketAddr::new(target.addr, 0), id, seq, 56);
            let error = sent.err().map(|errno| errno.desc().to_owned());
            pairs.push(Pair { from, to, rtt: None, error });
            take_all(&mut echo, id, &mut requests, &mut pairs[row..]);
        }
        if pairs[row..].iter().any(is_open) {
            late.push((from, id, row, requests));
        }
    }
    // The late replies of all nodes share one deadline.
    let end = Instant::now() + timeout;
    for (from, id, row, mut requests) in late {
        let node = &nodes[from];
        let mut echo = node.net.echo_socket(node.addr)?;
        let row = row..row + nodes.len() - 1;
        loop {
            take_all(&mut echo, id, &mut requests, &mut pairs[row.clone()]);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !pairs[row.clone()].iter().any(is_open) {
                break;
            }
            match node.net.wait(left, readable(echo.as_fd(), "wait for a reply")) {
                Err(error) if error.kind == Kind::Timeout => break,
                done => done?,
            }
        }
    }
    for pair in pairs.iter_mut().filter(|pair| is_open(pair)) {
        pair.error = Some(format!("no reply within {timeout:?}"));
    }
    Ok(PingAll { nodes: nodes.iter().map(|node| node.name.clone()).collect(), pairs })
}

/// Whether a reply to the pair's request may still come.
fn is_open(pair: &Pair) -> bool {
    pair.rtt.is_none() && pair.error.is_none()
}

/// Takes every reply that has arrived for the requests of one node.
fn take_all(echo: &mut Echo, id: u16, requests: &mut [Sent], row: &mut [Pair]) {
    while let Ok(arrival) = echo.receive() {
        let Some(arrival) = arrival.filter(|arrival| arrival.id == id) else { continue };
        let index = usize::from(arrival.seq).wrapping_sub(1);
        if let (Some(request), Some(pair)) = (requests.get_mut(index), row.get_mut(index)) {
            match arrival.error {
                None => (pair.rtt, pair.error) = (Some(request.rtt(arrival.stamp)), None),
                Some(error) if pair.rtt.is_none() => pair.error = Some(error.to_owned()),
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_marks_pairs_without_a_reply_and_explains_a_full_table() {
        let pair = |from, to, error: Option<&str>| Pair {
            from,
            to,
            rtt: error.is_none().then_some(Duration::from_micros(50)),
            error: error.map(str::to_owned),
        };
        let nodes = vec!["a".to_owned(), "b".to_owned()];
        let mut all = PingAll { nodes, pairs: vec![pair(0, 1, None), pair(1, 0, Some("no reply within 1s"))] };
        assert_eq!(all.to_string(), "a -> b\nb -> X\nResults: 50% dropped (1/2 received)");
        assert_eq!(all.lost().collect::<Vec<_>>(), ["b -> a: no reply within 1s"]);
        assert!(!all.ok());
        all.pairs[1].error = Some(Errno::ENOBUFS.desc().to_owned());
        assert!(all.to_string().contains("The neighbour table is full"));
        all.pairs[1] = pair(1, 0, None);
        assert!(all.ok());
        assert_eq!(PingAll::default().to_string(), "Results: 0% dropped (0/0 received)");
    }
}
