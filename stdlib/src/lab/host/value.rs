//! Reading and writing the values that a session may change.

use nix::errno::Errno;

use super::permit::Permitted;
use super::step::Resource;
use crate::error::Result;
use crate::net::Net;
use crate::net::link::{Change, Which};

/// `text` with one blank for each run of blanks, as sysctls of several numbers are written and read differently.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The word for up and down.
pub(super) fn up_word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

impl Resource {
    /// The value now; none if there is no such link or sysctl any more.
    pub(super) fn read(&self, net: &Net) -> Result<Option<String>> {
        let link = |index: u32| net.find_link(Which::Index(index));
        match self {
            Self::Up(index) => Ok(link(*index)?.map(|link| up_word(link.is_up()).to_owned())),
            Self::Mtu(index) => Ok(link(*index)?.map(|link| link.mtu.to_string())),
            Self::Mac(index) => Ok(link(*index)?.map(|link| link.mac)),
            Self::Sysctl(key) => match net.sysctl(key) {
                Ok(text) => Ok(Some(plain(&text))),
                // EIO: a key that has no value yet, such as `stable_secret`.
                Err(error) if matches!(error.errno, Some(Errno::ENOENT | Errno::EIO)) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Gives it a value.
    pub(super) fn write(&self, net: &Net, permit: &Permitted, value: &str) -> Result<()> {
        let set = |index: u32, change: Change<'_>| {
            net.change_link(permit, Which::Index(index), change, || format!("restore {}", self.shown(net)))
        };
        match self {
            Self::Up(index) => set(*index, if value == "up" { Change::Up } else { Change::Down }),
            Self::Mtu(index) => set(*index, Change::Mtu(value.parse().unwrap_or(0))),
            Self::Mac(index) => {
                let bytes: Vec<u8> = value.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
                set(*index, Change::Mac(&bytes))
            }
            Self::Sysctl(key) => net.set_sysctl(permit, key, value).map(drop),
        }
    }

    /// How a sentence calls it.
    pub(super) fn shown(&self, net: &Net) -> String {
        let link = |index: u32| match net.find_link(Which::Index(index)) {
            Ok(Some(link)) => format!("link `{}`", link.name),
            _ => format!("link `{index}`"),
        };
        match self {
            Self::Up(index) => format!("the state of {}", link(*index)),
            Self::Mtu(index) => format!("the MTU of {}", link(*index)),
            Self::Mac(index) => format!("the hardware address of {}", link(*index)),
            Self::Sysctl(key) => format!("sysctl `{key}`"),
        }
    }
}
