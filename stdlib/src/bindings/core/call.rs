//! One call of a function: its definition, its arguments taken one after another by their types, and its errors.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

use super::equivalent::{Equivalent, Values};
use super::script_error::ScriptError;
use crate::catalog::{Changes, Names, Parameter, signature};
use crate::error::{Error, Result};
use crate::lab::{Lab, NetNs, Place, Sandbox};
use crate::name::short;

/// What scripts get, or the error they catch.
pub type RhaiResultOf<T> = std::result::Result<T, Box<EvalAltResult>>;

/// The definition of one function.
pub(crate) struct Binding {
    pub name: &'static str,
    pub doc: &'static str,
    pub parameters: &'static [Parameter],
    pub returns: &'static str,
    /// The kernel features that it requires, by their names in `kernel`.
    pub needs: &'static [&'static str],
    /// Whether it changes the network of a namespace.
    pub changes: Changes,
    pub call: fn(&mut Call<'_>) -> Result<Dynamic, Failure>,
}

/// Why a call ended without a value.
pub(crate) enum Failure {
    /// The library's error.
    Error(Error),
    /// What a closure of the script ended with: it is passed on as it is.
    Script(Box<EvalAltResult>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// One call.
pub(crate) struct Call<'a> {
    pub(super) lab: &'a Arc<Lab>,
    pub(super) cx: &'a NativeCallContext<'a>,
    pub(super) binding: &'static Binding,
    args: Vec<Dynamic>,
    next: usize,
    /// What the arguments stand for in the equivalent commands, while there is a listener for those.
    values: Option<Values<'a>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        lab: &'a Arc<Lab>,
        cx: &'a NativeCallContext<'a>,
        binding: &'static Binding,
        args: &[&mut Dynamic],
    ) -> Self {
        let args = args.iter().map(|arg| arg.flatten_clone()).collect();
        Self { lab, cx, binding, args, next: 0, values: lab.explaining().map(|_| Values::new(lab)) }
    }

