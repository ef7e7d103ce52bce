//! Events of the lab: links that change their state, processes that end, names that go. Any number of listeners.
//!
//! The first subscription starts a [`watcher`], which watches each namespace once, whatever the number of listeners.

mod event;
mod listeners;
mod watcher;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Lab;
use crate::error::Result;
pub use event::Event;
pub(crate) use listeners::Listeners;
pub use listeners::Subscription;
pub(crate) use watcher::Watcher;

/// The events of one lab.
#[derive(Default)]
pub(crate) struct Events {
    listeners: Arc<Listeners>,
    watcher: OnceLock<Arc<Watcher>>,
    /// Held while the watcher starts, so that two subscriptions at once start one.
    starting: Mutex<()>,
}

impl Events {
    /// The listeners, for what publishes an event.
    pub(crate) fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    /// The watcher, if there was a subscription.
    pub(crate) fn watcher(&self) -> Option<&Arc<Watcher>> {
        self.watcher.get()
    }
}

impl Lab {
    /// Calls `listener` for every event from now on, until the returned subscription is dropped.
    ///
    /// Events come from threads of their own. They arrive in order for each namespace and each process.
    ///
    /// # Errors
    /// If the kernel has no instance of epoll or inotify left.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Result<Subscription> {
        self.watch()?;
        Ok(self.events().listeners().add(Arc::new(listener)))
    }

    /// As [`Lab::subscribe`], for as long as the lab lives.
    ///
    /// # Errors
    /// As [`Lab::subscribe`].
    pub fn listen(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Result<()> {
        self.subscribe(listener).map(Subscription::keep)
    }

    /// Starts the watcher, once.
    fn watch(&self) -> Result<()> {
        let events = self.events();
        let _starting = events.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if events.watcher().is_none() {
            let watcher = Watcher::start(events.listeners().clone(), self.is_private(), &self.known())?;
            events.watcher.get_or_init(|| watcher);
        }
        Ok(())
    }
}
