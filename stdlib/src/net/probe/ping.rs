//! Ping: echo requests at an interval, and a report that prints as `ping(8)` does.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::icmp::{Arrival, Echo, Sent};
use crate::error::Result;
use crate::exec::wait::{For, ready};
use crate::net::Net;

/// The options of a ping.
#[derive(Clone, Debug)]
pub struct PingOptions {
    /// Requests to send.
    pub count: u16,
    /// Time between two requests.
    pub interval: Duration,
    /// Bytes of data in each.
    pub size: u16,
    /// How long to wait for a reply to the last request.
    pub timeout: Duration,
    /// Time to live of the requests: the routers that one may cross, plus one.
    pub ttl: Option<u8>,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self {
            count: 1,
            interval: Duration::from_millis(200),
            size: 56,
            // ARP fails after 3 s (three requests, a second apart), and the kernel reports "host unreachable". With a
            // shorter timeout there would be no reason.
            timeout: Duration::from_secs(4),
            ttl: None,
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReply {
    /// Sequence number of the request, from 1.
    pub seq: u16,
    /// The address that answered.
    pub from: IpAddr,
    /// Bytes of the ICMP message.
    pub bytes: usize,
    /// Time to live of the reply.
    pub ttl: Option<u8>,
    /// Round-trip time, by the kernel's receive timestamp.
    pub rtt: Duration,
    /// The ICMP error that came instead of a reply.
    pub error: Option<String>,
    /// Whether the same request was answered before.
    pub duplicate: bool,
}

/// The result of a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The address that was pinged.
    pub target: IpAddr,
    /// Bytes of data in each request.
    pub size: u16,
    /// Requests that were sent.
    pub sent: u16,
    /// Requests that were answered.
    pub received: u16,
    /// Replies and ICMP errors, in the order of their arrival.
    pub replies: Vec<PingReply>,
    /// Why there was no reply; none if there was one.
    pub error: Option<String>,
    /// The error number behind `error`.
    pub errno: Option<Errno>,
    /// From the first request to the last request or reply, as `ping(8)` counts it.
    pub elapsed: Duration,
}

impl Ping {
    /// Whether every request was answered.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }

    /// The share of requests without a reply, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 1.0 } else { 1.0 - f64::from(self.received) / f64::from(self.sent) }
    }

    /// Round-trip times of the replies, in milliseconds.
    pub fn rtts(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.replies.iter().filter(|r| r.error.is_none() && !r.duplicate).map(|r| millis(r.rtt))
    }

    /// Smallest, mean, largest round-trip time and standard deviation, in milliseconds.
    #[must_use]
    pub fn rtt_summary(&self) -> Option<[f64; 4]> {
        let n = f64::from(u32::from(self.received));
        let rtts = self.rtts();
        rtts.clone().next()?;
        let (sum, squares) = rtts.clone().fold((0.0, 0.0), |(s, q), r| (s + r, q + r * r));
        let mean = sum / n;
        let deviation = (squares / n - mean * mean).max(0.0).sqrt();
        Some([rtts.clone().fold(f64::INFINITY, f64::min), mean, rtts.fold(0.0, f64::max), deviation])
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl fmt::Display for PingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return write!(f, "From {} icmp_seq={} {error}", self.from, self.seq);
        }
        write!(f, "{} bytes from {}: icmp_seq={}", self.bytes, self.from, self.seq)?;
        if let Some(ttl) = self.ttl {
            write!(f, " ttl={ttl}")?;
        }
        write!(f, " time={} ms", three_digits(millis(self.rtt)))?;
        if self.duplicate { write!(f, " (DUP!)") } else { Ok(()) }
    }
}

/// A time with three significant digits, as `ping(8)` prints it.
fn three_digits(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

impl fmt::Display for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target;
        if self.sent == 0 {
            // The text of ping(8), which connects a socket before it sends.
            return write!(f, "ping: connect: {}", self.error.as_deref().unwrap_or("nothing was sent"));
        }
        match target {
            IpAddr::V4(_) => writeln!(f, "PING {target} ({target}) {}({}) bytes of data.", self.size, self.size + 28)?,
            IpAddr::V6(_) => writeln!(f, "PING {target}({target}) {} data bytes", self.size)?,
        }
        for reply in &self.replies {
            writeln!(f, "{reply}")?;
        }
        writeln!(f, "\n--- {target} ping statistics ---")?;
        write!(f, "{} packets transmitted, {} received", self.sent, self.received)?;
        let errors = self.replies.iter().filter(|r| r.error.is_some()).count();
        if errors > 0 {
            write!(f, ", +{errors} errors")?;
        }
        write!(f, ", {}% packet loss, time {}ms", (self.loss() * 100.0).round(), self.elapsed.as_millis())?;
        if let Some([min, mean, max, deviation]) = self.rtt_summary() {
            write!(f, "\nrtt min/avg/max/mdev = {min:.3}/{mean:.3}/{max:.3}/{deviation:.3} ms")?;
        } else if let Some(error) = &self.error {
            write!(f, "\n{error}")?;
        }
        Ok(())
    }
}