    /// The name of the function.
    pub(crate) fn name(&self) -> &'static str {
        self.binding.name
    }

    /// The lab of the call.
    pub(crate) fn lab(&self) -> &Arc<Lab> {
        self.lab
    }

    /// Where the call is evaluated: what the innermost `within` has set.
    pub(crate) fn here(&self) -> Place {
        let place = self.cx.tag().and_then(|tag| tag.read_lock::<Place>().map(|place| place.clone()));
        place.unwrap_or_else(|| Place::of(self.lab.root()))
    }

    /// The argument that was taken last, by its number.
    pub(crate) fn last_taken(&self) -> Option<usize> {
        self.next.checked_sub(1)
    }

    /// The next argument, without taking it.
    pub(crate) fn peek(&self) -> Option<&Dynamic> {
        self.args.get(self.next)
    }

    /// The next argument, if it is a `T`.
    pub(crate) fn take<T: Clone + 'static + Send + Sync>(&mut self) -> Option<T> {
        let value = self.peek()?.read_lock::<T>()?.clone();
        self.next += 1;
        Some(value)
    }

    /// The next argument, whatever it is.
    pub(crate) fn take_any(&mut self) -> Option<Dynamic> {
        let value = self.peek()?.clone();
        self.next += 1;
        Some(value)
    }

    /// The next argument, if it is a string.
    pub(crate) fn take_text(&mut self) -> Option<String> {
        self.take::<ImmutableString>().map(String::from)
    }

    /// The next argument, if it is an option map.
    pub(crate) fn take_map(&mut self) -> Option<Map> {
        self.take::<Map>()
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

    /// Whether the argument after the next is a string.
    pub(crate) fn is_text_after_next(&self) -> bool {
        self.args.get(self.next + 1).is_some_and(Dynamic::is_string)
    }

    /// How many arguments are left.
    pub(crate) fn left(&self) -> usize {
        self.args.len() - self.next
    }

    /// Calls a closure of the script.
    pub(crate) fn run(&self, function: &FnPtr) -> RhaiResultOf<Dynamic> {
        function.call_within_context(self.cx, ())
    }

    /// The source that the call stands in.
    pub(crate) fn source(&self) -> &str {
        self.cx.call_source().unwrap_or_default()
    }

    /// What the arguments taken so far stand for in the equivalent commands, while there is a listener for those.
    pub(super) fn values(&mut self) -> Option<&mut Values<'a>> {
        self.values.as_mut()
    }

    /// Passes the equivalent commands to the listener, if there is one.
    fn explain(&mut self) {
        if let (Some(values), Some(listener)) = (self.values.take(), self.lab.explaining()) {
            Equivalent::of(self.binding.doc).lines(&values).iter().for_each(|line| listener(line));
        }
    }

    /// The failure as Rhai gets it.
    #[expect(clippy::unnecessary_box_returns, reason = "Rhai requires boxed errors")]
    pub(super) fn into_rhai(self, failure: Failure) -> Box<EvalAltResult> {
        match failure {
            Failure::Script(error) => error,
            Failure::Error(error) => {
                let error = match self.hint_at_a_namespace(&error) {
                    Some(hint) => error.only_hint(hint),
                    None => error,
                };
                ScriptError::of(&error, self.name()).at(self.cx.call_source(), self.cx.call_position()).into_rhai()
            }
        }
    }

    /// For a string that names a namespace, where a namespace or a link is required.
    fn hint_at_a_namespace(&self, error: &Error) -> Option<String> {
        let is_about_arguments = error.kind == crate::Kind::Usage || error.errno == Some(nix::errno::Errno::ENODEV);
        let takes_names = self.binding.parameters.iter().any(|parameter| parameter.names == Names::Namespaces);
        if !is_about_arguments || takes_names {
            return None;
        }
        let name = self.args.first()?.read_lock::<ImmutableString>()?.to_string();
        let exists = self.lab.netns_names().is_ok_and(|names| names.contains(&name));
        exists.then(|| format!("there is a namespace `{name}`: write `open_netns(\"{name}\")` for it"))
    }

    /// The error about a next argument that has the wrong type, or is missing.
    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> Error {
        let function = self.name();
        match self.peek() {
            Some(value) => {
                let text = format!("`{function}` takes {wanted} as `{name}`, not {}", self.describe(value));
                self.usage(Error::usage(text).argument(self.next))
            }
            None => self.usage(Error::usage(format!("`{function}` needs {wanted} as `{name}`"))),
        }
    }

    /// A value as an error names it: its type, and itself if it is short.
    pub(crate) fn describe(&self, value: &Dynamic) -> String {
        let name = self.cx.engine().map_type_name(value.type_name());
        match value.read_lock::<ImmutableString>() {
            Some(text) => format!("the string \"{}\"", short(&text)),
            None if value.is_unit() => "nothing (`()`)".into(),
            None if value.is_int() || value.is_float() => format!("the number {value}"),
            None if value.is_bool() => value.to_string(),
            None if value.is_fnptr() => "a closure".into(),
            None => format!("{} {name}", article(name)),
        }
    }

    /// Adds the signature as the hint, unless there is a better one.
    pub(crate) fn usage(&self, error: Error) -> Error {
        if !error.hints.is_empty() {
            return error;
        }
        error.hint(format!("usage: {}", signature(self.name(), self.binding.parameters, self.binding.returns)))
    }

    /// The error about a string where a namespace belongs.
    pub(crate) fn name_instead_of_namespace(&self, text: &str) -> Error {
        let text = short(text);
        Error::usage(format!("`{}` takes a namespace, not its name \"{text}\"", self.name()))
            .hint(format!("keep what `netns` returned, or write `open_netns(\"{text}\")`"))
    }

    /// Refuses arguments that no parameter has taken. Without any the call is complete, and is explained.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Some(rest) = self.peek() else {
            self.explain();
            return Ok(());
        };
        let function = self.name();
        let text = match (self.next, self.binding.parameters.iter().find(|parameter| !parameter.ty.is_empty())) {
            // The argument fits no parameter that may be left out.
            (0, Some(first)) => return Err(self.wrong(first.name, &format!("a {}", first.ty))),
            (0, None) => format!("`{function}` takes no arguments"),
            _ => format!("`{function}` has no parameter for {}", self.describe(rest)),
        };
        Err(self.usage(Error::usage(text).argument(self.next)))
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}
