//! What a change of a link takes with it, apart from what the sessions themselves have added.

use ipnet::IpNet;

use super::LinkChange;
use crate::error::{Error, Kind, Result};
use crate::lab::NetNs;
use crate::lab::host::journal::{Journal, place_of};
use crate::lab::host::sessions::Other;
use crate::lab::host::step::{Lost, Resource, Step, Value};
use crate::lab::host::undo::is_address;
use crate::lab::host::value::{plain, up_word};
use crate::net::Net;
use crate::net::keep::{Followers, Kept};
use crate::net::link::LinkInfo;

/// The smallest MTU that IPv6 works with. Below it the kernel removes IPv6 from a link.
const IPV6_MTU: u32 = 1280;

/// The smallest MTU that IPv4 works with.
const IPV4_MTU: u32 = 68;

/// What this session and the others have added in a namespace: it is not to be restored as if it had been there before.
pub(super) struct Added<'a> {
    pub(super) journal: &'a Journal,
    pub(super) ns: &'a NetNs,
    pub(super) others: Vec<Other>,
}

impl Added<'_> {
    pub(super) fn by_us(&self, index: u32, address: IpNet) -> bool {
        self.journal.memory().addresses.contains(&(self.ns.inode().ino, index, address))
    }

    /// Refuses to remove an IPv4 address with which the kernel removes others of its network.
    pub(super) fn refuse_secondaries(&self, net: &Net, link: &LinkInfo, address: IpNet) -> Result<()> {
        let IpNet::V4(_) = address else { return Ok(()) };
        let promoted = ["all".to_owned(), link.name.replace('.', "/")].iter().any(|name| {
            net.sysctl(&format!("net.ipv4.conf.{name}.promote_secondaries")).is_ok_and(|value| value != "0")
        });
        let network: Vec<IpNet> =
            net.addrs(Some(link.index))?.iter().map(|a| a.net).filter(|a| a.trunc() == address.trunc()).collect();
        let foreign = network.iter().skip(1).find(|other| !self.by_us(link.index, **other));
        match foreign {
            Some(other) if !promoted && network.first() == Some(&address) => {
                Err(Error::plain(Kind::Permission, format!("cannot remove the address `{address}` of `{}`", link.name))
                    .hint(format!("the kernel would remove `{other}` with it, which this lab did not add"))
                    .hint(format!("`sysctl(\"net.ipv4.conf.{}.promote_secondaries\", 1)` keeps it", link.name)))
            }
            _ => Ok(()),
        }
    }

    /// The step that sets a link up, down, or its MTU, with what follows from it.
    pub(super) fn setting(&self, net: &Net, link: &LinkInfo, change: LinkChange) -> Result<Step> {
        let links = net.links()?;
        let followers = Followers::of(link.index, &links);
        let stacked = links.iter().filter(|other| followers.stacked.contains(&other.index));
        let mut values = Vec::new();
        for link in std::iter::once(link).chain(stacked) {
            values.push(match change {
                LinkChange::Mtu(mtu) => {
                    let to = if values.is_empty() { mtu } else { mtu.min(link.mtu) };
                    Value { of: Resource::Mtu(link.index), was: link.mtu.to_string(), to: Some(to.to_string()) }
                }
                _ => {
                    let to = up_word(matches!(change, LinkChange::Up)).to_owned();
                    Value { of: Resource::Up(link.index), was: up_word(link.is_up()).to_owned(), to: Some(to) }
                }
            });
        }
        let changes = values[0].to.as_ref() != Some(&values[0].was);
        if let LinkChange::Mtu(mtu) = change
            && changes
        {
            let changed = links.iter().filter(|l| l.index == link.index || followers.stacked.contains(&l.index));
            for link in changed {
                refuse_what_cannot_come_back(net, link, mtu)?;
                for key in sysctls_with_mtu(&link.name.replace('.', "/"), mtu) {
                    let old = net.sysctls_like(&key)?;
                    values.extend(old.into_iter().map(|(key, was)| Value {
                        of: Resource::Sysctl(key),
                        was: plain(&was),
                        to: None,
                    }));
                }
            }
        }
        let lost = if changes { self.lost(net, link.index, &followers)? } else { Vec::new() };
        Ok(Step::Sets { values, lost, was_up: link.is_up() })
    }

    /// What the kernel removes with a link, without what this session has added.
    fn lost(&self, net: &Net, index: u32, followers: &Followers) -> Result<Vec<Lost>> {
        let place = place_of(self.ns)?;
        let memory = self.journal.memory();
        let here = self.ns.inode().ino;
        let ours = |kept: &Kept| {
            memory.addresses.iter().any(|(ns, index, address)| *ns == here && is_address(kept, *index, address))
                || memory.routes.iter().any(|(ns, dst, metric)| *ns == here && is_route(kept, dst, *metric))
        };
        let session = |kept: &Kept| {
            let adds = |other: &&Other| {
                other.entries().iter().filter(|entry| entry.at == place).any(|entry| match &entry.step {
                    Step::AddsAddress { index, address } => is_address(kept, *index, address),
                    Step::AddsRoute { dst, metric, .. } => is_route(kept, dst, *metric),
                    _ => false,
                })
            };
            self.others.iter().find(adds).map(|other| other.name.clone())
        };
        let there = net.what_goes_with(index, followers)?.into_iter().filter(|kept| !ours(kept));
        let (of_others, mut before): (Vec<Kept>, Vec<Kept>) = there.partition(|kept| session(kept).is_some());
        Kept::drop_routes_of_other_addresses(&mut before);
        let all = before.into_iter().chain(of_others);
        Ok(all.map(|kept| Lost { message: kept.encode(), session: session(&kept) }).collect())
    }
}

fn is_route(kept: &Kept, dst: &IpNet, metric: u32) -> bool {
    kept.is_route(dst.addr(), dst.prefix_len(), metric)
}

/// Refuses an MTU with which the kernel forgets what no message can give back.
fn refuse_what_cannot_come_back(net: &Net, link: &LinkInfo, mtu: u32) -> Result<()> {
    let mut forgotten = Vec::new();
    if mtu < IPV6_MTU {
        forgotten.extend(net.ipv6_token(link.index)?.map(|token| format!("the token `{token}`")));
        forgotten.extend(net.joined_groups(&link.name, true)?.into_iter().map(|group| format!("the group `{group}`")));
    }
    if mtu < IPV4_MTU {
        forgotten.extend(net.joined_groups(&link.name, false)?.into_iter().map(|group| format!("the group `{group}`")));
    }
    if forgotten.is_empty() {
        return Ok(());
    }
    let text = format!("cannot set the MTU of `{}` to {mtu} here", link.name);
    Err(Error::plain(Kind::Permission, text).hint(format!(
        "the kernel would remove IPv6 from the link, and with it {}, which this lab could not put back",
        forgotten.join(", ")
    )))
}

/// The sysctls that the kernel changes with the MTU of a link: below the smallest MTU of a protocol it forgets them all
/// (`inetdev_valid_mtu` in net/ipv4/devinet.c, `addrconf_notify` in net/ipv6/addrconf.c).
fn sysctls_with_mtu(name: &str, mtu: u32) -> Vec<String> {
    let of = |family: &str| [format!("net.{family}.conf.{name}.*"), format!("net.{family}.neigh.{name}.*")];
    match mtu {
        0..IPV4_MTU => [of("ipv4"), of("ipv6")].concat(),
        IPV4_MTU..IPV6_MTU => of("ipv6").to_vec(),
        _ => vec![format!("net.ipv6.conf.{name}.mtu")],
    }
}
