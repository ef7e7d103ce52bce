//! Arguments, taken one after another by their types; what is wrong is said with the whole signature as a hint.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rhai::{Array, Dynamic, EvalAltResult, FnPtr, INT, ImmutableString, Map, NativeCallContext};

use super::Binding;
use super::errors::to_rhai;
use super::list::List;
use super::options::{FromOptions, Options};
use crate::catalog::{Key, Names};
use crate::error::{Error, Result};
use crate::exec::handle::NsKind;
use crate::lab::{Lab, Link, NetNs, Place, Process, Sandbox};
use crate::name::{IfName, NsName, short};

/// One call of a function: its arguments, and where it happens.
pub(crate) struct Call<'a> {
    lab: &'a Arc<Lab>,
    cx: &'a NativeCallContext<'a>,
    binding: &'static Binding,
    args: Vec<Dynamic>,
    next: usize,
    /// What a closure was ended with: `exit`, or Ctrl-C.
    ended: Cell<Option<Dynamic>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        lab: &'a Arc<Lab>,
        cx: &'a NativeCallContext<'a>,
        binding: &'static Binding,
        args: &[&mut Dynamic],
    ) -> Self {
        let args = args.iter().map(|arg| arg.flatten_clone()).collect();
        Self { lab, cx, binding, args, next: 0, ended: Cell::default() }
    }

    /// The place of the evaluation: what `within` last set.
    fn here(&self) -> Place {
        let place = self.cx.tag().and_then(|tag| tag.read_lock::<Place>().map(|place| place.clone()));
        place.unwrap_or_else(|| Place::of(self.lab.root()))
    }

    fn peek(&self) -> Option<&Dynamic> {
        self.args.get(self.next)
    }

    /// The next argument, if it is a `T`.
    fn take<T: Clone + 'static + Send + Sync>(&mut self) -> Option<T> {
        let value = self.peek()?.read_lock::<T>()?.clone();
        self.next += 1;
        Some(value)
    }

    /// A text of either kind that Rhai has.
    pub(crate) fn take_text(&mut self) -> Option<String> {
        let text = self.peek()?.read_lock::<ImmutableString>()?.to_string();
        self.next += 1;
        Some(text)
    }

    /// The next argument, if it is a network namespace or something that holds one.
    pub(crate) fn take_net(&mut self) -> Result<Option<NetNs>> {
        if let Some(ns) = self.take::<NetNs>() {
            return Ok(Some(ns));
        }
        let Some(sandbox) = self.take::<Sandbox>() else { return Ok(None) };
        let net = sandbox.net()?;
        net.map(Some)
            .ok_or_else(|| Error::usage(format!("the {} has no network namespace of its own", sandbox.label())))
    }

    /// The next argument, if it is a sandbox.
    pub(crate) fn take_sandbox(&mut self) -> Option<Sandbox> {
        self.take::<Sandbox>()
    }

    /// The lab of the call.
    pub(crate) fn lab(&self) -> &Lab {
        self.lab
    }

    /// How many arguments are left.
    pub(crate) fn left(&self) -> usize {
        self.args.len() - self.next
    }

    /// The command of the field's tools that does what this call does.
    pub(super) fn twin(&self) -> Option<String> {
        super::twin::of(self.binding.doc, &self.args, &self.here())
    }

    /// Calls a closure of the script.
    pub(crate) fn run(&self, function: &FnPtr) -> super::RhaiResultOf<Dynamic> {
        function.call_within_context(self.cx, ()).inspect_err(|error| {
            if let EvalAltResult::ErrorTerminated(token, _) = error.unwrap_inner() {
                self.ended.set(Some(token.clone()));
            }
        })
    }

    /// The error as the script gets it: nothing stands between it and the end that a closure wanted.
    #[expect(clippy::unnecessary_box_returns, reason = "Rhai wants its errors boxed")]
    pub(crate) fn into_rhai(self, error: &Error) -> Box<EvalAltResult> {
        match self.ended.take() {
            Some(token) => EvalAltResult::ErrorTerminated(token, self.cx.call_position()).into(),
            None => to_rhai(error, self.cx),
        }
    }

    /// The complaint about the next argument.
    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> Error {
        let function = self.binding.name;
        let text = match self.peek() {
            Some(value) => format!("`{function}` takes {wanted} as `{name}`, not {}", self.describe(value)),
            None => format!("`{function}` needs {wanted} as `{name}`"),
        };
        self.usage(Error::usage(text))
    }

    /// A value as a complaint names it: what it is, and itself if it is short.
    pub(crate) fn describe(&self, value: &Dynamic) -> String {
        let is = self.cx.engine().map_type_name(value.type_name());
        match value.read_lock::<ImmutableString>() {
            Some(text) => format!("the string \"{}\"", short(&text)),
            None if value.is_unit() => "nothing (`()`)".into(),
            None if value.is_int() || value.is_float() => format!("the number {value}"),
            None if value.is_bool() => value.to_string(),
            None if value.is_fnptr() => "a closure".into(),
            None => format!("{} {is}", article(is)),
        }
    }

    /// Adds the signature as the hint, unless there is a better one.
    fn usage(&self, error: Error) -> Error {
        if error.hint.is_some() {
            return error;
        }
        error.hint(format!("usage: {}", signature(self.binding)))
    }

    /// The complaint about a text where a namespace belongs.
    fn name_instead_of_namespace(&self, text: &str) -> Error {
        let text = short(text);
        Error::usage(format!("`{}` takes a namespace, not its name \"{text}\"", self.binding.name))
            .hint(format!("keep what `netns` returned, or write `open_netns(\"{text}\")`"))
    }

    /// Refuses arguments that nobody took.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.next >= self.args.len() {
            return Ok(());
        }
        let (function, taken) = (self.binding.name, self.next);
        let text = match (taken, self.binding.parameters.iter().find(|parameter| !parameter.of.is_empty())) {
            // The argument fits no parameter that may be left out.
            (0, Some(first)) => return Err(self.wrong(first.name, &format!("a {}", first.of))),
            (0, None) => format!("`{function}` takes no arguments"),
            _ => format!("`{function}` has no use for {}", self.describe(&self.args[self.next])),
        };
        Err(self.usage(Error::usage(text)))
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

