//! Sessions of `--host` that overlap: the last one restores what the first one found.

use super::session::Session;
use super::snapshot::{Snapshot, assert_equal, snapshot};
use crate::common::{both, nslab, sh, wait_for};

/// A machine with a link, an address, and a route over it.
fn machine() {
    sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
        ip link add keep0 type veth peer name keep1; ip link set keep0 up; ip link set keep1 up
        ip addr add 192.0.2.1/24 dev keep0; ip -6 addr add fd66::1/64 dev keep0 nodad
        ip route add 198.51.100.0/24 via 192.0.2.2");
}

/// The values that the sessions change: forwarding, MTU, up or down.
fn values() -> String {
    let link = sh("ip -o link show dev keep0");
    let mtu = link.split_once("mtu ").and_then(|(_, rest)| rest.split_once(' ')).unwrap().0;
    let up = if link.contains(",UP") { "up" } else { "down" };
    format!("{} {mtu} {up}", sh("cat /proc/sys/net/ipv4/ip_forward").trim())
}

fn gc() -> String {
    let output = nslab().arg("gc").output().unwrap();
    format!("{}: {}", output.status.code().unwrap(), both(&output).trim())
}

const FIRST: &str = r#"sysctl("net.ipv4.ip_forward", 1); set_mtu(link("keep0"), 1400); down("keep0")"#;
const SECOND: &str = r#"sysctl("net.ipv4.ip_forward", 1); set_mtu(link("keep0"), 1300); down("keep0")"#;

/// What happens to one of the two sessions.
#[derive(Clone, Copy, Debug)]
enum Event {
    FirstEnds,
    SecondEnds,
    FirstIsKilled,
    SecondIsKilled,
    Gc(usize),
}

#[trial(pretend_host, nft)]
fn the_last_session_restores_what_the_first_one_found() {
    use Event::{FirstEnds, FirstIsKilled, Gc, SecondEnds, SecondIsKilled};
    machine();
    let before = snapshot();
    for events in [
        &[FirstEnds, SecondEnds][..],
        &[SecondEnds, FirstEnds],
        &[FirstIsKilled, Gc(1), SecondEnds],
        &[FirstIsKilled, SecondEnds, Gc(1)],
        &[SecondIsKilled, Gc(1), FirstEnds],
        &[SecondIsKilled, FirstEnds, Gc(1)],
        &[FirstEnds, SecondIsKilled, Gc(1)],
        &[SecondEnds, FirstIsKilled, Gc(1)],
        &[FirstIsKilled, SecondIsKilled, Gc(2)],
    ] {
        let (mut first, mut second) = (Some(Session::start("first", FIRST)), Some(Session::start("second", SECOND)));
        for event in events {
            let ended = match event {
                FirstEnds => first.take().map(Session::end),
                SecondEnds => second.take().map(Session::end),
                FirstIsKilled => first.take().map(Session::kill).and(None),
                SecondIsKilled => second.take().map(Session::kill).and(None),
                Gc(journals) => {
                    assert_eq!(gc(), format!("0: {journals} left-over journals undone"), "{events:?}");
                    None
                }
            };
            if let Some(output) = ended {
                assert_eq!((output.status.code(), both(&output)), (Some(0), String::new()), "{events:?}");
            }
            if first.is_some() || second.is_some() {
                assert_eq!(values(), "1 1300 down", "{events:?}: {event:?} took from the other session");
            }
        }
        wait_for("IPv6 addresses", || !sh("ip -6 addr").contains("tentative"));
        assert_equal(&format!("{events:?}"), &before, &snapshot());
    }
}

