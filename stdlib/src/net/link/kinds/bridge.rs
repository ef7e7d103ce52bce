//! `bridge`: a switch in software (ip-link(8), `net/bridge`).

use super::{Below, LinkKind};

/// The definition.
pub(crate) const KIND: LinkKind = LinkKind {
    name: "bridge",
    config: "BRIDGE",
    adds_devices: None,
    below: Below::Nothing,
    doc: Some(
        r#" Creates a bridge called `name` and returns it. It starts DOWN.

 Like `ip link add name NAME type bridge`. Links become its ports by `set_master`.

 ```rhai
 let lab = netns("lab");
 let br = bridge(lab, "br0");
 check br.kind == "bridge" && br.state == "DOWN";
 ```
"#,
    ),
};
