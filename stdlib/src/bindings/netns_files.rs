//! The options of `netns`: files that the programs in a namespace see.

use std::fmt::Write;
use std::net::IpAddr;

use rhai::{Array, Dynamic, ImmutableString, Map};

use super::core::options::{FromOptions, Options};
use crate::catalog::Key;
use crate::error::Result;
use crate::lab::Files;

/// What a file of `hosts` begins with, so that `localhost` works as everywhere.
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The files that the options of `netns` describe.
pub(super) struct FileOptions(pub(super) Files);

impl FromOptions for FileOptions {
    const KEYS: &'static [Key] = &[
        Key::new("hosts", "what its programs see as `/etc/hosts`: a map of names to an address or a list, or the text"),
        Key::new("resolv_conf", "what its programs see as `/etc/resolv.conf`: a list of name servers, or the text"),
    ];
    fn from(options: &mut Options) -> Result<Self> {
        let hosts = options.accepted("hosts", "a map of names to addresses, or the text of the file", hosts)?;
        let resolv_conf = options.accepted(
            "resolv_conf",
            "a list of addresses of name servers, or the text of the file",
            resolv_conf,
        )?;
        let files = [("hosts", hosts), ("resolv.conf", resolv_conf)];
        Ok(Self(files.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()))
    }
}

/// A text file: its last line has an end.
fn text(value: &Dynamic) -> Option<String> {
    let text = value.read_lock::<ImmutableString>()?.to_string();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Some(text + end)
}

/// One address, or a list of addresses.
fn addresses(value: &Dynamic) -> Option<Vec<IpAddr>> {
    let address = |value: &Dynamic| value.read_lock::<ImmutableString>()?.parse::<IpAddr>().ok();
    match value.read_lock::<Array>() {
        Some(list) => list.iter().map(address).collect(),
        None => address(value).map(|address| vec![address]),
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn hosts(value: &Dynamic) -> Option<String> {
    let Some(map) = value.read_lock::<Map>() else { return text(value) };
    let mut file = LOCALHOST.to_owned();
    for (name, value) in map.iter() {
        for address in addresses(value).filter(|_| is_host_name(name))? {
            let _ = writeln!(file, "{address}\t{name}");
        }
    }
    Some(file)
}

fn resolv_conf(value: &Dynamic) -> Option<String> {
    if !value.is_array() {
        return text(value);
    }
    let lines: Vec<String> = addresses(value)?.iter().map(|address| format!("nameserver {address}\n")).collect();
    Some(lines.concat())
}
