//! Creating a link of any kind.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind};
use nix::errno::Errno;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::glance::Glance;
use super::kinds::NewLink;
use super::{Net, Which};
use crate::error::{Error, Result};
use crate::name::IfName;
use crate::net::connection::{Refusal, Write};
use crate::net::permit::Permit;

impl Net {
    /// Creates a link, which starts DOWN. Like `ip link add name NAME type KIND …`.
    ///
    /// Returns the indices of the link and of its peer, where the kernel reports them (Linux 6.3).
    pub(crate) fn add_link(&self, permit: &impl Permit, new: &NewLink) -> Result<[Option<u32>; 2]> {
        let info_kind = InfoKind::Other(new.kind.name.into());
        let mut message = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(info_kind).name(new.name.as_str());
        if let Some(lower) = new.lower {
            message = message.link(lower);
        }
        if let Some(data) = &new.data {
            message = message.set_info_data(data.clone());
        }
        let message = RouteNetlinkMessage::NewLink(message.build());
        let made = self.try_change::<Glance>(permit, message, Write::CreateAndGet)?.map_err(|refusal| {
            let error = self.refused(permit, new, refusal);
            match error.errno {
                Some(Errno::EEXIST) => error.hint(format!(
                    "{} has a link `{}` already: choose another name, or `delete` it",
                    self.label(),
                    new.name
                )),
                _ => error,
            }
        })?;
        let made = made.into_iter().next();
        Ok([made.map(|link| link.index), made.and_then(|link| link.peer_index)])
    }

    fn refused(&self, permit: &impl Permit, new: &NewLink, refusal: Refusal) -> Error {
        let op = format!("create {} `{}`{}", new.kind.name, new.name, new.with);
        // The number alone has other causes.
        let unknown = refusal.errno == Errno::EOPNOTSUPP
            && match &refusal.text {
                Some(text) => text.contains("Unknown device type"),
                None => self.has_link_kind(permit, new.kind.name).is_ok_and(|known| !known),
            };
        let error = refusal.into_error(op).within(self.label());
        if unknown { error.hint(new.kind.missing()) } else { error }
    }

    /// Whether the kernel has a kind of link: it is asked for one without the attributes that the kind requires. An
    /// unknown kind is refused before those are read (`rtnl_newlink` in `net/core/rtnetlink.c`).
    pub(crate) fn has_link_kind(&self, permit: &impl Permit, kind: &str) -> Result<bool> {
        Ok(self.try_link(permit, InfoKind::Other(kind.into()), None)? != Some(Errno::EOPNOTSUPP))
    }

    /// Creates a link that is deleted at once. Returns the error number of a refusal.
    pub(crate) fn try_link(
        &self,
        permit: &impl Permit,
        kind: InfoKind,
        data: Option<InfoData>,
    ) -> Result<Option<Errno>> {
        const NAME: &str = "nslab-probe";
        let mut message = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind).name(NAME);
        if let Some(data) = data {
            message = message.set_info_data(data);
        }
        let message = RouteNetlinkMessage::NewLink(message.build());
        match self.try_change::<Glance>(permit, message, Write::Create)? {
            Ok(_) => self.delete_link(permit, &IfName::new(NAME)?).map(|()| None),
            Err(refusal) => Ok(Some(refusal.errno)),
        }
    }

    /// Whether there is a link called `name`.
    pub(crate) fn has_link(&self, name: &IfName) -> bool {
        self.find_link(Which::Name(name)).is_ok_and(|link| link.is_some())
    }
}
