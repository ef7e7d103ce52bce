//! `ifb`: an intermediate functional block, for shaping incoming traffic (`drivers/net/ifb.c`, tc-mirred(8)).

use super::{Below, LinkKind};

/// The definition.
pub(crate) const KIND: LinkKind = LinkKind {
    name: "ifb",
    config: "IFB",
    adds_devices: Some("ifb"),
    below: Below::Nothing,
    doc: Some(
        r#" Creates an intermediate functional block called `name` and returns it. It starts DOWN.

 Like `ip link add name NAME type ifb`. Packets that a `mirred` action redirects to it leave through its queueing
 discipline, so that incoming traffic can be shaped like outgoing traffic.

 ```rhai
 let box = netns("box");
 check ifb(box, "ifb0").kind == "ifb";
 ```
"#,
    ),
};
