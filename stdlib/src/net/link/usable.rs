//! When a link can carry packets.

use std::time::Duration;

use netlink_packet_route::link::State;

use super::glance::Glance;
use super::info::state_name;
use super::{Net, Which};
use crate::error::{Error, Kind, Result};

/// The longest time that the kernel may take.
const DEADLINE: Duration = Duration::from_secs(10);

impl Net {
    /// Has the kernel complete a change of carrier, which it does later from a work queue (`net/core/link_watch.c`), and
    /// on recent kernels when the link is read *by index*.
    pub(crate) fn run_link_watch(&self, index: u32) -> Result<()> {
        self.find::<Glance>(Which::Index(index)).map(drop)
    }

    /// Waits until a link that is up can carry packets, or its state shows that it has no carrier.
    ///
    /// After "up" the kernel reconfigures the queueing layer later, from a work queue (`net/core/link_watch.c`). A
    /// packet sent before is dropped, and ARP retries only after a second. Recent kernels run that work when the link
    /// is read *by index*; on older ones this polls until it is done. Returns whether the link has carrier and a peer.
    pub(crate) fn wait_usable(&self, index: u32) -> Result<bool> {
        let mut state = State::Unknown;
        let usable = self.exec().poll_until(DEADLINE, Duration::from_micros(50), Duration::from_millis(20), || {
            let Some(link) = self.find::<Glance>(Which::Index(index))? else { return Ok(Some(false)) };
            state = link.state();
            Ok(link.is_settled().then(|| link.has_carrier() && link.peer_index.is_some()))
        })?;
        usable.ok_or_else(|| {
            Error::plain(Kind::Timeout, format!("wait for link {index} to be usable"))
                .within(self.label())
                .detail(format!("its state is {}", state_name(state)))
        })
    }
}
