//! Links: find, change, move and delete them. How each kind is created is in [`kinds`].

use std::fmt::Debug;
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{DefaultNla, NetlinkDeserializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use nix::errno::Errno;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::Net;
use super::connection::{Query, Write};
use super::permit::Permit;
use crate::error::{Error, Result};
use crate::name::{IfName, printable};
use glance::Glance;

mod add;
mod glance;
mod info;
pub mod kinds;
mod usable;

pub use info::LinkInfo;

/// Which link is meant.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a IfName),
    Index(u32),
}

impl Which<'_> {
    pub(super) fn message(self) -> LinkMessageBuilder<LinkUnspec> {
        match self {
            Which::Name(name) if name.is_long() => {
                let text = [name.as_str().as_bytes(), &[0]].concat();
                let attribute = LinkAttribute::Other(DefaultNla::new(libc::IFLA_ALT_IFNAME, text));
                LinkMessageBuilder::<LinkUnspec>::default().append_extra_attribute(attribute)
            }
            Which::Name(name) => LinkUnspec::new_with_name(name.as_str()),
            Which::Index(index) => LinkUnspec::new_with_index(index),
        }
    }
}

/// Asks for links without their counters, which are half of the answer and are not used.
fn get(mut message: LinkMessage) -> RouteNetlinkMessage {
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RouteNetlinkMessage::GetLink(message)
}

/// A change to an existing link.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    Up,
    Down,
    Mtu(u32),
    Mac(&'a [u8]),
    Master(Option<u32>),
    Name(&'a IfName),
}

/// The devices that tunnel modules add to every namespace once they are loaded
/// (`net.core.fb_tunnels_only_for_init_net`).
const FALLBACK: [&str; 10] =
    ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6gre0", "ip6_vti0", "ip6erspan0"];

impl Net {
    /// All links.
    ///
    /// # Errors
    /// The kernel's.
    pub fn links(&self) -> Result<Vec<LinkInfo>> {
        let replies = self.request(get(LinkMessage::default()), Query::Dump, || "list links".into())?;
        Ok(replies.iter().filter_map(link_of).collect())
    }

    /// One link. The error lists the links that exist.
    pub(crate) fn link(&self, which: Which<'_>) -> Result<LinkInfo> {
        let op = || match which {
            Which::Name(name) => format!("read link `{name}`"),
            Which::Index(index) => format!("read link {index}"),
        };
        self.find_link(which)?.ok_or_else(|| self.no_link(Error::sys(op(), Errno::ENODEV).within(self.label())))
    }

    /// One link, or none.
    pub(crate) fn find_link(&self, which: Which<'_>) -> Result<Option<LinkInfo>> {
        Ok(self.find(which)?.as_ref().and_then(link_of))
    }

    /// The index of a link.
    pub(crate) fn link_index(&self, name: &IfName) -> Result<u32> {
        match self.find::<Glance>(Which::Name(name))? {
            Some(link) => Ok(link.index),
            None => self.link(Which::Name(name)).map(|link| link.index), // for its error
        }
    }

    fn find<R: NetlinkDeserializable + Debug>(&self, which: Which<'_>) -> Result<Option<R>> {
        match self.try_request(get(which.message().build()), Query::Get)? {
            Ok(replies) => Ok(replies.into_iter().next()),
            Err(refusal) if refusal.errno == Errno::ENODEV => Ok(None),
            Err(refusal) => Err(refusal.into_error("read a link").within(self.label())),
        }
    }

    /// Adds the links that exist to the error about one that does not.
    fn no_link(&self, error: Error) -> Error {
        match self.links() {
            Ok(links) if !links.is_empty() => {
                let links: Vec<_> = links.iter().filter(|link| !FALLBACK.contains(&link.name.as_str())).collect();
                let names: Vec<_> = links.iter().take(8).map(|link| printable(&link.name)).collect();
                let more = if links.len() > 8 { ", …" } else { "" };
                error.hint(format!("the links there are: {}{more}", names.join(", ")))
            }
            _ => error,
        }
    }

    /// Changes a link. Like `ip link set dev NAME …`.
    pub(crate) fn change_link(
        &self,
        permit: &impl Permit,
        which: Which<'_>,
        change: Change<'_>,
        op: impl Fn() -> String,
    ) -> Result<()> {
        let message = match (which, change) {
            (_, Change::Up) => which.message().up(),
            (_, Change::Down) => which.message().down(),
            (_, Change::Mtu(mtu)) => which.message().mtu(mtu),
            (_, Change::Mac(address)) => which.message().address(address.to_vec()),
            (_, Change::Master(index)) => which.message().controller(index.unwrap_or(0)),
            (_, Change::Name(name)) => which.message().name(name.as_str()),
        };
        self.set_link(permit, message.build(), op)
    }

    /// Moves a link into the namespace `target`. Like `ip link set dev NAME netns TARGET`.
    pub(crate) fn move_link(&self, permit: &impl Permit, name: &IfName, target: &Net) -> Result<()> {
        let message = Which::Name(name).message().setns_by_fd(target.handle().as_fd().as_raw_fd()).build();
        let op = || format!("move link `{name}` to {}", target.label());
        self.set_link(permit, message, op).map_err(|error| match error.errno {
            Some(Errno::EINVAL | Errno::EOPNOTSUPP) if name.as_str() == "lo" => error.hint(
                "each namespace has its own loopback device, which stays where it is (netdevice.h, `netns_immutable`)",
            ),
            Some(Errno::EEXIST) => error.hint(format!("{} has a link `{name}` already", target.label())),
            _ => error,
        })
    }

    /// Moves a link into the network namespace of a process. Like `ip link set dev NAME netns PID`.
    pub(crate) fn move_link_to_pid(&self, permit: &impl Permit, name: &IfName, pid: u32) -> Result<()> {
        let message = Which::Name(name).message().setns_by_pid(pid).build();
        let op = || format!("move link `{name}` to the namespace of process {pid}");
        self.set_link(permit, message, op).map_err(|error| match error.errno {
            Some(Errno::ESRCH) => error.hint("no such process in the lab"),
            _ => error,
        })
    }

    fn set_link(&self, permit: &impl Permit, message: LinkMessage, op: impl Fn() -> String) -> Result<()> {
        let message = RouteNetlinkMessage::SetLink(message);
        self.change(permit, message, Write::Do, op).map_err(|error| match error.errno {
            Some(Errno::ENODEV) => self.no_link(error),
            _ => error,
        })
    }

    /// Deletes a link; its peer goes with it. Like `ip link del dev NAME`.
    pub(crate) fn delete_link(&self, permit: &impl Permit, name: &IfName) -> Result<()> {
        let message = RouteNetlinkMessage::DelLink(Which::Name(name).message().build());
        let op = || format!("delete link `{name}`");
        self.change(permit, message, Write::Do, op).map_err(|error| match error.errno {
            Some(Errno::ENODEV) => self.no_link(error),
            Some(Errno::EOPNOTSUPP) if name.as_str() == "lo" => error.hint("every namespace keeps its loopback device"),
            _ => error,
        })
    }
}

fn link_of(reply: &RouteNetlinkMessage) -> Option<LinkInfo> {
    match reply {
        RouteNetlinkMessage::NewLink(message) => Some(info::decode(message)),
        _ => None,
    }
}
