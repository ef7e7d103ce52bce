//! What happens in the lab without being asked: links that lose their carrier, processes that end, names that go.
//!
//! One thread waits on one epoll instance. Each namespace owns its own monitor socket; when it is deleted the socket
//! is closed with it, and the kernel takes a closed descriptor off the epoll instance by itself. So nothing here
//! keeps a namespace alive.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::process::Ended;
use super::{Lab, NetNs};
use crate::error::{Error, Result};
use crate::exec::mounts::NETNS_DIR;
use crate::net::Net;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link changed its state, or went (then the state is `GONE`).
    Link {
        /// The namespace's short name.
        ns: String,
        /// The link's name.
        name: String,
        /// Its new state.
        state: String,
    },
    /// A background process ended.
    Process {
        /// Its number.
        pid: u32,
        /// Its command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// The last line it wrote to standard error.
        said: String,
    },
    /// A name below `/run/netns` went.
    Netns {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link { ns, name, state } => write!(f, "link {name} in {ns}: {state}"),
            Self::Process { pid, command, ended, said } => match ended.signal {
                Some(signal) => write!(f, "process {pid} ({command}) ended by signal {signal}"),
                None if ended.code == 0 || said.is_empty() => {
                    write!(f, "process {pid} ({command}) ended with {}", ended.code)
                }
                None => write!(f, "process {pid} ({command}) ended with {}: {said}", ended.code),
            },
            Self::Netns { name } => write!(f, "namespace {name}: its name is gone"),
        }
    }
}

/// Where events go.
type Listener = Box<dyn Fn(Event) + Send + Sync>;

/// Watches a lab.
pub(crate) struct Watcher {
    epoll: Epoll,
    nets: Mutex<HashMap<u64, Watched>>,
    listener: Listener,
}

struct Watched {
    ns: String,
    net: Weak<Net>,
    states: HashMap<u32, (String, String)>,
}

/// The epoll key of the watch on names.
const NAMES: u64 = 0;

impl Watcher {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Watched>> {
        self.nets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch a namespace.
    pub(crate) fn add(&self, ns: &NetNs) -> Result<()> {
        let net = ns.net()?;
        let monitor = net.monitor()?;
        let key = ns.inode().ino;
        let mut states = HashMap::new();
        for link in net.links()? {
            states.insert(link.index, (link.name, link.state.to_owned()));
        }
        self.lock().insert(key, Watched { ns: ns.short(), net: Arc::downgrade(&net), states });
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key);
        self.epoll.add(monitor, event).map_err(|e| Error::sys("watch a namespace", e).within(ns.label()))
    }

    /// A background process ended.
    pub(crate) fn ended(&self, pid: u32, command: &str, ended: Ended, said: String) {
        (self.listener)(Event::Process { pid, command: command.to_owned(), ended, said });
    }

    fn run(&self, names: &Inotify) {
        let mut ready = [EpollEvent::empty(); 16];
        loop {
            let count = match self.epoll.wait(&mut ready, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in &ready[..count] {
                if event.data() == NAMES {
                    self.names(names);
                } else {
                    self.links(event.data());
                }
            }
        }
    }

    fn names(&self, names: &Inotify) {
        for event in names.read_events().unwrap_or_default() {
            if let Some(name) = event.name {
                (self.listener)(Event::Netns { name: name.to_string_lossy().into_owned() });
            }
        }
    }

    /// Looks again at the links of a namespace that said that something changed, and tells what did.
    fn links(&self, key: u64) {
        let Some(net) = self.lock().get(&key).and_then(|watched| watched.net.upgrade()) else {
            self.lock().remove(&key);
            return;
        };
        net.drain_monitor();
        let Ok(links) = net.links() else { return };
        drop(net); // nothing of ours may keep it while the listener takes its time
        let mut events = Vec::new();
        if let Some(watched) = self.lock().get_mut(&key) {
            let mut seen = BTreeSet::new();
            for link in links {
                seen.insert(link.index);
                let state = link.state.to_owned();
                let before = watched.states.insert(link.index, (link.name.clone(), state.clone()));
                if before.is_some_and(|(_, before)| before != state) {
                    events.push(Event::Link { ns: watched.ns.clone(), name: link.name, state });
                }
            }
            let gone: Vec<u32> = watched.states.keys().copied().filter(|index| !seen.contains(index)).collect();
            for index in gone {
                if let Some((name, _)) = watched.states.remove(&index) {
                    events.push(Event::Link { ns: watched.ns.clone(), name, state: "GONE".into() });
                }
            }
        }
        events.into_iter().for_each(&self.listener);
    }
}

impl Lab {
    /// Calls `listener` for everything that happens from now on, from a thread of its own.
    ///
    /// # Errors
    /// When the kernel has no instance of epoll or inotify left.
    pub fn listen(&self, listener: impl Fn(Event) + Send + Sync + 'static) -> Result<()> {
        let failed = |e| Error::sys("watch the lab", e);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let names = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
        if self.is_private() {
            names.add_watch(NETNS_DIR, AddWatchFlags::IN_DELETE).map_err(failed)?;
        }
        epoll.add(&names, EpollEvent::new(EpollFlags::EPOLLIN, NAMES)).map_err(failed)?;
        let watcher = Arc::new(Watcher { epoll, nets: Mutex::default(), listener: Box::new(listener) });
        for ns in self.known() {
            watcher.add(&ns)?;
        }
        if self.watcher.set(watcher.clone()).is_err() {
            return Err(Error::usage("the lab is watched already"));
        }
        thread::Builder::new()
            .name("events".into())
            .spawn(move || watcher.run(&names))
            .map(drop)
            .map_err(|e| Error::io("start a thread", &e))
    }
}
