//! The listeners of a lab's events. They come and go while events are published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Event;

/// A function that is called for each event.
type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// All listeners of a lab.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<List>);

#[derive(Default)]
struct List {
    next: u64,
    listeners: Vec<(u64, Listener)>,
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a listener, which stays until the subscription is dropped.
    pub(super) fn add(self: &Arc<Self>, listener: Listener) -> Subscription {
        let mut list = self.lock();
        let id = list.next;
        list.next += 1;
        list.listeners.push((id, listener));
        Subscription { id, listeners: Arc::downgrade(self) }
    }

    /// Calls every listener with `event`. No lock is held meanwhile: a listener may take its time, subscribe, or end
    /// a subscription.
    pub(crate) fn publish(&self, event: &Event) {
        let listeners: Vec<_> = self.lock().listeners.iter().map(|(_, listener)| listener.clone()).collect();
        for listener in listeners {
            listener(event);
        }
    }

    /// Whether there is no listener.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().listeners.is_empty()
    }
}

/// A subscription to the events of a lab. Dropping it ends it; a call that is under way still returns.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    id: u64,
    listeners: Weak<Listeners>,
}

impl Subscription {
    /// Keeps the subscription for as long as the lab lives.
    pub fn keep(mut self) {
        self.listeners = Weak::new();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.lock().listeners.retain(|(id, _)| *id != self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn event(name: &str) -> Event {
        Event::NameGone { name: name.into() }
    }

    fn subscribe(listeners: &Arc<Listeners>) -> (Subscription, Receiver<Event>) {
        let (sender, receiver) = channel();
        let subscription = listeners.add(Arc::new(move |event: &Event| drop(sender.send(event.clone()))));
        (subscription, receiver)
    }

    #[test]
    fn each_listener_gets_the_events_of_its_time() {
        let listeners = Arc::new(Listeners::default());
        listeners.publish(&event("before"));
        let (first, to_first) = subscribe(&listeners);
        listeners.publish(&event("one"));
        let (second, to_second) = subscribe(&listeners);
        listeners.publish(&event("two"));
        drop(first);
        listeners.publish(&event("three"));
        drop(second);
        listeners.publish(&event("after"));
        assert!(listeners.is_empty());
        assert_eq!(to_first.iter().collect::<Vec<_>>(), [event("one"), event("two")]);
        assert_eq!(to_second.iter().collect::<Vec<_>>(), [event("two"), event("three")]);
    }

    #[test]
    fn a_kept_subscription_stays() {
        let listeners = Arc::new(Listeners::default());
        let (subscription, to_us) = subscribe(&listeners);
        subscription.keep();
        listeners.publish(&event("one"));
        drop(listeners);
        assert_eq!(to_us.iter().collect::<Vec<_>>(), [event("one")]);
    }

    #[test]
    fn a_listener_may_end_its_own_subscription() {
        let listeners = Arc::new(Listeners::default());
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let subscription = listeners.add(Arc::new({
            let own = own.clone();
            move |_: &Event| drop(own.lock().expect("no panic").take())
        }));
        *own.lock().expect("no panic") = Some(subscription);
        listeners.publish(&event("one"));
        assert!(listeners.is_empty());
    }
}