fn signature(binding: &Binding) -> String {
    crate::catalog::Function {
        name: binding.name.into(),
        family: String::new(),
        doc: String::new(),
        parameters: binding.parameters.to_vec(),
        returns: binding.returns.into(),
    }
    .signature()
}

/// A parameter's type: how many arguments it takes, and how.
pub(crate) trait Arg: Sized {
    /// Its name in signatures; empty for what the call brings along.
    const TYPE: &'static str;
    /// Whether it may be left out.
    const OPTIONAL: bool = false;
    /// The keys of an option map.
    const KEYS: &'static [Key] = &[];
    /// How many arguments it may take.
    const MOST: usize = 1;
    /// What a string for it names.
    const NAMES: Names = Names::Nothing;
    /// Takes it.
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self>;
}

/// What a function returns.
pub(crate) trait Out {
    /// Its name in signatures.
    const TYPE: &'static str;
    /// The value.
    fn out(self) -> Dynamic;
}

macro_rules! out {
    ($($type:ty = $name:literal),* $(,)?) => {
        $(impl Out for $type {
            const TYPE: &'static str = $name;
            fn out(self) -> Dynamic { Dynamic::from(self) }
        })*
    };
}

out!(bool = "bool", INT = "int", f64 = "float", () = "()", String = "string", Map = "map", Array = "array");

impl Out for Dynamic {
    const TYPE: &'static str = "any";
    fn out(self) -> Dynamic {
        self
    }
}

impl<T: super::Value> Out for T {
    const TYPE: &'static str = T::NAME;
    fn out(self) -> Dynamic {
        Dynamic::from(self)
    }
}

/// A value or `()`.
impl<T: Out> Out for Option<T> {
    const TYPE: &'static str = T::TYPE;
    fn out(self) -> Dynamic {
        self.map_or(Dynamic::UNIT, T::out)
    }
}

/// The lab of the call.
impl Arg for Arc<Lab> {
    const TYPE: &'static str = "";
    const OPTIONAL: bool = true;
    const MOST: usize = 0;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        Ok(call.lab.clone())
    }
}

/// The current place, whatever the arguments are.
pub(crate) struct Current(pub Place);

impl Arg for Current {
    const TYPE: &'static str = "";
    const OPTIONAL: bool = true;
    const MOST: usize = 0;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        Ok(Self(call.here()))
    }
}

/// A namespace as the first argument; the current one if it is left out.
pub(crate) struct Here(pub Place);

impl Here {
    /// The network namespace.
    pub(crate) fn net(&self) -> &NetNs {
        &self.0.net
    }
}

impl Arg for Here {
    const TYPE: &'static str = "NetNs";
    const OPTIONAL: bool = true;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        if let Some(ns) = call.take::<NetNs>() {
            return Ok(Self(call.here().entering(&ns)));
        }
        if let Some(sandbox) = call.take::<Sandbox>() {
            return Ok(Self(call.here().entering_sandbox(&sandbox)?));
        }
        Ok(Self(call.here()))
    }
}

