//! Readiness: waiting for what programs bring about. Each wait has a deadline, and ends with an error as soon as the
//! program that it depends on has ended.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use regex::Regex;

use super::{Lab, Link, NetNs, Process};
use crate::error::{Error, Kind, Result};
use crate::name::{IfName, printable, short};
use crate::net::link::Which;
use crate::net::sockets::{Protocol, receives};

/// The pauses between two looks double from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// How many names an error lists.
const LISTED: usize = 8;

/// How long a wait may take, and which program has to live meanwhile.
pub struct Patience {
    /// The longest time.
    pub limit: Duration,
    /// The program that brings it about.
    pub alive: Option<Process>,
}

impl Patience {
    /// Calls `ask` until it returns a value. `what` is what is waited for: ``file `x` ``.
    ///
    /// # Errors
    /// What `ask` returns; `Ended` if the program ended first; `Timeout`, with what `instead` says; `Interrupted`.
    pub fn until<T>(
        &self,
        lab: &Lab,
        what: &str,
        mut ask: impl FnMut() -> Result<Option<T>>,
        instead: impl FnOnce() -> String,
    ) -> Result<T> {
        let found = lab.exec().poll_until(self.limit, PAUSES.0, PAUSES.1, || {
            // Before the question: what the program did last counts.
            let has_ended = self.alive.as_ref().is_some_and(|process| process.ended().is_some());
            match (ask()?, &self.alive) {
                (None, Some(process)) if has_ended => Err(process.ended_before(what)),
                (found, _) => Ok(found),
            }
        })?;
        found.ok_or_else(|| {
            let error = Error::plain(Kind::Timeout, format!("wait for {what}: not within {:?}", self.limit));
            let error = error.detail(instead());
            match &self.alive {
                Some(process) => process.with_output(error),
                None => error,
            }
        })
    }
}

/// Waits until something listens on `port` of `ns`, and at `address` if one is given. Returns where it listens.
///
/// # Errors
/// As [`Patience::until`].
pub fn listening(
    lab: &Lab,
    ns: &NetNs,
    (protocol, port): (Protocol, u16),
    address: Option<IpAddr>,
    patience: &Patience,
) -> Result<SocketAddr> {
    let net = ns.net()?;
    let sockets = net.sockets()?;
    let mut last = Vec::new();
    let serves =
        |socket: &SocketAddr| socket.port() == port && address.is_none_or(|address| receives(socket.ip(), address));
    let what = match address {
        Some(address) => format!("{protocol} port `{}`", SocketAddr::new(address, port)),
        None => format!("{protocol} port `{port}`"),
    };
    let ask = || {
        last = sockets.listening(protocol)?;
        Ok(last.iter().copied().find(serves))
    };
    let found = patience.until(lab, &what, ask, || "nothing listens there".to_owned());
    found.map_err(|error| match error.kind {
        Kind::Timeout => {
            let others = list("nothing", last.iter().map(ToString::to_string));
            error.within(ns.label()).hint(format!("what listens with {protocol} there: {others}"))
        }
        _ => error.within(ns.label()),
    })
}

/// Waits until `process` has written what `pattern` matches. Returns the match and its groups.
///
/// # Errors
/// As [`Patience::until`].
pub fn output(lab: &Lab, process: &Process, pattern: &Regex, limit: Duration) -> Result<Vec<String>> {
    let patience = Patience { limit, alive: Some(process.clone()) };
    let mut looked_at = None;
    let ask = || {
        let written = process.written();
        if looked_at.replace(written) == Some(written) {
            return Ok(None);
        }
        let (stdout, stderr) = process.output();
        let groups = [stdout, stderr].iter().find_map(|text| {
            let groups = pattern.captures(text)?;
            Some(groups.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect())
        });
        Ok(groups)
    };
    let what = format!("output `{}` of `{}`", short(pattern.as_str()), short(&process.command()));
    patience.until(lab, &what, ask, || match process.last_line() {
        line if line.is_empty() => "it has written nothing".into(),
        line => format!("its last line is: {}", short(&line)),
    })
}

/// Waits until there is a file at `path`.
///
/// It asks again and again instead of watching the directory: that needs no descriptor, of which inotify(7) has few for
/// each user, and it works on every file system.
///
/// # Errors
/// As [`Patience::until`]; the kernel's, other than "no such file".
pub fn file(lab: &Lab, path: &Path, patience: &Patience) -> Result<()> {
    let shown = short(&path.to_string_lossy());
    let ask = || match path.metadata() {
        Ok(_) => Ok(Some(())),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
            Errno::ENOENT | Errno::ENOTDIR => Ok(None),
            errno => Err(Error::sys(format!("look at file `{shown}`"), errno)),
        },
    };
    patience.until(lab, &format!("file `{shown}`"), ask, || instead_of(path))
}

/// What there is where `path` is not: the names in the directory, or the directory that is missing.
fn instead_of(path: &Path) -> String {
    let missing = path.ancestors().skip(1).take_while(|above| !above.as_os_str().is_empty() && !above.exists()).last();
    if let Some(missing) = missing {
        return format!("there is no directory `{}`", short(&missing.to_string_lossy()));
    }
    let directory = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match crate::exec::directory::names(directory) {
        Ok(mut names) => {
            names.sort_unstable();
            let names = names.iter().map(|name| short(&name.to_string_lossy()));
            format!("its directory has {}", list("no file", names))
        }
        Err(_) => "its directory cannot be read".into(),
    }
}

/// Waits until `ns` has a link called `name`, and with `up` until that can carry packets.
///
/// # Errors
/// As [`Patience::until`].
pub fn link(lab: &Lab, ns: &NetNs, name: &IfName, up: bool, patience: &Patience) -> Result<Link> {
    let net = ns.net()?;
    let mut state = None;
    let ask = || {
        let found = net.find_link(Which::Name(name))?;
        state = found.as_ref().map(|link| link.state);
        Ok(found.filter(|link| !up || link.has_carrier()).map(|_| Link::new(ns, name.clone())))
    };
    let found = patience.until(lab, &format!("link `{name}`{}", if up { " to be up" } else { "" }), ask, String::new);
    found.map_err(|error| {
        let error = error.within(ns.label());
        if error.kind != Kind::Timeout {
            return error;
        }
        match state {
            Some(state) => error.detail(format!("its state is {state}")),
            None => {
                let names = net.links().unwrap_or_default().into_iter().map(|link| printable(&link.name));
                error.detail(format!("there is {}", list("no link", names)))
            }
        }
    })
}

/// The first of `names`, and how many more there are.
fn list(none: &str, names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    match (names.as_slice(), more) {
        ([], _) => none.to_owned(),
        (names, 0) => names.join(", "),
        (names, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_with_a_count() {
        let numbers = |count: usize| (1..=count).map(|n| n.to_string());
        assert_eq!(list("nothing", numbers(0)), "nothing");
        assert_eq!(list("nothing", numbers(2)), "1, 2");
        assert_eq!(list("nothing", numbers(10)), "1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }

    #[test]
    fn the_missing_directory_is_named() {
        assert_eq!(instead_of(Path::new("/proc/none/of/these")), "there is no directory `/proc/none`");
        assert!(instead_of(Path::new("/proc/self/ns/none")).starts_with("its directory has cgroup, ipc"));
    }
}
