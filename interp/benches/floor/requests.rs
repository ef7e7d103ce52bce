//! The requests of the workloads, each with the equivalent `ip` command.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::message::Message;

/// The index of `lo`, in every namespace.
pub(super) const LO: u32 = 1;

const UP: u32 = libc::IFF_UP.cast_unsigned();
/// `linux/veth.h`: the other end, described like a link of its own.
const VETH_INFO_PEER: u16 = 1;
/// `linux/rtnetlink.h`: leave out the counters, which no workload reads.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// One end of a cable: its name and its interface index.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) name: &'a str,
    pub(super) index: u32,
}

/// Creates both ends of a cable in one message. The near end is set up, and may be a port of the bridge `master`.
///
/// Like `ip link add NEAR master BRIDGE up type veth peer name FAR netns FAR_NS`, with `index` at both ends. The far end
/// cannot be set up in this message: it has no peer yet, and the kernel returns ENOTCONN.
pub(super) fn add_veth(near: End<'_>, master: Option<u32>, far: End<'_>, far_ns: BorrowedFd<'_>) -> Message {
    let message = create(libc::RTM_NEWLINK, &link(near.index, UP)).text(libc::IFLA_IFNAME, near.name);
    let message = match master {
        Some(bridge) => message.number(libc::IFLA_MASTER, bridge),
        None => message,
    };
    message.nest(libc::IFLA_LINKINFO, |info| {
        info.text(libc::IFLA_INFO_KIND, "veth").nest(libc::IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.raw(&link(far.index, 0))
                    .text(libc::IFLA_IFNAME, far.name)
                    .attribute(libc::IFLA_NET_NS_FD, &far_ns.as_raw_fd().to_ne_bytes())
            })
        })
    })
}

/// Like `ip link add NAME up type bridge`.
pub(super) fn add_bridge(bridge: End<'_>) -> Message {
    create(libc::RTM_NEWLINK, &link(bridge.index, UP))
        .text(libc::IFLA_IFNAME, bridge.name)
        .nest(libc::IFLA_LINKINFO, |info| info.text(libc::IFLA_INFO_KIND, "bridge"))
}

/// Like `ip link set NAME up`.
pub(super) fn set_up(index: u32) -> Message {
    request(libc::RTM_NEWLINK, libc::NLM_F_ACK, &link(index, UP))
}

/// Like `ip link show NAME`. The answer is the link, not an acknowledgement.
pub(super) fn get_link(index: u32) -> Message {
    request(libc::RTM_GETLINK, 0, &link(index, 0)).number(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
}

/// Like `ip address add ADDRESS/PREFIX dev NAME`.
pub(super) fn add_address(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let [i0, i1, i2, i3] = index.to_ne_bytes();
    create(libc::RTM_NEWADDR, &[INET, prefix, 0, libc::RT_SCOPE_UNIVERSE, i0, i1, i2, i3])
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets())
}

/// Like `ip route add TO/PREFIX via GATEWAY`; `0.0.0.0/0` is the default route.
pub(super) fn add_route(to: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> Message {
    let [table, protocol] = [libc::RT_TABLE_MAIN, libc::RTPROT_BOOT];
    let fixed = [INET, prefix, 0, 0, table, protocol, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST, 0, 0, 0, 0];
    let message = create(libc::RTM_NEWROUTE, &fixed);
    let message = if prefix == 0 { message } else { message.attribute(libc::RTA_DST, &to.octets()) };
    message.attribute(libc::RTA_GATEWAY, &gateway.octets())
}

/// A message that creates an object. It must not exist yet.
fn create(kind: u16, fixed: &[u8]) -> Message {
    request(kind, libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL, fixed)
}

fn request(kind: u16, flags: i32, fixed: &[u8]) -> Message {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "all flags of a netlink header fit in 16 bits"
    )]
    Message::new(kind, (libc::NLM_F_REQUEST | flags) as u16, fixed)
}

#[expect(clippy::cast_possible_truncation, reason = "AF_INET is 2")]
const INET: u8 = libc::AF_INET as u8;

/// `struct ifinfomsg`: family, padding, type, index, flags, and which flags to change.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&flags.to_ne_bytes());
    fixed
}
