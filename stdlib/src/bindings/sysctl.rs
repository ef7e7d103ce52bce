//! Settings of the network stack.

use std::sync::Arc;

use rhai::{Dynamic, INT};

use super::args::Here;
use super::bindings;
use crate::lab::Lab;

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
    fn sysctl(lab: Arc<Lab>, ns: Here, key: String, value: Option<Dynamic>) -> Dynamic {
        let net = ns.net().net()?;
        if let Some(value) = &value {
            let value = value.to_string();
            lab.setting(ns.net(), &key, &value)?;
            net.set_sysctl(&key, &value)?;
        }
        let text = net.sysctl(&key)?;
        Ok(text.parse::<INT>().map_or_else(|_| Dynamic::from(text), Dynamic::from))
    }
}
