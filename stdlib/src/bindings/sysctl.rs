//! Sysctls of the network stack.

use rhai::{Dynamic, INT};

use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::{Changes, Names};
use crate::error::{Error, Result};
use crate::lab::host::Guard;
use crate::name::short;
use crate::net::sysctl::canonical;

pub(super) const FAMILY: Family = Family { name: "sysctls", types: &[], bindings: BINDINGS };

/// The key of a sysctl.
pub(crate) struct SysctlKey(String);

impl Arg for SysctlKey {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Sysctls;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        String::take(call, name).map(|key| Self(canonical(&key)))
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.set(name, &self.0);
    }
}

/// A value as it is written to the file.
fn written(key: &str, value: &Dynamic) -> Result<String> {
    if let Ok(flag) = value.as_bool() {
        return Ok(INT::from(flag).to_string());
    }
    if value.is_int() || value.is_string() {
        return Ok(value.to_string());
    }
    Err(Error::usage(format!("`{}` takes a number, a string, true or false", short(key)))
        .hint("several numbers are one string: \"0 100\""))
}

bindings! {
    /// Reads a sysctl of the namespace's network stack, or writes it. A number is returned as a number.
    ///
    /// Like `sysctl -n KEY` or `sysctl -w KEY=VALUE`. Only keys below `net.` belong to a namespace. `true` and `false` are
    /// written as 1 and 0.
    ///
    /// ```rhai
    /// let router = netns("router");
    /// check sysctl(router, "net.ipv4.ip_forward") == 0;
    /// sysctl(router, "net.ipv4.ip_forward", 1);
    /// check sysctl(router, "net.ipv4.ip_forward") == 1;
    /// check sysctl("net.ipv4.ip_forward") == 0;
    /// ```
    #[changes = Changes::Guarded(r#"sysctl("net.ipv4.conf.eth0.rp_filter", 2)"#)]
    fn sysctl(guard: Guard, ns: Here, key: SysctlKey, value: Option<Dynamic>) -> Dynamic {
        let net = ns.net().net()?;
        let text = match &value {
            Some(value) => {
                let value = written(&key.0, value)?;
                let permit = guard.sysctl(ns.net(), &key.0, &value)?;
                net.set_sysctl(&permit, &key.0, &value)?
            }
            None => net.sysctl(&key.0)?,
        };
        Ok(text.parse::<INT>().map_or_else(|_| Dynamic::from(text), Dynamic::from))
    }
}
