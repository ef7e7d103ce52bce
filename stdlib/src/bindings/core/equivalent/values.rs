//! What the arguments of a call stand for in its equivalent commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use super::quote::quoted;
use super::reach::{self, Way};
use crate::exec::handle::{NsHandle, NsKind};
use crate::lab::{Lab, NetNs, Place, Sandbox};

/// The text of a hole, or why there is none.
type Value = Result<String, String>;

/// A text that depends on the namespace type that the call is about.
type OfType = Box<dyn Fn(&Values<'_>, NsKind) -> Value>;

/// The values of the holes of a template, and where the command works.
pub(crate) struct Values<'a> {
    lab: &'a Arc<Lab>,
    texts: BTreeMap<String, Value>,
    of_type: BTreeMap<String, OfType>,
    ns_type: NsKind,
    switches: BTreeSet<&'static str>,
    place: Option<Place>,
    runs_a_program: bool,
}

impl<'a> Values<'a> {
    pub(crate) fn new(lab: &'a Arc<Lab>) -> Self {
        Self {
            lab,
            texts: BTreeMap::new(),
            of_type: BTreeMap::new(),
            ns_type: NsKind::Net,
            switches: BTreeSet::new(),
            place: None,
            runs_a_program: false,
        }
    }

    /// Fills the hole of a parameter or of an option's key with one word.
    pub(crate) fn set(&mut self, name: &str, word: impl Display) {
        self.put(name, quoted(&word.to_string()));
    }

    /// As [`Values::set`], if there is a word.
    pub(crate) fn set_some(&mut self, name: &str, word: Option<impl Display>) {
        if let Some(word) = word {
            self.set(name, word);
        }
    }

    /// Fills a hole with shell text, or says why no command can name the argument.
    pub(crate) fn put(&mut self, name: &str, text: Value) {
        self.texts.insert(name.to_uppercase(), text);
    }

    /// Fills a hole once the namespace type is known; it is net unless a later parameter says otherwise.
    pub(crate) fn put_of_type(&mut self, name: &str, text: impl Fn(&Values<'_>, NsKind) -> Value + 'static) {
        self.of_type.insert(name.to_uppercase(), Box::new(text));
    }

    /// Sets the namespace type that the call is about.
    pub(crate) fn set_type(&mut self, kind: NsKind) {
        self.ns_type = kind;
    }

    /// Shows or hides the group that begins with `word`.
    pub(crate) fn switch(&mut self, word: &'static str, on: bool) {
        if on {
            self.switches.insert(word);
        } else {
            self.switches.remove(word);
        }
    }

    /// The call works at `place`. Of several parameters the first one decides.
    pub(crate) fn work_at(&mut self, place: &Place) {
        self.place.get_or_insert_with(|| place.clone());
    }

    /// The place that the call works at, if a parameter has set one.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The command is a program of the script: it sees more of its namespace than a tool for the network needs.
    pub(crate) fn run_a_program(&mut self) {
        self.runs_a_program = true;
    }

    /// The name of a namespace below `/run/netns`.
    pub(crate) fn name_of(&self, ns: &NetNs) -> Value {
        reach::name_of(self.lab, ns)?.ok_or_else(|| format!("{} has no name", ns.label()))
    }

    /// A file that is the namespace.
    pub(crate) fn file_of(&self, ns: &NetNs) -> Value {
        reach::net_file(self.lab, ns)
    }

    /// A namespace, as `ip link set … netns` takes it.
    pub(crate) fn destination(&self, ns: &NetNs) -> Value {
        reach::destination(self.lab, ns)
    }

    /// The network namespace of a process, as `ip link set … netns` takes it.
    pub(crate) fn destination_of(&self, pid: u32) -> Value {
        reach::pid_destination(self.lab, pid)
    }

    /// A file that is a namespace of a sandbox.
    pub(crate) fn file_in(&self, sandbox: &Sandbox, handle: &NsHandle) -> String {
        reach::file(self.lab, Some(sandbox), handle)
    }

    /// The text of a hole; none if no argument belongs to it.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        let of_type = || self.of_type.get(name).map(|text| text(self, self.ns_type));
        self.texts.get(name).cloned().or_else(of_type)
    }

    pub(super) fn is_on(&self, word: &str) -> bool {
        self.switches.contains(word)
    }

    /// The way to where the call works.
    pub(super) fn way(&self) -> Result<Way, String> {
        match &self.place {
            None => Ok(Way::None),
            Some(place) if self.runs_a_program => reach::for_program(self.lab, place),
            Some(place) => reach::for_tool(self.lab, place),
        }
    }
}
