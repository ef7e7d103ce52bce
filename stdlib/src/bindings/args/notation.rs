//! Arguments that are written: names, addresses, durations, kinds of namespace, commands.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use rhai::{Array, Dynamic};

use super::{Arg, Call};
use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::exec::handle::NsKind;
use crate::name::{IfName, NsName, short};

impl Arg for NsName {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Namespaces;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::new(&String::take(call, name)?)
    }
}

impl Arg for IfName {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Links;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::new(&String::take(call, name)?)
    }
}

/// An address to talk to.
pub(crate) struct Target {
    pub addr: IpAddr,
    /// The link of a link-local address, after `%`.
    pub zone: Option<IfName>,
}

impl Target {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (addr, zone) = match text.split_once('%') {
            Some((addr, zone)) => (addr, Some(IfName::new(zone)?)),
            None => (text, None),
        };
        match addr.parse() {
            Ok(addr) => Ok(Self { addr, zone }),
            Err(_) => Err(bad_address(text)),
        }
    }
}

impl Arg for Target {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Addresses;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = call.take_text().ok_or_else(|| call.wrong(name, "an address such as \"10.1.1.1\""))?;
        Self::parse(&text).map_err(|error| {
            // Two texts: the first was meant to be a namespace.
            if call.peek().is_some_and(Dynamic::is_string) && NsName::new(&text).is_ok() {
                return call.name_instead_of_namespace(&text);
            }
            error
        })
    }
}

fn bad_address(text: &str) -> Error {
    let shown = short(text);
    let parts = text.split('.').filter(|part| !part.is_empty()).count();
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let hint = if text.contains('/') {
        "an address without the prefix length, as in \"10.1.1.1\"".to_owned()
    } else if digits && parts < 4 {
        let missing = if parts == 3 { "one".into() } else { (4 - parts).to_string() };
        let is = if parts == 3 { "is" } else { "are" };
        format!("{missing} of the 4 numbers of an IPv4 address {is} missing, as in \"10.1.1.1\"")
    } else if digits && text.split('.').any(|part| part.len() > 1 && part.starts_with('0')) {
        "a leading zero is ambiguous (octal to some tools): leave it out".to_owned()
    } else if text.chars().any(char::is_alphabetic) && !text.contains(':') {
        "names are not resolved: give an IPv4 or IPv6 address, as in \"10.1.1.1\" or \"fd00::1\"".to_owned()
    } else {
        "give an IPv4 or IPv6 address, as in \"10.1.1.1\" or \"fd00::1\"".to_owned()
    };
    Error::usage(format!("`{shown}` is not an address")).hint(hint)
}

/// An address with its prefix length.
impl Arg for IpNet {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = call.take_text().ok_or_else(|| call.wrong(name, "an address such as \"10.1.1.1/24\""))?;
        parse_net(&text)
    }
}

/// Reads an address with its prefix length.
pub(crate) fn parse_net(text: &str) -> Result<IpNet> {
    // Not `IpNet::from_str`: that one reads 010 as 10, where other tools read 8.
    if let Some((addr, length)) = text.split_once('/')
        && let Ok(addr) = addr.parse::<IpAddr>()
        && length.bytes().all(|byte| byte.is_ascii_digit())
        && let Some(net) = length.parse().ok().and_then(|length| IpNet::new(addr, length).ok())
    {
        return Ok(net);
    }
    let shown = short(text);
    let Some((addr, length)) = text.split_once('/') else {
        return Err(match text.parse::<IpAddr>() {
            Ok(addr) => {
                let length = if addr.is_ipv4() { 24 } else { 64 };
                Error::usage(format!("`{shown}` has no prefix length")).hint(format!("for example \"{addr}/{length}\""))
            }
            Err(_) => bad_address(text),
        });
    };
    match addr.parse::<IpAddr>() {
        Ok(addr) => {
            let most = if addr.is_ipv4() { 32 } else { 128 };
            Err(Error::usage(format!("`{}` is no prefix length", short(length)))
                .hint(format!("it is the number of fixed bits: 0 to {most} for this address")))
        }
        Err(_) => Err(bad_address(addr)),
    }
}

/// Kinds of namespace, by name: one, or an array.
pub(crate) struct Kinds(pub Vec<NsKind>);

impl Arg for Kinds {
    const TYPE: &'static str = "array";
    const NAMES: Names = Names::Kinds;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(text) = call.take_text() {
            return Ok(Self(vec![NsKind::parse(&text)?]));
        }
        let wanted = "an array of kinds such as [\"net\", \"mount\"]";
        let array = call.take::<Array>().ok_or_else(|| call.wrong(name, wanted))?;
        let texts = array.into_iter().map(Dynamic::into_string).collect::<std::result::Result<Vec<_>, _>>();
        let texts = texts.map_err(|is| Error::usage(format!("`{}` takes {wanted}, not {is}", call.binding.name)))?;
        texts.iter().map(|text| NsKind::parse(text)).collect::<Result<_>>().map(Self)
    }
}

/// One kind of namespace.
impl Arg for NsKind {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Kinds;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::parse(&String::take(call, name)?)
    }
}

/// The words of a command: an array, or a string that is split as a shell splits words. No shell runs.
pub(crate) struct Argv(pub Vec<String>);

impl Arg for Argv {
    const TYPE: &'static str = "string or array";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(text) = call.take_text() {
            if let Some(sign) = sign_for_a_shell(&text) {
                return Err(Error::usage(format!("`{sign}` means nothing here: no shell runs the command"))
                    .hint("ask for one: [\"sh\", \"-c\", \"…\"]"));
            }
            return shlex::split(&text).filter(|words| !words.is_empty()).map(Self).ok_or_else(|| {
                Error::usage(format!("cannot split `{}` into words", short(&text))).hint("is a quote missing?")
            });
        }
        let wanted = "a command: a string, or an array of words";
        let array = call.take::<Array>().ok_or_else(|| call.wrong(name, wanted))?;
        let words: Vec<String> = array.iter().map(ToString::to_string).collect();
        if words.is_empty() { Err(call.wrong(name, wanted)) } else { Ok(Self(words)) }
    }
}

/// What only a shell understands, outside of quotes.
fn sign_for_a_shell(text: &str) -> Option<&str> {
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"') | None, '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>' | '<' | '|' | ';' | '&' | '`') => {
                let double = chars.peek().is_some_and(|(_, next)| *next == c);
                return text.get(at..at + if double { 2 } else { 1 });
            }
            (None | Some('"'), '$') if chars.peek().is_some_and(|(_, next)| *next == '(') => return Some("$("),
            _ => {}
        }
    }
    None
}

/// A duration in the usual notation.
///
/// # Errors
/// Shows how it is written.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        Error::usage(format!("`{}` is not a duration", short(text)))
            .hint("write a number and a unit: \"200ms\", \"3s\", \"1m 30s\"")
    })?;
    if duration > Duration::from_secs(86_400) {
        return Err(
            Error::usage(format!("`{}` is longer than a day", short(text))).hint("one day is the most: \"24h\"")
        );
    }
    Ok(duration)
}
