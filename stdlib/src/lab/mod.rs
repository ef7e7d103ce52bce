//! The lab: its root, the executor that works in it, and the journal of `--host`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::error::Result;
use crate::exec::Executor;
use crate::exec::handle::{NsHandle, NsKind};
use crate::name::NsName;
use crate::net::Net;
use netns::Origin;

pub mod address;
mod ended;
pub mod events;
pub mod host;
mod hosts;
pub mod link;
mod named;
pub mod netns;
mod ping;
mod ping_all;
pub mod place;
pub mod process;
pub mod ready;
mod registry;
pub mod tmpfiles;
pub mod topology;
mod view;

pub use host::{Guard, Journal};
pub use link::Link;
pub(crate) use named::{path_of, remove_name};
pub use netns::NetNs;
pub use place::{Place, Sandbox};
pub use process::Process;
pub use topology::Topology;
pub(crate) use view::Files;

/// A lab: private, or with a journal the machine itself.
pub struct Lab {
    exec: Arc<Executor>,
    root: NetNs,
    journal: Option<Journal>,
    known: Mutex<Vec<Weak<netns::Inner>>>,
    events: events::Events,
    processes: Mutex<Vec<Weak<process::Inner>>>,
    hosts: hosts::Hosts,
    /// The files that were written for namespaces.
    files: Mutex<Vec<(NsName, PathBuf)>>,
    /// A mount namespace that follows the lab's root, from the first program in a namespace on.
    follower: OnceLock<NsHandle>,
    explain: OnceLock<(AtomicBool, Explain)>,
    /// How many deleted namespaces got an id that marks their end.
    ending_ids: AtomicI32,
}

/// The listener that gets the equivalent commands of each call.
type Explain = Box<dyn Fn(&str) + Send + Sync>;

impl Lab {
    /// The lab that this process stands in: private, or with a journal the machine itself.
    ///
    /// # Errors
    /// When the namespace of this process cannot be opened.
    pub fn here(journal: Option<Journal>) -> Result<Arc<Self>> {
        if journal.is_some() { Self::on_the_host(journal) } else { Self::called("the lab root", None) }
    }

    /// The machine itself, without a journal while one is undone.
    pub(in crate::lab) fn on_the_host(journal: Option<Journal>) -> Result<Arc<Self>> {
        Self::called("the host", journal)
    }

    fn called(label: &str, journal: Option<Journal>) -> Result<Arc<Self>> {
        let exec = Arc::new(Executor::new()?);
        let handle = NsHandle::open(NsKind::Net, Path::new("/proc/self/ns/net"))?;
        let net = Net::new(exec.clone(), handle, label.into(), None).at_home();
        let root = NetNs::new(None, net, Origin::Root);
        Ok(Arc::new(Self {
            exec,
            root,
            journal,
            known: Mutex::default(),
            events: events::Events::default(),
            processes: Mutex::default(),
            hosts: hosts::Hosts::default(),
            files: Mutex::default(),
            follower: OnceLock::new(),
            explain: OnceLock::new(),
            ending_ids: AtomicI32::new(0),
        }))
    }

    /// Waits, deadlines, interrupts.
    #[must_use]
    pub fn exec(&self) -> &Arc<Executor> {
        &self.exec
    }

    /// The namespace that plays the host (with `--host` it is the host).
    #[must_use]
    pub fn root(&self) -> &NetNs {
        &self.root
    }

    /// Whether nothing outside can be reached.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.journal.is_none()
    }

    /// A number for the id of a namespace that is being deleted; never the same twice.
    fn next_ending_id(&self) -> i32 {
        self.ending_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The journal of `--host`.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Passes the equivalent commands of each call to `listener` from now on, or stops that.
    pub fn explain(&self, on: bool, listener: impl Fn(&str) + Send + Sync + 'static) {
        let (is_on, _) = self.explain.get_or_init(|| (AtomicBool::new(on), Box::new(listener)));
        is_on.store(on, Ordering::Relaxed);
    }

    /// The listener for equivalent commands, while there is one.
    pub(crate) fn explaining(&self) -> Option<&Explain> {
        self.explain.get().filter(|(on, _)| on.load(Ordering::Relaxed)).map(|(_, explain)| explain)
    }

    /// The events of the lab, and their listeners.
    pub(crate) fn events(&self) -> &events::Events {
        &self.events
    }
}
