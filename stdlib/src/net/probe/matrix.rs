//! The matrix: requests between many namespaces, sent before the first late reply is waited for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::icmp::{Echo, Sent};
use crate::error::{Kind, Result};
use crate::exec::readable;
use crate::net::Net;

/// One node pings another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index of the node that asks.
    pub from: usize,
    /// Index of the node that is asked.
    pub to: usize,
    /// The address at which it is asked; none if there is none that both could use.
    pub addr: Option<IpAddr>,
    /// Round-trip time, if there was a reply.
    pub rtt: Option<Duration>,
    /// Why there was no reply.
    pub error: Option<String>,
}

impl Pair {
    /// Whether the request is sent over IPv6, or IPv4.
    pub(crate) fn is_of(&self, v6: bool) -> bool {
        self.addr.is_some_and(|addr| addr.is_ipv6() == v6)
    }
}

/// Which nodes reached which. Prints as Mininet's `pingall` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingAll {
    nodes: Vec<String>,
    pairs: Vec<Pair>,
}

/// Why a request or its reply was lost if it found no room in the neighbour table.
pub(crate) const TABLE_FULL: &str = "the neighbour table of the machine is full";

impl PingAll {
    /// The result for the nodes of these names: pairs with a reply or a reason why there is none.
    pub(crate) fn new(nodes: Vec<String>, pairs: Vec<Pair>) -> Self {
        Self { nodes, pairs }
    }

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
        let is_full = |pair: &Pair| pair.error.as_deref().is_some_and(|error| error.ends_with(TABLE_FULL));
        if self.pairs.iter().any(is_full) {
            write!(
                f,
                "\nThe neighbour table is one for all namespaces; net.ipv4.neigh.default.gc_thresh3 (or ipv6) limits it."
            )?;
        }
        Ok(())
    }
}

/// The requests that a node sends by one of its sockets.
struct Asked<'a> {
    net: &'a Net,
    /// An address of the socket's family.
    addr: IpAddr,
    id: u16,
    /// Each with the index of its pair.
    requests: Vec<(usize, Sent)>,
}

/// Sends one request for each of `pairs`, before the first late reply is waited for, and adds the results.
///
/// # Errors
/// If no socket can be opened, or `Interrupted`.
pub(crate) fn ask(nets: &[Arc<Net>], pairs: &mut [Pair], timeout: Duration) -> Result<()> {
    let mut late = Vec::new();
    let mut start = 0;
    while let Some(Pair { from, .. }) = pairs.get(start).cloned() {
        let net = &nets[from];
        net.exec().check()?;
        let end = start + pairs[start..].iter().take_while(|pair| pair.from == from).count();
        for v6 in [false, true] {
            let targets: Vec<_> = (start..end).filter_map(|at| Some((at, pairs[at].addr?))).collect();
            let mut targets = targets.into_iter().filter(|(_, addr)| addr.is_ipv6() == v6).peekable();
            let Some(&(_, addr)) = targets.peek() else { continue };
            let mut asked = Asked { net, addr, id: net.echo.next_id(), requests: Vec::with_capacity(end - start) };
            let mut echo = net.echo_socket(addr)?;
            echo.begin();
            for (at, addr) in targets {
                asked.requests.push((at, Sent::now()));
                let seq = u16::try_from(asked.requests.len()).unwrap_or(u16::MAX);
                let sent = echo.send(SocketAddr::new(addr, 0), asked.id, seq, 56);
                pairs[at].error = sent.err().map(|errno| errno.desc().to_owned());
                asked.take_all(&mut echo, pairs);
            }
            if asked.is_open(pairs) {
                late.push(asked);
            }
        }
        start = end;
    }
    // The late replies of all nodes share one deadline.
    let end = Instant::now() + timeout;
    for asked in late {
        let mut echo = asked.net.echo_socket(asked.addr)?;
        loop {
            asked.take_all(&mut echo, pairs);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !asked.is_open(pairs) {
                break;
            }
            match asked.net.wait(left, readable(echo.as_fd(), "wait for a reply")) {
                Err(error) if error.kind == Kind::Timeout => break,
                done => done?,
            }
        }
    }
    for pair in pairs.iter_mut().filter(|pair| is_open(pair)) {
        pair.error = Some(format!("no reply within {timeout:?}"));
    }
    Ok(())
}

/// Whether a reply to the pair's request may still come.
fn is_open(pair: &Pair) -> bool {
    pair.rtt.is_none() && pair.error.is_none()
}

impl Asked<'_> {
    /// Whether a reply to one of the requests may still come.
    fn is_open(&self, pairs: &[Pair]) -> bool {
        self.requests.iter().any(|(at, _)| is_open(&pairs[*at]))
    }

    /// Takes every reply that has arrived.
    fn take_all(&self, echo: &mut Echo, pairs: &mut [Pair]) {
        while let Ok(arrival) = echo.receive() {
            let Some(arrival) = arrival.filter(|arrival| arrival.id == self.id) else { continue };
            let Some((at, request)) = self.requests.get(usize::from(arrival.seq).wrapping_sub(1)) else { continue };
            let pair = &mut pairs[*at];
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
            addr: None,
            rtt: error.is_none().then_some(Duration::from_micros(50)),
            error: error.map(str::to_owned),
        };
        let nodes = vec!["a".to_owned(), "b".to_owned()];
        let mut all = PingAll { nodes, pairs: vec![pair(0, 1, None), pair(1, 0, Some("no reply within 1s"))] };
        assert_eq!(all.to_string(), "a -> b\nb -> X\nResults: 50% dropped (1/2 received)");
        assert_eq!(all.lost().collect::<Vec<_>>(), ["b -> a: no reply within 1s"]);
        assert!(!all.ok());
        all.pairs[1].error = Some(format!("no reply within 1s: {TABLE_FULL}"));
        assert!(all.to_string().contains("gc_thresh3"));
        all.pairs[1] = pair(1, 0, None);
        assert!(all.ok());
        assert_eq!(PingAll::default().to_string(), "Results: 0% dropped (0/0 received)");
    }
}