#[trial(pretend_host, nft)]
fn what_one_session_added_is_not_restored_by_another() {
    machine();
    let before = snapshot();
    let adds = r#"addr("keep0", "203.0.113.1/24"); addr("keep0", "fd99::1/64");
                  add_route("198.51.101.0/24", #{via: "192.0.2.3"}); add_route("fd98::/64", #{via: "fd66::3"})"#;
    let has = || ["203.0.113.1", "fd99::1", "fd98::"].map(|text| sh("ip addr; ip -6 route").contains(text));
    // The session that added them outlives the one that set the link down.
    let (adding, setting) = (Session::start("adding", adds), Session::start("setting", r#"down("keep0")"#));
    assert_eq!(both(&setting.end()), "");
    assert_eq!(has(), [true; 3], "taken from a session that lives: {}", sh("ip addr; ip -6 route"));
    assert_eq!(both(&adding.end()), "");
    assert_equal("the adding session last", &before, &snapshot());
    // It ends first.
    let (adding, setting) = (Session::start("adding", adds), Session::start("setting", r#"down("keep0")"#));
    assert_eq!(both(&adding.end()), "");
    assert_eq!(both(&setting.end()), "");
    assert_equal("the adding session first", &before, &snapshot());
    // A session does not restore what it has added itself.
    let output = nslab().args(["--host", "-c", &format!("{adds}; down(\"keep0\"); ()")]).output().unwrap();
    assert_eq!(both(&output), "");
    assert_equal("one session", &before, &snapshot());
}

#[trial(pretend_host, nft)]
fn a_change_by_another_program_is_left_and_reported() {
    machine();
    for (name, script, other, said) in [
        (
            "mtu",
            r#"set_mtu(link("keep0"), 1400)"#,
            "ip link set keep0 mtu 1450",
            "the MTU of link `keep0` was `1500`, and is `1450` now",
        ),
        (
            "sysctl",
            r#"sysctl("net.ipv4.conf.keep0.rp_filter", 1)"#,
            "echo 2 > /proc/sys/net/ipv4/conf/keep0/rp_filter",
            "sysctl `net.ipv4.conf.keep0.rp_filter` was `0`, and is `2` now",
        ),
    ] {
        let session = Session::start(name, script);
        sh(other);
        let output = session.end();
        assert_eq!(output.status.code(), Some(2), "{}", both(&output));
        assert!(both(&output).contains(&format!("error: not as before: {said}")), "{}", both(&output));
        assert!(both(&output).contains("another program has changed it"), "{}", both(&output));
        // Tried once more, then set aside.
        let tried = gc();
        assert!(tried.starts_with("2: ") && tried.contains(said) && tried.contains(".aside`"), "{tried}");
        assert_eq!(gc(), "0: 0 left-over journals undone");
        sh("ip link set keep0 mtu 1500; echo 0 > /proc/sys/net/ipv4/conf/keep0/rp_filter; rm -r /run/nslab");
    }
    // One that gives the old value back does what the session would do.
    let session = Session::start("back", r#"set_mtu(link("keep0"), 1400)"#);
    sh("ip link set keep0 mtu 1500");
    assert_eq!(session.end().status.code(), Some(0));
}

#[trial(pretend_host, nft)]
fn addresses_of_others_outlive_the_primary_of_a_session() {
    machine();
    let session = Session::start("primary", r#"addr("keep0", "203.0.113.1/24")"#);
    sh("ip addr add 203.0.113.2/24 dev keep0");
    assert_eq!(both(&session.end()), "");
    assert!(sh("ip addr").contains("203.0.113.2/24"), "the kernel removed a secondary address with the primary one");
    assert!(!sh("ip addr").contains("203.0.113.1/24"));
    sh("ip addr del 203.0.113.2/24 dev keep0");
    // In a script it is refused.
    let refused = r#"
        addr("keep0", "203.0.113.1/24");
        exec("ip addr add 203.0.113.2/24 dev keep0");
        print(expect_error(|| del_addr(link("keep0"), "203.0.113.1/24")).kind);"#;
    let output = nslab().args(["--host", "-c", refused]).output().unwrap();
    assert_eq!(both(&output), "permission\n");
    assert!(sh("ip addr").contains("203.0.113.2/24"));
}

#[trial(pretend_host, nft)]
fn what_a_session_removed_again_is_not_its_own_any_more() {
    machine();
    let scripts = [
        (
            r#"addr("keep0", "203.0.113.1/24"); del_addr(link("keep0"), "203.0.113.1/24")"#,
            "ip addr add 203.0.113.1/24 dev keep0",
            "ip addr",
        ),
        (
            r#"add_route("203.0.113.0/24", #{via: "192.0.2.2"}); del_route("203.0.113.0/24")"#,
            "ip route add 203.0.113.0/24 via 192.0.2.2",
            "ip route",
        ),
    ];
    for (script, other, look) in scripts {
        let session = Session::start("removed", script);
        sh(other);
        assert_eq!(both(&session.end()), "");
        assert!(sh(look).contains("203.0.113."), "`{other}` was undone");
        sh("ip addr del 203.0.113.1/24 dev keep0; ip route del 203.0.113.0/24; true");
    }
}

#[trial(pretend_host, nft)]
fn the_directory_of_names_goes_with_the_last_session() {
    machine();
    let before: Snapshot = snapshot();
    let (first, second) = (Session::start("first", r#"netns("one")"#), Session::start("second", r#"netns("two")"#));
    assert_eq!(both(&first.end()), "");
    assert_eq!(sh("ip netns list").trim(), "two");
    assert_eq!(both(&second.end()), "");
    assert_equal("after both", &before, &snapshot());
}