impl Arg for NetNs {
    const TYPE: &'static str = "NetNs";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(ns) = call.take_net()? {
            return Ok(ns);
        }
        let error = call.wrong(name, "a namespace");
        let text = call.peek().and_then(|value| value.read_lock::<ImmutableString>().map(|text| text.to_string()));
        Err(match text {
            Some(text) => call.name_instead_of_namespace(&text),
            None => error,
        })
    }
}

impl Arg for Sandbox {
    const TYPE: &'static str = "Sandbox";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Self>().ok_or_else(|| call.wrong(name, "what `hold`, `nsenter` or `unshare` returned"))
    }
}

impl Arg for Process {
    const TYPE: &'static str = "Process";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Self>().ok_or_else(|| call.wrong(name, "a process that `start` returned"))
    }
}

/// A link: a handle, or its name after an optional namespace.
impl Arg for Link {
    const TYPE: &'static str = "Link";
    const MOST: usize = 2;
    const NAMES: Names = Names::Links;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(link) = call.take::<Link>() {
            return Ok(link);
        }
        let here = Here::take(call, name)?;
        match call.take_text() {
            Some(text) => Ok(Link::new(here.net(), IfName::new(&text)?)),
            None => Err(call.wrong(name, "a link (a `Link`, or a name, or a namespace and a name)")),
        }
    }
}

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

impl Arg for String {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take_text().ok_or_else(|| call.wrong(name, "a string"))
    }
}

impl Arg for INT {
    const TYPE: &'static str = "int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<INT>().ok_or_else(|| call.wrong(name, "a whole number"))
    }
}

impl Arg for Dynamic {
    const TYPE: &'static str = "any";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let value = call.peek().cloned().ok_or_else(|| call.wrong(name, "a value"))?;
        call.next += 1;
        Ok(value)
    }
}

impl Arg for Array {
    const TYPE: &'static str = "array";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Array>().ok_or_else(|| call.wrong(name, "an array"))
    }
}

/// A closure.
impl Arg for FnPtr {
    const TYPE: &'static str = "closure";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        call.take::<Self>().ok_or_else(|| call.wrong(name, "a closure such as `|| ping(ns1, \"10.1.1.1\").ok`"))
    }
}

/// A process number.
pub(crate) struct Pid(pub u32);

impl Arg for Pid {
    const TYPE: &'static str = "int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(process) = call.take::<Process>() {
            return Ok(Self(process.pid()));
        }
        let pid = call.take::<INT>().ok_or_else(|| call.wrong(name, "a process number (or a `Process`)"))?;
        u32::try_from(pid)
            .ok()
            .filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok())
            .map(Self)
            .ok_or_else(|| Error::usage(format!("{pid} is no process number")).hint("process numbers begin with 1"))
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
            if let Some(sign) = [">", "<", "|", ";", "&&", "$("].iter().find(|sign| {
                let unquoted = shlex::split(&text).unwrap_or_default();
                unquoted.iter().any(|word| word == *sign)
            }) {
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

/// A list of namespaces.
pub(crate) struct Nodes(pub Vec<NetNs>);

impl Arg for Nodes {
    const TYPE: &'static str = "array";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(list) = call.take::<List<NetNs>>() {
            return Ok(Self(list.0.to_vec()));
        }
        let wanted = "an array of namespaces";
        let array = call.take::<Array>().ok_or_else(|| call.wrong(name, wanted))?;
        let nodes: Option<Vec<NetNs>> =
            array.iter().map(|value| value.read_lock::<NetNs>().map(|ns| ns.clone())).collect();
        nodes.map(Self).ok_or_else(|| call.usage(Error::usage(format!("`{name}` has an element that is no namespace"))))
    }
}

/// An argument that may be left out.
impl<T: Arg> Arg for Option<T> {
    const NAMES: Names = T::NAMES;
    const TYPE: &'static str = T::TYPE;
    const OPTIONAL: bool = true;
    const KEYS: &'static [Key] = T::KEYS;
    const MOST: usize = T::MOST;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        match call.peek() {
            // An option map is never meant for a parameter before it.
            None => Ok(None),
            Some(value) if value.is_map() && T::KEYS.is_empty() => Ok(None),
            Some(_) => T::take(call, name).map(Some),
        }
    }
}

/// A map of options with checked keys; the defaults if it is left out.
pub(crate) struct Opts<T>(pub T);

impl<T: FromOptions> Arg for Opts<T> {
    const TYPE: &'static str = "map";
    const OPTIONAL: bool = true;
    const KEYS: &'static [Key] = T::KEYS;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        let map = match call.peek() {
            None => Map::new(),
            Some(_) => call.take::<Map>().ok_or_else(|| {
                let first = T::KEYS.first().map_or("key", |key| key.name);
                call.wrong(name, &format!("options such as #{{{first}: …}}"))
            })?,
        };
        Options::read(call.binding.name, map).map(Self)
    }
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
