//! Gives the kernel back what it removed.

use std::time::Duration;

use nix::errno::Errno;

use super::message::{ADDRESS, Message, NEIGHBOUR, ROUTE};
use super::{Kept, Net};
use crate::error::{Error, Result};
use crate::net::connection::{Refusal, Write};
use crate::net::link::Which;
use crate::net::permit::Permit;

/// How long the kernel may take until it accepts everything: a link gets its carrier, an IPv6 address passes duplicate
/// address detection.
const PATIENCE: Duration = Duration::from_secs(3);

impl Net {
    /// Makes sure that all of `kept` is there, each with the seconds since it was kept. What fails is returned, and
    /// the rest is done all the same.
    ///
    /// Objects depend on each other and on carriers, so what is refused is tried again as long as that may help.
    pub(crate) fn restore(&self, permit: &impl Permit, kept: &[(Kept, u32)]) -> Vec<Error> {
        let mut wanted: Vec<Message> = Vec::new();
        for (kept, elapsed) in kept {
            // The first one is the oldest.
            if let Some(message) = kept.0.aged(*elapsed)
                && wanted.iter().all(|other| other.key() != message.key())
            {
                wanted.push(message);
            }
        }
        wanted.sort_by_key(Message::rank);
        let mut refused = Vec::new();
        let done = self.exec.poll_until(PATIENCE, Duration::from_millis(5), Duration::from_millis(100), || {
            loop {
                let (left, progress) = self.restore_once(permit, &wanted)?;
                refused = left;
                match (refused.is_empty(), progress) {
                    (true, _) => return Ok(Some(())),
                    (false, true) => {} // it may be what another one needs
                    (false, false) => return Ok(None),
                }
            }
        });
        let mut errors: Vec<Error> = refused
            .into_iter()
            .map(|(message, refusal)| {
                let link = |index| match self.find_link(Which::Index(index)) {
                    Ok(Some(link)) => link.name,
                    _ => index.to_string(),
                };
                refusal.into_error(format!("restore {}", message.shown(link))).within(&self.label)
            })
            .collect();
        errors.extend(done.err());
        errors
    }

    /// Adds what is missing. Returns what the kernel refuses, and whether it has accepted anything.
    fn restore_once(&self, permit: &impl Permit, wanted: &[Message]) -> Result<(Vec<(Message, Refusal)>, bool)> {
        let there: Vec<Message> = self.dump_all()?.into_iter().filter_map(Message::normal).collect();
        let (mut refused, mut progress) = (Vec::new(), false);
        let has_address =
            |route: &Message| there.iter().chain(wanted).any(|m| m.object() == ADDRESS && route.leads_to(m));
        for message in wanted {
            if message.is_kernel_route() && !has_address(message) {
                continue; // the address is gone, and the route belongs to it
            }
            let now = there.iter().find(|other| other.key() == message.key());
            let write = match now {
                Some(now) if message.is_same(now) || message.object() == ADDRESS => continue,
                Some(now) if message.became(now) => Write::Replace,
                Some(_) if message.object() == ROUTE => {
                    let refusal =
                        Refusal { errno: Errno::EEXIST, text: Some("another route has taken its place".into()) };
                    refused.push((message.clone(), refusal));
                    continue;
                }
                Some(_) => continue, // the neighbour has been given another address
                None if message.object() == ROUTE => Write::Append,
                None if message.object() == NEIGHBOUR => Write::Replace, // of one that was resolved meanwhile
                None => Write::Create,
            };
            match self.try_write(permit, message.clone(), write)? {
                Ok(()) => progress = true,
                Err(refusal) if refusal.errno == Errno::EEXIST => {}
                // The link is gone, and all that was on it.
                Err(refusal) if refusal.errno == Errno::ENODEV && message.links().len() == 1 => {}
                // It was kept while a session had the link up, and the link is down as it was before.
                Err(refusal) if refusal.errno == Errno::ENETDOWN && self.has_down_link(message)? => {}
                Err(refusal) => refused.push((message.clone(), refusal)),
            }
        }
        Ok((refused, progress))
    }

    fn has_down_link(&self, message: &Message) -> Result<bool> {
        for index in message.links() {
            if self.find_link(Which::Index(index))?.is_some_and(|link| !link.is_up()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what the kernel has made for the addresses in `kept` and was not there: a route that a program had
    /// deleted, a link-local address that is computed from the present hardware address. `kept` has all routes that were
    /// there for these addresses.
    pub(crate) fn remove_what_came_back(&self, permit: &impl Permit, kept: &[Kept]) -> Result<()> {
        let wanted: Vec<&Message> = kept.iter().map(|kept| &kept.0).collect();
        let addresses: Vec<&Message> = wanted.iter().copied().filter(|message| message.object() == ADDRESS).collect();
        let macs =
            |link: u32| self.find_link(Which::Index(link)).map(|link| link.map(|link| link.mac).unwrap_or_default());
        let mut outdated: Vec<u32> = Vec::new();
        for address in addresses.iter().filter(|address| address.is_kernel_address()) {
            if !address.is_made_of(&macs(address.word(4))?) {
                outdated.push(address.word(4));
            }
        }
        let remove = || {
            for message in self.dump_all()?.into_iter().filter_map(Message::normal) {
                let extra_route =
                    message.is_kernel_route() && addresses.iter().any(|address| message.leads_to(address));
                let other_address = message.is_kernel_address()
                    && addresses.iter().any(|old| old.is_kernel_address() && old.links() == message.links());
                if (extra_route || other_address) && wanted.iter().all(|old| old.key() != message.key()) {
                    outdated.retain(|link| !other_address || *link != message.word(4));
                    // It may be gone by itself.
                    drop(self.try_write(permit, message.deletion(), Write::Do)?);
                }
            }
            // The kernel makes such an address when the link has its carrier.
            Ok(outdated.is_empty().then_some(()))
        };
        self.exec.poll_until(PATIENCE, Duration::from_millis(5), Duration::from_millis(100), remove).map(drop)
    }

    fn try_write(&self, permit: &impl Permit, message: Message, write: Write) -> Result<Result<(), Refusal>> {
        let mut connection = self.connection()?;
        let done = self.exec.block_on(crate::net::DEADLINE, async {
            Ok(connection.change::<_, Message>(permit, message, write).await)
        })?;
        Ok(done.map(drop))
    }
}
