//! The lab's `/etc/hosts`: when a program starts, it has the names of the namespaces with their addresses.
//!
//! A start costs two system calls if nothing has changed: names appear in `/run/netns`, whose time changes, and each
//! namespace of which there is a handle has a socket on which the kernel reports changed addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::netns::Inner;
use super::{Lab, NetNs, path_of};
use crate::error::{Error, Kind, Result};
use crate::exec::mounts::NETNS_DIR;
use crate::exec::private;
use crate::name::NsName;

const FILE: &str = "/etc/hosts";

/// The lines around the names in the file. The other lines are left alone.
const BEGIN: &str = "# the namespaces of this lab, by nslab";
const END: &str = "# end of the namespaces";

/// Two changes within this time may leave a directory with the same time (`CONFIG_HZ=100`).
const TICK: Duration = Duration::from_millis(20);

/// What is known of the namespaces, and what the file says.
#[derive(Default)]
pub(super) struct Hosts {
    is_off: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When a name was made or removed last; none if that may be too recent to see the next change.
    changed: Option<SystemTime>,
    nodes: BTreeMap<NsName, Node>,
    /// Readable for each namespace whose addresses have changed. The key is the inode.
    monitors: Option<Epoll>,
    /// The lines in the file.
    written: String,
}

#[derive(Default)]
struct Node {
    inode: u64,
    /// The handle whose monitor is in `monitors`. Without one the addresses are read each time.
    watched: Weak<Inner>,
    addresses: Vec<IpAddr>,
}

impl Lab {
    /// Switches the names in `/etc/hosts` on or off.
    ///
    /// # Errors
    /// `Permission` on the machine itself, or if the file cannot be written.
    pub(crate) fn keep_hosts(&self, on: bool) -> Result<()> {
        if !self.is_private() {
            return Err(Error::plain(Kind::Permission, "the machine's `/etc/hosts` is not written to"));
        }
        self.hosts.is_off.store(!on, Ordering::Relaxed);
        let mut state = self.hosts.state.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            return Ok(());
        }
        state.write(String::new())?;
        *state = State::default();
        Ok(())
    }

    /// Writes the names and addresses of this moment into `/etc/hosts`, if they are not there.
    ///
    /// A failure is not one of the program that starts: it sees the file as it is.
    pub(super) fn update_hosts(&self) {
        if self.is_private() && !self.hosts.is_off.load(Ordering::Relaxed) && private::has_hosts() {
            let mut state = self.hosts.state.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = state.update(self);
        }
    }
}

impl State {
    fn update(&mut self, lab: &Lab) -> Result<()> {
        if self.monitors.is_none() {
            let made = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
            self.monitors = Some(made.map_err(|e| Error::sys("watch the namespaces", e))?);
        }
        let mut differs = self.find_names(lab)?;
        let changed = self.take_changed();
        for (name, node) in &mut self.nodes {
            if node.watched.strong_count() > 0 && !changed.contains(&node.inode) {
                continue;
            }
            let Ok(addresses) = node.read(lab, name, self.monitors.as_ref()) else { continue }; // deleted meanwhile
            differs |= addresses != node.addresses;
            node.addresses = addresses;
        }
        if differs { self.write(self.lines()) } else { Ok(()) }
    }

    /// Reads the names again if they may have changed, and returns whether they may. A name that is another namespace's now
    /// is a new one.
    fn find_names(&mut self, lab: &Lab) -> Result<bool> {
        let changed = fs::metadata(NETNS_DIR).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(|e| Error::io(format!("read `{NETNS_DIR}`"), &e))?;
        if self.changed == Some(changed) {
            return Ok(false);
        }
        let is_settled = changed.elapsed().is_ok_and(|age| age > TICK);
        self.changed = Some(changed).filter(|_| is_settled);
        let mut before = std::mem::take(&mut self.nodes);
        for name in lab.netns_names()?.into_iter().filter_map(|name| NsName::new(&name).ok()) {
            let Ok(metadata) = fs::metadata(path_of(&name)) else { continue };
            let inode = metadata.ino();
            let node = before.remove(&name).filter(|node| node.inode == inode);
            self.nodes.insert(name, node.unwrap_or(Node { inode, ..Node::default() }));
        }
        Ok(true)
    }

