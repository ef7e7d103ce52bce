//! Arguments, taken one after another by their types; what is wrong is said with the whole signature as a hint.

use std::cell::Cell;
use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, INT, ImmutableString, Map, NativeCallContext};

use super::Binding;
use super::errors::to_rhai;
use super::options::{FromOptions, Options};
use crate::catalog::{Key, Names};
use crate::error::{Error, Result};
use crate::lab::{Lab, NetNs, Place, Sandbox};
use crate::name::short;

mod handles;
mod notation;

pub(crate) use handles::{Current, Here, Nodes, Pid};
pub(crate) use notation::{Argv, Kinds, Target, parse_duration, parse_net};

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
            None => match self.hint_at_a_namespace(error) {
                Some(hint) => to_rhai(&error.clone().hint(hint), self.cx),
                None => to_rhai(error, self.cx),
            },
        }
    }

    /// For a text that names a namespace, where a namespace or a link was wanted.
    fn hint_at_a_namespace(&self, error: &Error) -> Option<String> {
        let is_about_arguments = error.kind == crate::Kind::Usage || error.errno == Some(nix::errno::Errno::ENODEV);
        let wants_its_name = self.binding.parameters.iter().any(|parameter| parameter.names == Names::Namespaces);
        if !is_about_arguments || wants_its_name {
            return None;
        }
        let name = self.args.first()?.read_lock::<ImmutableString>()?.to_string();
        let is_there = self.lab.netns_names().is_ok_and(|names| names.contains(&name));
        is_there.then(|| format!("there is a namespace `{name}`: write `open_netns(\"{name}\")` for it"))
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
