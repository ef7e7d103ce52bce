//! The kernel's network objects, typed, one file each. No Rhai, no printing.
//!
//! [`Net`] is one network namespace: its descriptor, one cached netlink socket, and the sockets of `ping`. All of
//! them keep the namespace alive, so all of them go when it is deleted.

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use netlink_packet_core::NetlinkDeserializable;
use netlink_packet_route::RouteNetlinkMessage;

use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::handle::NsHandle;
use crate::exec::hop;
use crate::exec::view::View;
use connection::{Connection, Query, Refusal, Write};
use permit::Permit;

pub mod addr;
pub(crate) mod connection;
pub mod firewall;
pub(crate) mod keep;
pub mod link;
mod monitor;
pub(crate) mod neigh;
mod nsid;
pub(crate) mod permit;
pub mod probe;
pub mod route;
pub mod sockets;
pub mod sysctl;

/// How long the kernel may take to answer one request.
const DEADLINE: Duration = Duration::from_secs(10);

/// One network namespace, open.
pub struct Net {
    exec: Arc<Executor>,
    ns: NsHandle,
    label: String,
    /// Whether the interpreter's threads are in it: nothing has to be entered.
    is_home: bool,
    route: OnceLock<Mutex<Connection>>,
    pub(crate) echo: probe::Sockets,
    /// What programs see in it. All handles of the namespace share it.
    pub(crate) view: Arc<OnceLock<View>>,
    monitor: monitor::Slot,
    address_monitor: monitor::Slot,
    /// Whether there may be IPv6 addresses that were assigned: never before nslab or a program of its adds one.
    may_have_ipv6: AtomicBool,
}

impl Net {
    /// An open namespace, with the netlink socket that was opened when it was created, if any.
    pub(crate) fn new(exec: Arc<Executor>, ns: NsHandle, label: String, connection: Option<Connection>) -> Self {
        let may_have_ipv6 = AtomicBool::new(connection.is_none());
        let route = OnceLock::new();
        if let Some(connection) = connection {
            let _ = route.set(Mutex::new(connection));
        }
        Self {
            exec,
            ns,
            label,
            is_home: false,
            route,
            echo: probe::Sockets::default(),
            view: Arc::default(),
            monitor: monitor::Slot::new(),
            address_monitor: monitor::Slot::new(),
            may_have_ipv6,
        }
    }

    /// Says that there may be assigned IPv6 addresses from now on.
    pub(crate) fn expect_ipv6(&self) {
        self.may_have_ipv6.store(true, Ordering::Relaxed);
    }

    /// Shares the view of `other`, which is a handle of the same namespace.
    pub(crate) fn seeing_as(self, other: &Self) -> Self {
        Self { view: other.view.clone(), ..self }
    }

    /// Marks it as the namespace that the interpreter's threads are in.
    pub(crate) fn at_home(self) -> Self {
        Self { is_home: true, ..self }
    }

    /// The namespace.
    #[must_use]
    pub fn handle(&self) -> &NsHandle {
        &self.ns
    }

    /// What a sentence calls it: ``namespace `netns1` ``.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The executor that waits for its sockets.
    pub(crate) fn exec(&self) -> &Executor {
        &self.exec
    }

    /// Opens something inside the namespace.
    pub(crate) fn open<T: Send>(&self, open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let opened = if self.is_home { open() } else { hop::hop(self.ns.as_fd(), open) };
        opened.map_err(|e| e.within(&self.label))
    }

    /// Asks on the cached connection; `op` names the request in an error.
    pub(crate) fn request(
        &self,
        message: RouteNetlinkMessage,
        query: Query,
        op: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        self.try_request(message, query)?.map_err(|refusal| refusal.into_error(op()).within(&self.label))
    }

    /// As [`Net::request`], with the answer read as `R` and the kernel's refusal as a value.
    pub(crate) fn try_request<R: NetlinkDeserializable + Debug>(
        &self,
        message: RouteNetlinkMessage,
        query: Query,
    ) -> Result<Result<Vec<R>, Refusal>> {
        let mut connection = self.connection()?;
        self.exec.block_on(DEADLINE, async { Ok(connection.request(message, query).await) })
    }

    /// Changes something; `op` names it in an error.
    pub(crate) fn change(
        &self,
        permit: &impl Permit,
        message: RouteNetlinkMessage,
        write: Write,
        op: impl Fn() -> String,
    ) -> Result<()> {
        let changed = self.try_change::<RouteNetlinkMessage>(permit, message, write)?;
        changed.map(drop).map_err(|refusal| refusal.into_error(op()).within(&self.label))
    }

    /// As [`Net::change`], with the answer read as `R` and the kernel's refusal as a value.
    pub(crate) fn try_change<R: NetlinkDeserializable + Debug>(
        &self,
        permit: &impl Permit,
        message: RouteNetlinkMessage,
        write: Write,
    ) -> Result<Result<Vec<R>, Refusal>> {
        let mut connection = self.connection()?;
        self.exec.block_on(DEADLINE, async { Ok(connection.change(permit, message, write).await) })
    }

    /// The cached connection. A leaf lock: it is held while the kernel answers, and nothing else is taken under it.
    fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        let connection = match self.route.get() {
            Some(connection) => connection,
            None => {
                let opened = self.open(|| Connection::open(netlink_sys::protocols::NETLINK_ROUTE))?;
                self.route.get_or_init(|| Mutex::new(opened))
            }
        };
        Ok(connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn wait<T>(&self, deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.exec.block_on(deadline, work)
    }
}

/// The error of a request that the kernel did not answer.
pub(crate) fn no_answer(op: String) -> Error {
    Error::sys(op, nix::errno::Errno::EBADMSG).detail("the kernel sent no answer")
}
