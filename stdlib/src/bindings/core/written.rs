//! Parameters that take text in its usual notation: names, addresses, namespace types, commands, signals.

use ipnet::IpNet;
use nix::sys::signal::Signal;
use rhai::{Array, Dynamic, INT};

use super::args::Arg;
use super::call::Call;
use super::equivalent::{Values, flag, quoted};
use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::exec::handle::NsKind;
use crate::name::{IfName, NsName, short};
use crate::notation::{self, Target};

impl Arg for NsName {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Namespaces;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::new(&String::take(call, name)?)
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self.as_str());
    }
}

impl Arg for IfName {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Links;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::new(&String::take(call, name)?)
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self.as_str());
    }
}

impl Arg for Target {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Addresses;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = call.take_text().ok_or_else(|| call.wrong(name, "an address such as \"10.1.1.1\""))?;
        Self::parse(&text).map_err(|error| {
            // Two strings: the first was meant to be a namespace.
            if call.peek().is_some_and(Dynamic::is_string) && NsName::new(&text).is_ok() {
                return call.name_instead_of_namespace(&text);
            }
            error
        })
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self);
    }
}

/// An address with its prefix length.
impl Arg for IpNet {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let text = call.take_text().ok_or_else(|| call.wrong(name, "an address such as \"10.1.1.1/24\""))?;
        notation::network(&text)
    }
    /// An IPv4 address comes with the broadcast address of its network, an IPv6 address is usable at once.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self);
        values.switch("brd", matches!(self, Self::V4(net) if net.prefix_len() <= 30));
        values.switch("nodad", matches!(self, Self::V6(_)));
    }
}

/// A size in bytes: a number, or text such as `64m`.
pub(crate) struct Size(pub u64);

impl Arg for Size {
    const TYPE: &'static str = "string or int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(text) = call.take_text() {
            return notation::size(&text).map(Self);
        }
        let number = call.take::<INT>().and_then(|number| u64::try_from(number).ok());
        number.map(Self).ok_or_else(|| call.wrong(name, "a size such as \"64m\" or \"2g\""))
    }
}

/// Namespace types by name: one, or an array.
pub(crate) struct NsTypes(pub Vec<NsKind>);

impl Arg for NsTypes {
    const TYPE: &'static str = "array";
    const NAMES: Names = Names::NsTypes;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(text) = call.take_text() {
            return Ok(Self(vec![NsKind::parse(&text)?]));
        }
        let wanted = "an array of namespace types such as [\"net\", \"mount\"]";
        let array = call.take::<Array>().ok_or_else(|| call.wrong(name, wanted))?;
        let texts = array.into_iter().map(Dynamic::into_string).collect::<std::result::Result<Vec<_>, _>>();
        let texts = texts.map_err(|ty| Error::usage(format!("`{}` takes {wanted}, not {ty}", call.name())))?;
        texts.iter().map(|text| NsKind::parse(text)).collect::<Result<_>>().map(Self)
    }
    /// The options of nsenter(1) and unshare(1).
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let pid = values.get("PID").and_then(Result::ok).and_then(|pid| pid.parse().ok());
        // The user namespace that a process is in cannot be entered again (user_namespaces(7)).
        let is_own_user = |kind| kind == NsKind::User && pid.is_some_and(|pid| crate::ns::share(pid, kind));
        let flags: Vec<&str> = self.0.iter().filter(|kind| !is_own_user(**kind)).map(|kind| flag(*kind)).collect();
        values.put(name, Ok(flags.join(" ")));
    }
}

/// One namespace type.
impl Arg for NsKind {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::NsTypes;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        Self::parse(&String::take(call, name)?)
    }
    fn fill(&self, _: &str, values: &mut Values<'_>) {
        values.set_type(*self);
    }
}

/// The words of a command: an array, or a string that is split as a shell splits words. No shell runs.
pub(crate) struct Argv(pub Vec<String>);

impl Arg for Argv {
    const TYPE: &'static str = "string or array";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(text) = call.take_text() {
            return notation::command_words(&text).map(Self);
        }
        let wanted = "a command: a string, or an array of words";
        let array = call.take::<Array>().ok_or_else(|| call.wrong(name, wanted))?;
        let words: Vec<String> = array.iter().map(ToString::to_string).collect();
        if words.is_empty() { Err(call.wrong(name, wanted)) } else { Ok(Self(words)) }
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let words: std::result::Result<Vec<String>, String> = self.0.iter().map(|word| quoted(word)).collect();
        values.put(name, words.map(|words| words.join(" ")));
        values.run_a_program();
    }
}

/// A signal, by name with or without `SIG`, or by number.
impl Arg for Signal {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Signals;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let value = <Dynamic as Arg>::take(call, name)?;
        let signal = match value.as_int() {
            Ok(number) => i32::try_from(number).ok().and_then(|n| Self::try_from(n).ok()),
            Err(_) => {
                let text = value.to_string().to_uppercase();
                let full = if text.starts_with("SIG") { text } else { format!("SIG{text}") };
                full.parse().ok()
            }
        };
        signal.ok_or_else(|| {
            Error::usage(format!("unknown signal `{}`", short(&value.to_string())))
                .hint("\"TERM\" (the default), \"KILL\", \"INT\", \"HUP\", \"STOP\", \"CONT\" …: see signal(7)")
        })
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self.as_str().trim_start_matches("SIG"));
    }
}
