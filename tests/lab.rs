//! The lab as a library: events for several listeners, the topology.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use interp::console::{Console, Palette};
use interp::language::interpreter::{Interpreter, Stop};
use interp::session::Session;
use stdlib::lab::events::{Event, Subscription};
use stdlib::lab::topology::{End, Node, NodeLink};
use stdlib::lab::{Lab, Topology};

/// How long an event may take to arrive.
const LIMIT: Duration = Duration::from_secs(60);

/// A session in the lab of the trial.
fn new_session() -> Session {
    Session::new(Interpreter::new(Lab::here(None).unwrap(), Console::standard(), None, &[]))
}

fn evaluate(session: &mut Session, script: &str) {
    match session.evaluate(script) {
        Ok(_) => {}
        Err(Stop::Failed(diagnostic)) => panic!("{}", diagnostic.render(Palette::PLAIN, 160)),
        Err(Stop::Exit(_) | Stop::Interrupted | Stop::OutputLost(_)) => panic!("the script was stopped"),
    }
}

/// A subscription and the events that it gets.
fn subscribe(session: &Session) -> (Subscription, Receiver<Event>) {
    let (sender, receiver) = channel();
    (session.interpreter.lab.subscribe(move |event| drop(sender.send(event.clone()))).unwrap(), receiver)
}

/// Reads events until `wanted` is one.
fn wait_for(events: &Receiver<Event>, wanted: &Event) {
    while events.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("no event `{wanted}`")) != *wanted {}
}

/// Reads events until a process ends.
fn wait_for_process(events: &Receiver<Event>) -> String {
    loop {
        let event = events.recv_timeout(LIMIT).expect("the end of a process");
        if matches!(event, Event::ProcessEnded { .. }) {
            return event.to_string();
        }
    }
}

fn topology(session: &Session) -> Topology {
    Topology::of(&session.interpreter.lab).unwrap()
}

fn node<'a>(topology: &'a Topology, name: &str) -> (usize, &'a Node) {
    topology.nodes.iter().enumerate().find(|(_, node)| node.name == name).unwrap()
}

fn link<'a>(node: &'a Node, name: &str) -> &'a NodeLink {
    node.links.iter().find(|link| link.info.name == name).unwrap()
}

#[trial(in_lab)]
fn several_listeners_get_the_events_of_all_namespaces() {
    let session = &mut new_session();
    evaluate(session, r#"let before = netns("before");"#);
    let (_first, to_first) = subscribe(session);
    let (second, to_second) = subscribe(session);
    evaluate(session, r#"let after = netns("after");"#);
    for ns in ["before", "after"] {
        evaluate(session, &format!(r#"up({ns}, "lo");"#));
        let up = Event::LinkState { ns: ns.into(), link: "lo".into(), state: "UNKNOWN" };
        wait_for(&to_first, &up);
        wait_for(&to_second, &up);
    }
    drop(second);
    evaluate(session, "delete(before);");
    wait_for(&to_first, &Event::NameGone { name: "before".into() });
    assert_eq!(to_second.iter().last(), None, "the subscription has ended");
    let (_third, to_third) = subscribe(session);
    evaluate(session, r#"bridge(after, "br0"); delete(link(after, "br0")); delete(after);"#);
    for events in [&to_first, &to_third] {
        wait_for(events, &Event::NameGone { name: "after".into() });
    }
}

#[trial(in_lab)]
fn a_process_from_before_the_subscription_reports_its_end() {
    let session = &mut new_session();
    evaluate(session, r#"let p = start("sleep 600");"#);
    let (_subscription, events) = subscribe(session);
    evaluate(session, "kill(p, \"KILL\");");
    let text = wait_for_process(&events);
    assert!(text.starts_with("process ") && text.ends_with("(sleep 600) ended by signal 9"), "{text}");
}

#[trial(in_lab)]
fn a_failed_process_reports_its_last_words() {
    let session = &mut new_session();
    let (_subscription, events) = subscribe(session);
    evaluate(session, r#"start(["sh", "-c", "echo one >&2; echo the reason >&2; exit 3"]);"#);
    let text = wait_for_process(&events);
    assert!(text.ends_with("ended with 3: the reason"), "{text}");
}

/// `h1:eth0 <-> sw:port1`, `sw:port2 <-> h2:eth0`
#[trial(in_lab)]
fn a_topology_has_both_ends_of_a_cable() {
    let session = &mut new_session();
    evaluate(
        session,
        r#"let h1 = netns("h1"); let h2 = netns("h2"); let sw = netns("sw");
        let one = veth(h1, "eth0", sw, "port1");
        let two = veth(h2, "eth0", sw, "port2");
        up(one.a, "10.0.0.1/24");"#,
    );
    let topology = topology(session);
    let names: Vec<_> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["host", "h1", "h2", "sw"]);
    for (host, port) in [("h1", "port1"), ("h2", "port2")] {
        let ((at_host, host), (at_switch, switch)) = (node(&topology, host), node(&topology, "sw"));
        let (eth0, port) = (link(host, "eth0"), link(switch, port));
        assert_eq!(eth0.peer, Some(End { node: Some(at_switch), index: port.info.index }));
        assert_eq!(port.peer, Some(End { node: Some(at_host), index: eth0.info.index }));
        assert_eq!((eth0.lower, port.lower), (None, None));
        assert_eq!(topology.link(eth0.peer.unwrap()), Some((switch, port)));
    }
    let eth0 = link(node(&topology, "h1").1, "eth0");
    assert_eq!(eth0.addrs.iter().map(|addr| addr.net.to_string()).collect::<Vec<_>>(), ["10.0.0.1/24"]);
    evaluate(session, "for ns in [h1, h2, sw] { delete(ns); }");
}

#[trial(in_lab)]
fn a_deleted_namespace_stays_while_a_process_is_in_it() {
    let session = &mut new_session();
    evaluate(
        session,
        r#"let ns1 = netns("ns1");
        let cable = veth(ns1, "eth0", host(), "veth0");
        let p = start(ns1, "sleep 600");
        delete(ns1);"#,
    );
    let before = topology(session);
    let (at, nameless) = (1, &before.nodes[1]);
    assert!(nameless.name.starts_with("net:["), "{nameless:?}");
    let holders: Vec<_> = nameless.holders.iter().map(ToString::to_string).collect();
    assert!(matches!(holders.as_slice(), [one] if one.ends_with("(sleep) is in it")), "{holders:?}");
    let eth0 = link(nameless, "eth0");
    let veth0 = link(node(&before, "host").1, "veth0");
    assert_eq!(veth0.peer, Some(End { node: Some(at), index: eth0.info.index }));
    evaluate(session, r#"kill(p, "KILL"); wait(p);"#);
    assert_eq!(topology(session).nodes.len(), 1);
}

#[trial(in_lab)]
fn a_namespace_with_a_handle_is_listed_once() {
    let session = &mut new_session();
    evaluate(session, r#"let ns1 = netns("ns1"); let anonymous = netns(); let p = start(anonymous, "sleep 600");"#);
    let seen = topology(session);
    assert_eq!(seen.nodes.len(), 3);
    assert!(seen.nodes.iter().all(|node| node.holders.is_empty()), "{seen:?}");
    evaluate(session, r#"kill(p, "KILL"); wait(p); delete(anonymous); delete(ns1);"#);
}
