//! Readiness: waiting for what programs bring about.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use rhai::{Dynamic, INT};

use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::Key;
use crate::error::{Error, Result};
use crate::lab::process::Output;
use crate::lab::ready::{self, Patience};
use crate::lab::{Lab, Link, Process};
use crate::name::{IfName, short};
use crate::net::sockets::Protocol;
use crate::notation::Target;

pub(super) const FAMILY: Family = Family { name: "readiness", types: &[], bindings: BINDINGS };

/// The longest wait unless an option says otherwise.
const LIMIT: Duration = Duration::from_secs(10);

const TIMEOUT: Key = Key::new("timeout", "the longest time to wait; default \"10s\"");
pub(super) const WHILE_ALIVE: Key = Key::new("while_alive", "a process: its end before is an error at once");

/// How long to wait, and which program has to live meanwhile.
pub(super) fn patience(options: &mut Options, limit: Duration) -> Result<Patience> {
    let limit = options.duration("timeout")?.unwrap_or(limit);
    Ok(Patience { limit, alive: options.handle::<Process>("while_alive", "a Process")? })
}

pub(crate) struct ReadyOptions(Patience);

impl FromOptions for ReadyOptions {
    const KEYS: &'static [Key] = &[TIMEOUT, WHILE_ALIVE];
    fn from(options: &mut Options) -> Result<Self> {
        patience(options, LIMIT).map(Self)
    }
}

pub(crate) struct ListenOptions {
    address: Option<IpAddr>,
    patience: Patience,
}

impl FromOptions for ListenOptions {
    const KEYS: &'static [Key] =
        &[Key::new("addr", "an address that has to be served; default any"), TIMEOUT, WHILE_ALIVE];
    fn from(options: &mut Options) -> Result<Self> {
        let address = options.text("addr")?.map(|text| Target::parse(&text).map(|target| target.addr)).transpose()?;
        Ok(Self { address, patience: patience(options, LIMIT)? })
    }
}

pub(crate) struct LinkOptions {
    up: bool,
    patience: Patience,
}

impl FromOptions for LinkOptions {
    const KEYS: &'static [Key] =
        &[Key::new("up", "whether it has to be up with a carrier; default false"), TIMEOUT, WHILE_ALIVE];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self { up: options.flag("up")?.unwrap_or(false), patience: patience(options, LIMIT)? })
    }
}

pub(crate) struct OutputOptions(Duration);

impl FromOptions for OutputOptions {
    const KEYS: &'static [Key] = &[TIMEOUT];
    fn from(options: &mut Options) -> Result<Self> {
        Ok(Self(options.duration("timeout")?.unwrap_or(LIMIT)))
    }
}

impl Arg for Protocol {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        match String::take(call, name)?.as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            other => {
                Err(Error::usage(format!("`{}` is not a protocol with ports", short(other))).hint("\"tcp\" or \"udp\""))
            }
        }
    }
}

/// A port number.
pub(crate) struct Port(u16);

impl Arg for Port {
    const TYPE: &'static str = "int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let number = INT::take(call, name)?;
        match u16::try_from(number) {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err(Error::usage(format!("`{number}` is not a valid port")).hint("ports are 1 to 65535")),
        }
    }
}

/// A regular expression.
pub(crate) struct Pattern(Regex);

impl Arg for Pattern {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = String::take(call, name)?;
        Regex::new(&text).map(Self).map_err(|error| {
            let why = match error {
                regex::Error::Syntax(text) => {
                    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
                }
                other => other.to_string(),
            };
            Error::usage(format!("`{}` is not a valid regular expression", short(&text)))
                .detail(why)
                .hint("the notation is https://docs.rs/regex/latest/regex/#syntax; `\\\\[` is a bracket")
        })
    }
}

bindings! {
    /// Waits until something listens on a port in a namespace, and returns the address and port where it does.
    ///
    /// For UDP, until a socket is bound to the port. With `while_alive` the end of that program is an error, which has
    /// its status and its last lines.
    ///
    /// No equivalent command: `ss -ltn` or `ss -lun` shows one moment.
    ///
    /// ```rhai
    /// let server = netns("server");
    /// let p = start(server, ["perl", "-MIO::Socket::INET", "-e",
    ///     "my $s = IO::Socket::INET->new(Listen => 1, LocalPort => 8080) or die; sleep 60"]);
    /// check wait_listen(server, "tcp", 8080, #{while_alive: p}) == "0.0.0.0:8080";
    /// ```
    fn wait_listen(lab: Arc<Lab>, ns: Here, protocol: Protocol, port: Port, opts: Opts<ListenOptions>) -> String {
        let ListenOptions { address, patience } = &opts.0;
        ready::listening(&lab, ns.net(), (protocol, port.0), *address, patience).map(|socket| socket.to_string())
    }

    /// Waits until a background process has written what a regular expression matches, and returns an array: the match
    /// and its groups.
    ///
    /// Standard output is searched first, then standard error, both from their beginning. The end of the process before
    /// that is an error, which has its status and its last lines.
    ///
    /// No equivalent command: `grep -m 1` reads only what is still to come.
    ///
    /// ```rhai
    /// let p = start(["sh", "-c", "echo listening on port 8080; sleep 60"]);
    /// check wait_output(p, "port (\\d+)")[1] == "8080";
    /// ```
    fn wait_output(lab: Arc<Lab>, process: Process, pattern: Pattern, opts: Opts<OutputOptions>) -> rhai::Array {
        let groups = ready::output(&lab, &process, &pattern.0, opts.0.0)?;
        Ok(groups.into_iter().map(Dynamic::from).collect())
    }

    /// Waits until there is a file, of whatever type, and returns its path.
    ///
    /// No equivalent command: `inotifywait` misses a file that is there already.
    ///
    /// ```rhai
    /// let p = start(["sh", "-c", "echo $$ > /run/daemon.pid; sleep 60"]);
    /// wait_file("/run/daemon.pid", #{while_alive: p});
    /// ```
    fn wait_file(lab: Arc<Lab>, path: String, opts: Opts<ReadyOptions>) -> String {
        ready::file(&lab, Path::new(&path), &opts.0.0)?;
        Ok(path.clone())
    }

    /// Waits until a namespace has a link of that name, and returns the link.
    ///
    /// For links that programs make, as a VPN daemon makes `tun0`. With `up`, until the link is up and has a carrier.
    ///
    /// No equivalent command: `ip monitor link` shows changes only.
    ///
    /// ```rhai
    /// let ns1 = netns("netns1");
    /// let p = start(ns1, ["sh", "-c", "ip link add late type bridge; ip link set late up; sleep 60"]);
    /// check wait_link(ns1, "late", #{while_alive: p}).kind == "bridge";
    /// ```
    fn wait_link(lab: Arc<Lab>, ns: Here, name: IfName, opts: Opts<LinkOptions>) -> Link {
        let LinkOptions { up, patience } = &opts.0;
        ready::link(&lab, ns.net(), &name, *up, patience)
    }

    /// Waits for the end of a background process, which must have exit code 0, and returns what it wrote.
    ///
    /// Another end is an error, which has the status and the last lines. `wait` returns any end as a value.
    ///
    /// No equivalent command: it is about a handle of the script.
    ///
    /// ```rhai
    /// let p = start(["sh", "-c", "echo done"]);
    /// check wait_exit(p).stdout == "done\n";
    /// ```
    fn wait_exit(lab: Arc<Lab>, process: Process, opts: Opts<OutputOptions>) -> Output {
        let output = process.wait(&lab, opts.0.0)?;
        if output.ended.code != 0 {
            return Err(process.ended_before("success"));
        }
        Ok(output)
    }
}
