//! Settings of the network stack.

use std::sync::Arc;

use rhai::{Dynamic, INT};

use super::args::{Arg, Call, Here};
use super::bindings;
use crate::catalog::Names;
use crate::error::Result;
use crate::lab::Lab;

/// The key of a setting.
pub(crate) struct Setting(String);

impl Arg for Setting {
    const TYPE: &'static str = "string";
    const NAMES: Names = Names::Settings;
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        String::take(call, name).map(Self)
    }
}

bindings! { "settings", types: [];

    /// Reads a setting of the namespace's network stack, or writes it. A number is returned as a number.
    ///
    /// Like `sysctl -n KEY` and `sysctl -w KEY=VALUE`; only keys below `net.` belong to a namespace.
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
                lab.setting(ns.net(), &key.0)?;
                net.set_sysctl(&key.0, &value.to_string())?
            }
            None => net.sysctl(&key.0)?,
        };
        Ok(text.parse::<INT>().map_or_else(|_| Dynamic::from(text), Dynamic::from))
    }
}