impl Net {
    /// Pings `target`. Any outcome on the network is a value.
    ///
    /// # Errors
    /// If no socket can be opened, or `Interrupted`.
    pub fn ping(&self, target: IpAddr, scope: u32, options: &PingOptions) -> Result<Ping> {
        let mut echo = self.echo_socket(target)?;
        echo.expect(usize::from(options.size));
        if let Some(ttl) = options.ttl {
            echo.set_ttl(u32::from(ttl))?;
        }
        let total = options.interval * u32::from(options.count) + options.timeout + Duration::from_secs(1);
        let mut exchange = Exchange::new(socket_address(target, scope), self.echo.next_id(), options);
        let report = self.wait(total, exchange.run(&mut echo));
        if options.ttl.is_some() {
            echo.set_ttl(64)?;
        }
        report
    }
}

fn socket_address(target: IpAddr, scope: u32) -> SocketAddr {
    match target {
        IpAddr::V4(_) => SocketAddr::new(target, 0),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, scope).into(),
    }
}

/// A ping that is under way.
struct Exchange<'a> {
    to: SocketAddr,
    id: u16,
    options: &'a PingOptions,
    start: Instant,
    requests: Vec<Sent>,
    unanswered: u16,
    report: Ping,
}

impl<'a> Exchange<'a> {
    fn new(to: SocketAddr, id: u16, options: &'a PingOptions) -> Self {
        let report = Ping {
            target: to.ip(),
            size: options.size,
            sent: 0,
            received: 0,
            replies: Vec::new(),
            error: None,
            errno: None,
            elapsed: Duration::ZERO,
        };
        Self { to, id, options, start: Instant::now(), requests: Vec::new(), unanswered: 0, report }
    }

    async fn run(&mut self, echo: &mut Echo) -> Result<Ping> {
        self.start = Instant::now();
        echo.begin();
        for seq in 1..=self.options.count {
            self.requests.push(Sent::now());
            self.report.elapsed = self.start.elapsed();
            match echo.send(self.to, self.id, seq, usize::from(self.options.size)) {
                Ok(()) => {
                    self.report.sent += 1;
                    self.unanswered += 1;
                }
                Err(errno) => {
                    self.report.error = Some(errno.desc().to_owned());
                    self.report.errno = Some(errno);
                    break;
                }
            }
            let last = seq == self.options.count;
            let wait = if last { self.options.timeout } else { self.options.interval };
            let next = self.start + self.options.interval * u32::from(seq - 1) + wait;
            self.collect(echo, next, last).await?;
        }
        if self.report.received == 0 && self.report.error.is_none() {
            let error = self.report.replies.iter().find_map(|r| r.error.clone());
            self.report.errno = Some(if error.is_some() { Errno::EHOSTUNREACH } else { Errno::ETIMEDOUT });
            self.report.error = error.or_else(|| Some(format!("no reply within {:?}", self.options.timeout)));
        }
        Ok(self.report.clone())
    }

    /// Takes what arrives before `until`. After the last request, returns as soon as every request is answered.
    async fn collect(&mut self, echo: &mut Echo, until: Instant, last: bool) -> Result<()> {
        loop {
            while let Ok(arrival) = echo.receive() {
                if let Some(arrival) = arrival {
                    self.take(&arrival);
                }
                if last && self.unanswered == 0 {
                    return Ok(());
                }
            }
            if !ready(&[(echo.as_fd(), For::Input)], Some(until), "wait for a reply").await? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, arrival: &Arrival) {
        let Some(index) = usize::from(arrival.seq).checked_sub(1).filter(|_| arrival.id == self.id) else { return };
        let Some(request) = self.requests.get_mut(index) else { return };
        self.report.elapsed = self.start.elapsed();
        let duplicate = request.answered;
        let error = arrival.error.map(str::to_owned);
        if error.is_none() && !duplicate {
            self.report.received += 1;
        }
        if !duplicate {
            request.answered = true;
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        self.report.replies.push(PingReply {
            seq: arrival.seq,
            from: arrival.from,
            bytes: arrival.bytes,
            ttl: arrival.ttl,
            rtt: request.rtt(arrival.stamp),
            error,
            duplicate,
        });
    }
}