    /// The inodes of the namespaces whose addresses have changed.
    fn take_changed(&self) -> BTreeSet<u64> {
        let mut all = BTreeSet::new();
        let mut ready = [EpollEvent::empty(); 64];
        while let Some(monitors) = &self.monitors {
            let count = monitors.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
            let new: Vec<u64> =
                ready[..count].iter().map(EpollEvent::data).filter(|inode| !all.contains(inode)).collect();
            let nodes = self.nodes.values().filter(|node| new.contains(&node.inode));
            for net in nodes.filter_map(|node| NetNs::upgrade(&node.watched)?.net().ok()) {
                net.drain_addresses();
            }
            all.extend(&new);
            if new.is_empty() {
                break;
            }
        }
        all
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        for (name, node) in &self.nodes {
            for address in &node.addresses {
                let _ = writeln!(lines, "{address}\t{name}");
            }
        }
        lines
    }

    /// Puts `lines` into the file, in place of those that it has.
    fn write(&mut self, lines: String) -> Result<()> {
        if lines != self.written {
            let text = fs::read_to_string(FILE).unwrap_or_default();
            replace(Path::new(FILE), &with_section(&text, &lines))
                .map_err(|e| Error::io(format!("write `{FILE}`"), &e))?;
            self.written = lines;
        }
        Ok(())
    }
}

impl Node {
    /// Reads the addresses. If there is a handle of the namespace, its monitor reports the next change.
    fn read(&mut self, lab: &Lab, name: &NsName, monitors: Option<&Epoll>) -> Result<Vec<IpAddr>> {
        let known = lab.find(|ns| ns.name() == Some(name) && ns.inode().ino == self.inode && !ns.is_closed());
        if let (Some(ns), Some(monitors), 0) = (&known, monitors, self.watched.strong_count()) {
            let net = ns.net()?;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, self.inode);
            monitors.add(net.address_monitor()?, event).map_err(|e| Error::sys("watch a namespace", e))?;
            self.watched = ns.downgrade();
        }
        let ns = known.map_or_else(|| lab.open_netns(name), Ok)?;
        Ok(ns.addresses()?.iter().collect())
    }
}

/// The text of the file with `lines` in the place of those between [`BEGIN`] and [`END`], or at its end.
fn with_section(text: &str, lines: &str) -> String {
    let (before, rest) = text.split_once(&format!("{BEGIN}\n")).unwrap_or((text, ""));
    let after = rest.split_once(&format!("{END}\n")).map_or("", |(_, after)| after);
    let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let section = if lines.is_empty() { String::new() } else { format!("{BEGIN}\n{lines}{END}\n") };
    format!("{before}{newline}{section}{after}")
}

/// Writes the file in place. A file of another user in the lab's overlay cannot be written, but replaced.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Ok(file) = File::options().write(true).open(path) {
        file.write_all_at(text.as_bytes(), 0)?;
        return file.set_len(text.len() as u64);
    }
    let new = path.with_extension("nslab");
    File::create(&new)?.write_all(text.as_bytes())?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_replaced_and_the_other_lines_stay() {
        let first = with_section("127.0.0.1 localhost", "10.0.0.1\th1\n");
        assert_eq!(first, format!("127.0.0.1 localhost\n{BEGIN}\n10.0.0.1\th1\n{END}\n"));
        let more = first.clone() + "10.0.0.9 mine\n";
        let second = with_section(&more, "10.0.0.2\th2\n");
        assert_eq!(second, format!("127.0.0.1 localhost\n{BEGIN}\n10.0.0.2\th2\n{END}\n10.0.0.9 mine\n"));
        assert_eq!(with_section(&second, ""), "127.0.0.1 localhost\n10.0.0.9 mine\n");
        assert_eq!(with_section("", ""), "");
    }
}
