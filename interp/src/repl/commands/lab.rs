//! Commands on the lab: its namespaces, links and programs.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rhai::Dynamic;
use stdlib::lab::{Lab, Link, NetNs, Topology};
use stdlib::name::IfName;

use crate::repl::draw;
use crate::repl::show::Text;
use crate::repl::state::{Flow, State};

/// `:links [NS]`
pub(super) fn links(state: &mut State, name: &str) -> Flow {
    if name.is_empty() {
        return state.evaluate_quietly("links()");
    }
    let Some(expression) = state.expression_of(name) else {
        state.no_namespace(name);
        return Flow::Continue;
    };
    state.evaluate_quietly(&format!("links({expression})"))
}

/// `:topo`
pub(super) fn topo(state: &mut State) -> Flow {
    match Topology::of(&state.session.interpreter.lab) {
        Ok(topology) => state.show(Text::Values(draw::draw(&topology))),
        Err(error) => state.complain(&error.to_string()),
    }
    Flow::Continue
}

/// `pingall`: pings between all namespaces that have a global address.
pub(super) fn ping_all(state: &mut State) -> Flow {
    let has_address = |ns: &NetNs| {
        let addrs = ns.net().and_then(|net| net.addrs(None)).unwrap_or_default();
        addrs.iter().any(|addr| addr.scope == "global")
    };
    let spaces = state.session.interpreter.lab.all().unwrap_or_default();
    let nodes: Vec<Dynamic> = spaces.into_iter().filter(has_address).map(Dynamic::from).collect();
    let outcome = state.session.interpreter.call("pingall", (nodes,));
    state.finish(outcome)
}

/// `:explain [on|off]`
pub(super) fn explain(state: &mut State, switch: &str) -> Flow {
    let is_on = match switch {
        "on" | "" => true,
        "off" => false,
        _ => {
            state.complain("`:explain on` or `:explain off`");
            return Flow::Continue;
        }
    };
    let lab = &state.session.interpreter.lab;
    let (exec, console) = (lab.exec().clone(), state.console.clone());
    lab.explain(is_on, move |command| {
        if console.remark(&format!("# {command}")).is_err() {
            exec.interrupt();
        }
    });
    Flow::Continue
}

/// `:enter NS`
pub(super) fn enter(state: &mut State, name: &str) -> Flow {
    match (state.namespace(name), state.expression_of(name)) {
        (Some(ns), Some(expression)) => state.session.enter(&expression, &ns),
        _ => state.no_namespace(name),
    }
    Flow::Continue
}

/// `:leave`
pub(super) fn leave(state: &mut State) -> Flow {
    state.session.leave();
    Flow::Continue
}

/// `:reset`
pub(super) fn reset(state: &mut State) -> Flow {
    state.session.reset();
    let lab = state.session.interpreter.lab.clone();
    let mut errors = Vec::new();
    for process in lab.processes() {
        let ended = process.signal(Signal::SIGKILL).and_then(|()| process.wait(&lab, Duration::from_secs(5)));
        errors.extend(ended.err());
    }
    let namespaces = lab.all().unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    for ns in namespaces.into_iter().filter(|ns| !ns.is_root()) {
        errors.extend(lab.guard().delete_netns(&ns).err());
    }
    if lab.is_private() {
        errors.extend(clear_root(&lab).err());
    }
    for error in errors {
        state.complain(&error.to_string());
    }
    Flow::Continue
}

/// Deletes the links of the lab's root, and the global addresses of its `lo`.
fn clear_root(lab: &Arc<Lab>) -> stdlib::Result<()> {
    let root = lab.root();
    let net = root.net()?;
    for link in net.links()? {
        let link = Link::new(root, IfName::new(&link.name)?);
        if link.name().as_str() == "lo" {
            for addr in net.addrs(None)?.iter().filter(|addr| addr.scope == "global") {
                link.delete_addr(&lab.guard(), addr.net)?;
            }
        } else {
            // The other end of a cable may go by itself meanwhile; a fallback device cannot be deleted.
            let _ = link.delete(&lab.guard());
        }
    }
    Ok(())
}
