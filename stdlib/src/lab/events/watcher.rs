//! Watches the namespaces of a lab for changed links, and `/run/netns` for removed names.
//!
//! One thread waits on one epoll instance. Each namespace owns its monitor socket: deleting the namespace closes the
//! socket, and the kernel removes a closed descriptor from the epoll instance. So the watcher keeps no namespace alive.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::{Event, Listeners};
use crate::error::{Error, Result};
use crate::exec::mounts::NETNS_DIR;
use crate::exec::thread_error;
use crate::lab::NetNs;
use crate::net::Net;

/// The epoll key of the watch on names. No namespace has inode 0.
const NAMES: u64 = 0;

/// The watcher of a lab.
pub(crate) struct Watcher {
    epoll: Epoll,
    /// The watched namespaces, by inode, which is also the epoll key.
    nets: Mutex<HashMap<u64, Watched>>,
    listeners: Arc<Listeners>,
}

struct Watched {
    ns: String,
    net: Weak<Net>,
    /// Name and state of each link, by interface index.
    links: HashMap<u32, (String, &'static str)>,
}

impl Watcher {
    /// Starts to watch `namespaces`, and the names if the lab is private: those of the machine are none of its events.
    pub(super) fn start(listeners: Arc<Listeners>, private: bool, namespaces: &[NetNs]) -> Result<Arc<Self>> {
        let failed = |e| Error::sys("watch the lab", e);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let names = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
        if private {
            names.add_watch(NETNS_DIR, AddWatchFlags::IN_DELETE).map_err(failed)?;
        }
        epoll.add(&names, EpollEvent::new(EpollFlags::EPOLLIN, NAMES)).map_err(failed)?;
        let watcher = Arc::new(Self { epoll, nets: Mutex::default(), listeners });
        for ns in namespaces {
            watcher.add(ns)?;
        }
        let started = watcher.clone();
        let thread = thread::Builder::new().name("events".into()).spawn(move || started.run(&names));
        thread.map_err(|e| thread_error("start the thread that watches the lab", &e))?;
        Ok(watcher)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Watched>> {
        self.nets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a namespace too.
    pub(crate) fn add(&self, ns: &NetNs) -> Result<()> {
        let net = ns.net()?;
        let monitor = net.monitor()?;
        let key = ns.inode().ino;
        let links = net.links()?.into_iter().map(|link| (link.index, (link.name, link.state))).collect();
        self.lock().insert(key, Watched { ns: ns.short(), net: Arc::downgrade(&net), links });
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key);
        self.epoll.add(monitor, event).map_err(|e| Error::sys("watch a namespace", e).within(ns.label()))
    }

    fn run(&self, names: &Inotify) {
        let mut ready = [EpollEvent::empty(); 16];
        loop {
            let count = match self.epoll.wait(&mut ready, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
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

    /// Publishes the names that were removed.
    fn names(&self, names: &Inotify) {
        for event in names.read_events().unwrap_or_default() {
            if let Some(name) = event.name {
                self.listeners.publish(&Event::NameGone { name: name.to_string_lossy().into_owned() });
            }
        }
    }

    /// Reads the links of a namespace again after its monitor socket became readable, and publishes what changed.
    fn links(&self, key: u64) {
        let Some(net) = self.lock().get(&key).and_then(|watched| watched.net.upgrade()) else {
            self.lock().remove(&key);
            return;
        };
        net.drain_monitor();
        let Ok(links) = net.links() else { return };
        drop(net); // a listener may take its time, and must not keep the namespace alive
        let mut events = Vec::new();
        if let Some(watched) = self.lock().get_mut(&key) {
            let mut seen = BTreeSet::new();
            for link in links {
                seen.insert(link.index);
                let before = watched.links.insert(link.index, (link.name.clone(), link.state));
                if before.is_some_and(|(_, before)| before != link.state) {
                    events.push(Event::LinkState { ns: watched.ns.clone(), link: link.name, state: link.state });
                }
            }
            let ns = &watched.ns;
            let gone = watched.links.extract_if(|index, _| !seen.contains(index));
            events.extend(gone.map(|(_, (link, _))| Event::LinkGone { ns: ns.clone(), link }));
        }
        for event in &events {
            self.listeners.publish(event);
        }
    }
}
