//! Parameters that take handles: places, namespaces, links, processes.

use rhai::{Array, INT, ImmutableString};

use super::args::Arg;
use super::call::Call;
use super::equivalent::Values;
use super::list::List;
use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::lab::host::Guard;
use crate::lab::{Link, NetNs, Place, Process, Sandbox};
use crate::name::IfName;

/// The guard of `--host`: a function that changes the network requires it.
impl Arg for Guard {
    const TYPE: &'static str = "";
    const OPTIONAL: bool = true;
    const MAX_ARGS: usize = 0;
    const CHANGES: bool = true;
    fn take(call: &mut Call<'_>, _: &str) -> Result<Self> {
        Ok(call.lab().guard())
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
    fn fill(&self, _: &str, values: &mut Values<'_>) {
        values.work_at(&self.0);
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
    /// Its name, and as `FILE` a file that is the namespace.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.put(name, values.name_of(self));
        values.put("file", values.file_of(self));
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
    /// Its PID, as long as that is its own.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        let pid = self.pid().to_string();
        values.put(name, if self.ended().is_some() { Err(format!("process {pid} has ended")) } else { Ok(pid) });
    }
}

/// A link: a handle, or its name after an optional namespace.
impl Arg for Link {
    const TYPE: &'static str = "Link";
    const MAX_ARGS: usize = 2;
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
    /// Its name. The call works in its namespace.
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.work_at(&Place::of(&self.ns()));
        values.set(name, self.name().as_str());
    }
}

/// A PID.
pub(crate) struct Pid(pub u32);

impl Arg for Pid {
    const TYPE: &'static str = "int";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        if let Some(process) = call.take::<Process>() {
            return Ok(Self(process.pid()));
        }
        let pid = call.take::<INT>().ok_or_else(|| call.wrong(name, "a PID (or a `Process`)"))?;
        u32::try_from(pid)
            .ok()
            .filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok())
            .map(Self)
            .ok_or_else(|| Error::usage(format!("{pid} is not a valid PID")).hint("PIDs begin with 1"))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, self.0);
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
        nodes
            .map(Self)
            .ok_or_else(|| call.usage(Error::usage(format!("`{name}` has an element that is not a namespace"))))
    }
}
