//! What every network namespace that nslab creates starts with.

use std::fs::File;
use std::io::{ErrorKind, Write};

use crate::error::{Error, Result};

/// Duplicate address detection of links that are created from now on.
const ACCEPT_DAD: &str = "/proc/sys/net/ipv6/conf/default/accept_dad";

/// Sets the defaults of the calling thread's network namespace, which must be new.
///
/// Duplicate address detection is off. With it the link-local address of a new link is tentative for one to two seconds,
/// and so long a router cannot resolve its IPv6 neighbours (`addrconf_dad_begin` in `net/ipv6/addrconf.c`).
pub(crate) fn set_defaults() -> Result<()> {
    match File::options().write(true).open(ACCEPT_DAD).and_then(|mut file| file.write_all(b"0")) {
        Ok(()) => Ok(()),
        // A kernel without IPv6; a container whose /proc/sys is read-only.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem) => Ok(()),
        Err(error) => Err(Error::io(format!("write `{ACCEPT_DAD}`"), &error)),
    }
}
