//! The sample call of each function that changes something: on the device of the default route it is refused.

use stdlib::catalog::Changes;

use super::snapshot::{assert_equal, snapshot};
use crate::common::{both, nslab, sh};

#[trial(pretend_host, nft)]
fn host_refuses_every_sample_call() {
    // Without IPv6 nothing changes by itself afterwards.
    sh("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
        ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
        ip addr add 192.0.2.1/24 dev eth0; ip route add default via 192.0.2.254");
    let lab = stdlib::lab::Lab::here(None).unwrap();
    let (_, catalog) = interp::language::engine::build(&lab, &interp::console::Console::standard());
    let changing = catalog.functions.iter().filter(|function| function.changes.any());
    let samples: Vec<_> = changing
        .filter_map(|function| match function.changes {
            Changes::Guarded(sample) => Some((function.name.clone(), sample)),
            _ => None,
        })
        .collect();
    assert!(samples.len() >= 12, "{samples:?}");
    let before = snapshot();
    for (name, sample) in samples {
        assert!(sample.contains(&name) && sample.contains("eth0"), "`{sample}` does not call `{name}` on eth0");
        let output = nslab().args(["--host", "-c", sample]).output().unwrap();
        let text = both(&output);
        assert_eq!(output.status.code(), Some(2), "`{sample}` went through: {text}");
        let reasons = ["`eth0` is the device of the default route", "this lab did not make it"];
        assert!(reasons.iter().any(|reason| text.contains(reason)), "`{sample}`: {text}");
        assert_equal(sample, &before, &snapshot());
    }
}
