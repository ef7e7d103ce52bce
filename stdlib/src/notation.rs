//! The notation of values that people write as text: addresses, networks, durations, rates, sizes, command lines.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::name::{IfName, short};

/// An address to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub addr: IpAddr,
    /// The link of a link-local address, after `%`.
    pub zone: Option<IfName>,
}

impl Target {
    /// Reads `10.1.1.1`, `fd00::1` or `fe80::1%eth0`.
    ///
    /// # Errors
    /// The hint says what is missing or too much.
    pub fn parse(text: &str) -> Result<Self> {
        let (addr, zone) = match text.split_once('%') {
            Some((addr, zone)) => (addr, Some(IfName::existing(zone)?)),
            None => (text, None),
        };
        match addr.parse() {
            Ok(addr) => Ok(Self { addr, zone }),
            Err(_) => Err(bad_address(text)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addr)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "%{zone}"))
    }
}

fn bad_address(text: &str) -> Error {
    let shown = short(text);
    let parts = text.split('.').filter(|part| !part.is_empty()).count();
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let hint = if text.contains('/') {
        "write the address without the prefix length, as in \"10.1.1.1\"".to_owned()
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

/// Reads an address with its prefix length, such as `10.1.1.1/24`.
///
/// # Errors
/// The hint says what is missing or too much.
pub fn network(text: &str) -> Result<IpNet> {
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
            let longest = if addr.is_ipv4() { 32 } else { 128 };
            Err(Error::usage(format!("`{}` is not a valid prefix length", short(length)))
                .hint(format!("it is the number of fixed bits: 0 to {longest} for this address")))
        }
        Err(_) => Err(bad_address(addr)),
    }
}

/// Reads a duration such as `200ms` or `1m 30s`, up to a day.
///
/// # Errors
/// The hint shows the notation.
pub fn duration(text: &str) -> Result<Duration> {
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

/// A duration in milliseconds, as reports show it.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Reads a rate in bits a second, in the notation of `tc(8)`: `10mbit`, `1gbit`, `64kbit`, `500bit`.
///
/// # Errors
/// The hint shows the notation.
pub fn rate(text: &str) -> Result<u64> {
    const UNITS: [(&str, u64); 5] =
        [("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000), ("tbit", 1_000_000_000_000), ("bit", 1)];
    scaled(text, &UNITS).ok_or_else(|| {
        Error::usage(format!("`{}` is not a rate", short(text))).hint("for example \"10mbit\" or \"1gbit\"")
    })
}

/// Reads a size in bytes: `1500`, `64k`, `16m`, `2g`. A letter multiplies by 1024, as in `tc(8)`.
///
/// # Errors
/// The hint shows the notation.
pub fn size(text: &str) -> Result<u64> {
    const UNITS: [(&str, u64); 4] = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("", 1)];
    scaled(text, &UNITS).ok_or_else(|| {
        Error::usage(format!("`{}` is not a size", short(text))).hint("for example \"64k\", \"512m\" or \"2g\"")
    })
}

/// A whole number, or one with a decimal point, before one of the units.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let value = whole.parse::<u64>().ok().map(u128::from)? * scale + fraction.parse::<u128>().ok()?;
    let bits = value.checked_mul(u128::from(factor))?;
    (bits % scale == 0).then(|| u64::try_from(bits / scale).ok()).flatten()
}

/// Splits a command line into words as a shell does. No shell runs it.
///
/// # Errors
/// For what only a shell understands.
pub fn command_words(text: &str) -> Result<Vec<String>> {
    if let Some(sign) = shell_syntax(text) {
        return Err(Error::usage(format!("`{sign}` has no meaning here: no shell runs the command"))
            .hint("ask for one: [\"sh\", \"-c\", \"…\"]"));
    }
    shlex::split(text)
        .filter(|words| !words.is_empty())
        .ok_or_else(|| Error::usage(format!("cannot split `{}` into words", short(text))).hint("is a quote missing?"))
}

/// The first piece of syntax outside of quotes that only a shell understands.
fn shell_syntax(text: &str) -> Option<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_strictly() {
        assert_eq!(Target::parse("fe80::1%eth0").unwrap().to_string(), "fe80::1%eth0");
        assert_eq!(network("10.1.1.1/24").unwrap().to_string(), "10.1.1.1/24");
        for (text, hint) in [
            ("10.1.1.", "one of the 4 numbers"),
            ("10.1", "2 of the 4 numbers"),
            ("010.1.1.1", "leading zero"),
            ("localhost", "not resolved"),
            ("10.1.1.1/24", "without the prefix length"),
        ] {
            assert!(Target::parse(text).unwrap_err().hints[0].contains(hint), "{text}");
        }
        for text in ["10.1.1.1", "10.1.1.1/33", "10.1.1.1/", "10.1.1.1/+4", "010.1.1.1/24", "/24", "", "::/129"] {
            network(text).unwrap_err();
        }
    }

    #[test]
    fn durations_have_a_unit_and_an_end() {
        assert_eq!(duration("1m 30s").unwrap(), Duration::from_secs(90));
        assert!((millis(Duration::from_micros(1500)) - 1.5).abs() < f64::EPSILON);
        for text in ["3", "-1s", "", "25h", "1 fortnight"] {
            duration(text).unwrap_err();
        }
    }

    #[test]
    fn rates_and_sizes_are_those_of_tc() {
        assert_eq!(rate("10mbit").unwrap(), 10_000_000);
        assert_eq!(rate("1.5Gbit").unwrap(), 1_500_000_000);
        assert_eq!(rate("500bit").unwrap(), 500);
        assert_eq!(size("64k").unwrap(), 65_536);
        assert_eq!(size("1500").unwrap(), 1_500);
        assert_eq!(size("0.5g").unwrap(), 512 << 20);
        for text in ["", "mbit", "-1mbit", "10", "10mbps", "0.0000000001gbit", "99999999999999999999tbit", "1.mbit"] {
            rate(text).unwrap_err();
        }
        for text in ["", "k", "1.5", "-1k", "1t", "99999999999g"] {
            size(text).unwrap_err();
        }
    }

    #[test]
    fn a_command_line_is_split_and_shell_syntax_is_refused() {
        assert_eq!(command_words("ip -n 'a b' link").unwrap(), ["ip", "-n", "a b", "link"]);
        assert_eq!(command_words("echo 'a|b' \"c;d\"").unwrap(), ["echo", "a|b", "c;d"]);
        for (text, sign) in [("a | b", "|"), ("a && b", "&&"), ("a > f", ">"), ("echo $(b)", "$("), ("a `b`", "`")] {
            assert!(command_words(text).unwrap_err().to_string().starts_with(&format!("`{sign}`")), "{text}");
        }
        command_words("a 'b").unwrap_err();
        command_words("").unwrap_err();
    }
}
