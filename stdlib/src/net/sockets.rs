//! The sockets of a namespace that wait for connections or datagrams, as `sock_diag(7)` reports them.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use nix::errno::Errno;

use super::connection::{Connection, Query};
use super::{DEADLINE, Net};
use crate::error::Result;

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Tcp => IPPROTO_TCP,
            Self::Udp => IPPROTO_UDP,
        }
    }

    /// The states in which a socket waits. A UDP socket that is bound and not connected is in the state CLOSE
    /// (`net/ipv4/udp_diag.c`).
    fn waiting(self) -> StateFlags {
        match self {
            Self::Tcp => StateFlags::LISTEN,
            Self::Udp => StateFlags::CLOSE,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Asks for sockets, with a netlink socket of its own.
pub(crate) struct Sockets<'a> {
    net: &'a Net,
    connection: RefCell<Connection>,
}

impl Net {
    /// A netlink socket that asks for the sockets of the namespace.
    pub(crate) fn sockets(&self) -> Result<Sockets<'_>> {
        let connection = self.open(|| Connection::open(netlink_sys::protocols::NETLINK_SOCK_DIAG))?;
        Ok(Sockets { net: self, connection: RefCell::new(connection) })
    }
}

impl Sockets<'_> {
    /// Where something waits for connections or datagrams, in both families. Like `ss -Hltn`, `ss -Hlun`.
    pub(crate) fn listening(&self, protocol: Protocol) -> Result<Vec<SocketAddr>> {
        let mut all = Vec::new();
        for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let request = InetRequest {
                family,
                protocol: protocol.number(),
                extensions: ExtensionFlags::empty(),
                states: protocol.waiting(),
                socket_id,
            };
            let mut connection = self.connection.borrow_mut();
            let asked = connection.request(SockDiagMessage::InetRequest(request), Query::Dump);
            match self.net.wait(DEADLINE, async { Ok(asked.await) })? {
                Ok(replies) => all.extend(replies.into_iter().filter_map(|reply| match reply {
                    SockDiagMessage::InetResponse(socket) => {
                        let id = socket.header.socket_id;
                        Some(SocketAddr::new(id.source_address, id.source_port))
                    }
                    _ => None,
                })),
                // A kernel without IPv6, or without the module of the protocol: nothing can listen there.
                Err(refusal) if refusal.errno == Errno::ENOENT => {}
                Err(refusal) => return Err(refusal.into_error("list sockets").within(self.net.label())),
            }
        }
        Ok(all)
    }
}

/// Whether a socket bound to `bound` receives what is sent to `address`. The address `::` takes IPv4 too, unless the
/// program asked for IPv6 alone, which cannot be seen without root.
pub(crate) fn receives(bound: IpAddr, address: IpAddr) -> bool {
    bound == address || bound.is_unspecified() && (bound.is_ipv6() || address.is_ipv4())
}
