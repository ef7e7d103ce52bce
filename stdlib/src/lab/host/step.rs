//! The lines of a journal: the steps of a session, with what it takes to undo each.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::exec::handle::NsHandle;

/// Which namespace it was: the inode alone is used again by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    dev: u64,
    ino: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

impl Identity {
    pub(super) fn of(handle: &NsHandle) -> Self {
        let inode = handle.inode();
        Self { dev: inode.dev, ino: inode.ino, id: handle.unique_id() }
    }

    pub(super) fn is(&self, handle: &NsHandle) -> bool {
        *self == Self::of(handle)
    }
}

/// A namespace that this lab did not make and that is not the machine's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Elsewhere {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) ns: Identity,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// When the step was taken, in nanoseconds since boot. It orders the steps of several sessions.
    pub(super) time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Elsewhere>,
    #[serde(flatten)]
    pub(super) step: Step,
}

/// Something that has one value, which several sessions may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Resource {
    /// Whether a link, by index, is set up.
    Up(u32),
    /// The MTU of a link.
    Mtu(u32),
    /// The hardware address of a link.
    Mac(u32),
    /// A sysctl.
    Sysctl(String),
}

/// A change of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    pub(super) of: Resource,
    pub(super) was: String,
    /// What the step makes of it, if that is known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
}

/// An object that the kernel removes with a step, as its own message in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) message: String,
    /// The journal of the other session that added it: it is restored as long as that session lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
}

/// One step, with what it takes to undo it and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    /// The first line: where all of this happens. After a reboot, or elsewhere, the numbers below mean nothing.
    Began {
        boot: String,
        ns: Identity,
    },
    MakesNetnsDir,
    MountsNetnsDir,
    MakesNetns {
        name: String,
        ns: Identity,
    },
    /// It is gone again, or it was never made.
    LostNetns {
        name: String,
    },
    /// `mac` if the link exists already, elsewhere.
    WillMakeLink {
        name: String,
        above: u32,
        mac: Option<String>,
    },
    /// It was never made.
    LostLink {
        name: String,
    },
    MadeLink {
        name: String,
        index: u32,
        kind: String,
    },
    AddsAddress {
        index: u32,
        address: IpNet,
    },
    /// It is gone again, or it was never added.
    LostAddress {
        index: u32,
        address: IpNet,
    },
    AddsRoute {
        dst: IpNet,
        gateway: Option<IpAddr>,
        index: Option<u32>,
        metric: u32,
    },
    /// It is gone again, or it was never added.
    LostRoute {
        dst: IpNet,
        metric: u32,
    },
    /// Values that the step changes: the first by intent, the others because the kernel changes them with it.
    Sets {
        values: Vec<Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<Lost>,
        /// Whether the link was up, so that all routes which the kernel makes for its addresses are in `lost`.
        #[serde(default)]
        was_up: bool,
    },
    /// What the values were after the `Sets` step taken at that time.
    HasSet {
        at_time: u64,
        values: Vec<(Resource, String)>,
    },
    Started {
        pid: i32,
        start: u64,
    },
}
