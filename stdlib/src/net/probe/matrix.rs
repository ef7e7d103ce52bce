//! The matrix: every namespace pings every other, once.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::icmp::{Echo, Sent};
use crate::error::{Error, Kind, Result};
use crate::exec::readable;
use crate::net::Net;

/// Who reached whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index of the asking node.
    pub from: usize,
    /// Index of the asked node.
    pub to: usize,
    /// Round-trip time, if there was a reply.
    pub rtt: Option<Duration>,
    /// Why there was none.
    pub error: Option<String>,
}

/// Pings every node from every other, once, and waits for all replies together.
///
/// # Errors
/// When no socket can be opened, or Ctrl-C.
pub fn ping_all(nodes: &[(&Net, IpAddr)], timeout: Duration) -> Result<Vec<Pair>> {
    let Some((first, _)) = nodes.first() else { return Ok(Vec::new()) };
    if nodes.iter().any(|(_, addr)| addr.is_ipv6() != nodes[0].1.is_ipv6()) {
        return Err(Error::plain(Kind::Usage, "the nodes have addresses of two families"));
    }
    let mut pairs = Vec::with_capacity(nodes.len() * nodes.len());
    let mut late = Vec::new();
    for (from, (net, addr)) in nodes.iter().enumerate() {
        first.exec().check()?;
        let mut echo = net.echo_socket(*addr)?;
        echo.begin();
        let id = net.echo.next_id();
        let row = pairs.len();
        let mut requests = Vec::with_capacity(nodes.len());
        for (to, (_, target)) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            requests.push(Sent::now());
            let seq = u16::try_from(requests.len()).unwrap_or(u16::MAX);
            let sent = echo.send(SocketAddr::new(*target, 0), id, seq, 56);
            let error = sent.err().map(|errno| errno.desc().to_owned());
            pairs.push(Pair { from, to, rtt: None, error });
            take_all(&mut echo, id, &mut requests, &mut pairs[row..]);
        }
        if pairs[row..].iter().any(is_open) {
            late.push((from, id, row, requests));
        }
    }
    // Stragglers of all nodes share one deadline.
    let end = Instant::now() + timeout;
    for (from, id, row, mut requests) in late {
        let (net, addr) = nodes[from];
        let mut echo = net.echo_socket(addr)?;
        let row = row..row + nodes.len() - 1;
        loop {
            take_all(&mut echo, id, &mut requests, &mut pairs[row.clone()]);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !pairs[row.clone()].iter().any(is_open) {
                break;
            }
            match net.wait(left, readable(echo.as_fd(), "wait for a reply")) {
                Err(error) if error.kind == Kind::Timeout => break,
                done => done?,
            }
        }
    }
    for pair in pairs.iter_mut().filter(|pair| is_open(pair)) {
        pair.error = Some(format!("no reply within {timeout:?}"));
    }
    Ok(pairs)
}

fn is_open(pair: &Pair) -> bool {
    pair.rtt.is_none() && pair.error.is_none()
}

fn take_all(echo: &mut Echo, id: u16, requests: &mut [Sent], row: &mut [Pair]) {
    while let Ok(arrival) = echo.receive() {
        let Some(arrival) = arrival.filter(|arrival| arrival.id == id) else { continue };
        let index = usize::from(arrival.seq).wrapping_sub(1);
        if let (Some(request), Some(pair)) = (requests.get_mut(index), row.get_mut(index)) {
            match arrival.complaint {
                None => (pair.rtt, pair.error) = (Some(request.rtt(arrival.stamp)), None),
                Some(complaint) if pair.rtt.is_none() => pair.error = Some(complaint.to_owned()),
                Some(_) => {}
            }
        }
    }
}
