//! Settings of the network stack.

use std::sync::Arc;

use rhai::{Dynamic, INT};

use super::args::{Arg, Call, Here};
use super::bindings;
use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::name::short;

/// The key of a setting.
pub(crate) struct Setting(String);

impl Arg for Setting {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Settings;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        String::take(call, name).map(Self)
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

bindings! { "settings", types: [];

    /// Reads a setting of the namespace's network stack, or writes it. A number is returned as a number.
    ///
    /// `true` and `false` are written as 1 and 0. Like `sysctl -n KEY` and `sysctl -w KEY=VALUE`; only keys below `net.` belong to a namespace.
    ///
    /// ```rhai
    /// let router = netns("router");
    /// check sysctl(router, "net.ipv4.ip_forward") == 0;
    /// sysctl(router, "net.ipv4.ip_forward", 1);
    /// check sysctl(router, "net.ipv4.ip_forward") == 1;
    /// check sysctl("net.ipv4.ip_forward") == 0;
    /// ```
    fn sysctl(lab: Arc<Lab>, ns: Here, key: Setting, value: Option<Dynamic>) -> Dynamic {
        let net = ns.net().net()?;
        let text = match &value {
            Some(value) => {
                let value = written(&key.0, value)?;
                lab.setting(ns.net(), &key.0, &value)?;
                net.set_sysctl(&key.0, &value)?
            }
            None => net.sysctl(&key.0)?,
        };
        Ok(text.parse::<INT>().map_or_else(|_| Dynamic::from(text), Dynamic::from))
    }
}
