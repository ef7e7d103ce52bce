//! The shell's twin of a call: the command that its documentation names, with the call's own arguments in it.

use std::collections::VecDeque;

use rhai::{Array, Dynamic, INT, ImmutableString, Map};

use crate::lab::{Link, NetNs, Place, Process};

/// The command that does what the call does, if the documentation names one.
pub(super) fn of(doc: &str, args: &[Dynamic], here: &Place) -> Option<String> {
    let like = doc.split("Like ").nth(1)?.split("\n\n").next()?;
    let templates = like.split('`').skip(1).step_by(2).filter(|template| is_command(template));
    // Of several the one that fits best: `ifconfig LINK ADDRESS up` when there is an address.
    templates.map(|template| Twin::new(args, here).fill(template)).max_by_key(|(fit, _)| *fit).map(|(_, text)| text)
}

fn is_command(template: &str) -> bool {
    template.contains(' ') && template.starts_with(|c: char| c.is_ascii_lowercase())
}

/// The arguments of a call, to be put into a template one after another.
struct Twin<'a> {
    here: &'a NetNs,
    links: VecDeque<Link>,
    spaces: VecDeque<NetNs>,
    processes: VecDeque<String>,
    /// Texts and numbers; with each the namespace that stands before it.
    others: VecDeque<(Option<NetNs>, String)>,
    options: Map,
}

impl<'a> Twin<'a> {
    fn new(args: &[Dynamic], here: &'a Place) -> Self {
        let mut twin = Self {
            here: &here.net,
            links: VecDeque::new(),
            spaces: VecDeque::new(),
            processes: VecDeque::new(),
            others: VecDeque::new(),
            options: Map::new(),
        };
        let mut before = None;
        for arg in args {
            if let Some(link) = arg.read_lock::<Link>() {
                twin.links.push_back(link.clone());
            } else if let Some(ns) = arg.read_lock::<NetNs>() {
                twin.spaces.push_back(ns.clone());
                before = Some(ns.clone());
            } else if let Some(process) = arg.read_lock::<Process>() {
                twin.processes.push_back(process.pid().to_string());
            } else if let Some(map) = arg.read_lock::<Map>() {
                twin.options = map.clone();
            } else if let Some(text) = plain(arg) {
                twin.others.push_back((before.take(), text));
            }
        }
        twin
    }

    fn next(&mut self) -> Option<String> {
        self.others.pop_front().map(|(_, text)| text)
    }

    /// The filled template, and how well it fits: the fewer holes are left and the more arguments are in it, the better.
    fn fill(mut self, template: &str) -> ((isize, usize), String) {
        let mut ns = self.links.front().map(Link::ns).or_else(|| self.spaces.front().cloned());
        let mut peer = None;
        let (mut used, mut open) = (0, 0);
        let mut words: Vec<String> = Vec::new();
        for word in template.split(' ') {
            let is_hole = word.starts_with(|c: char| c.is_ascii_uppercase());
            let option = words.last().and_then(|key| self.options.remove(key.as_str())).map(|value| value.to_string());
            let value = match word {
                _ if is_hole && option.is_some() => option,
                // The object comes first, so a namespace that is left is the destination.
                "NS" if words.last().is_some_and(|last| last == "netns") => {
                    self.spaces.pop_back().map(|ns| target(&ns))
                }
                "NS" => Some(ns.as_ref().unwrap_or(self.here).short()),
                "LINK" | "BRIDGE" => {
                    let link = self.links.pop_front().map(|link| link.name().to_string());
                    link.or_else(|| self.next())
                }
                "A" | "B" => self.others.pop_front().map(|(place, text)| {
                    let place = Some(place.unwrap_or_else(|| self.here.clone()));
                    if word == "A" {
                        ns = place;
                    } else {
                        peer = place;
                    }
                    text
                }),
                "KEY=VALUE" => self.next().zip(self.next()).map(|(key, value)| format!("{key}={value}")),
                "NAME" => self.next().or_else(|| self.spaces.pop_front().map(|ns| ns.short())),
                "PID" => self.processes.pop_front().or_else(|| self.next()),
                "KINDS" => self.next().map(|kinds| flags(&kinds)),
                "/proc/PID/ns" => self.next().map(|pid| format!("/proc/{pid}/ns")),
                "/proc/PID/ns/KIND" => self.next().zip(self.next()).map(|(pid, kind)| format!("/proc/{pid}/ns/{kind}")),
                _ if is_hole => self.next(),
                _ => Some(word.to_owned()),
            };
            used += usize::from(is_hole && value.is_some());
            match value {
                Some(value) => words.push(value),
                // An option that was not given takes its word with it.
                None if matches!(words.last().map(String::as_str), Some("via" | "dev" | "metric" | "-c" | "-s")) => {
                    drop(words.pop());
                }
                None => {
                    open += 1;
                    words.push(word.to_owned());
                }
            }
        }
        let ns = ns.unwrap_or_else(|| self.here.clone());
        let mut text = words.join(" ");
        if let Some(peer) = peer.filter(|peer| !peer.is(&ns)) {
            text.push_str(" netns ");
            text.push_str(&target(&peer));
        }
        ((-open, used), inside(&text, &ns))
    }
}

/// The namespace as `ip link` takes it for a destination: the lab's root has no name, but PID 1 is in it.
fn target(ns: &NetNs) -> String {
    if ns.is_root() { "1".into() } else { ns.short() }
}

/// The command as it has to be given to happen in `ns`.
fn inside(command: &str, ns: &NetNs) -> String {
    let name = ns.short();
    if ns.is_root() {
        return command.replace(&format!("ip -n {name} "), "ip ").replace(&format!("ip netns exec {name} "), "");
    }
    match command.strip_prefix("ip ") {
        Some(rest) if rest.starts_with("-n ") || rest.starts_with("netns ") => command.to_owned(),
        Some(rest) => format!("ip -n {name} {rest}"),
        None => format!("ip netns exec {name} {command}"),
    }
}

/// The options of nsenter(1) and unshare(1) for the kinds.
fn flags(kinds: &str) -> String {
    let flag = |kind: &str| match kind {
        "cgroup" => "-C".to_owned(),
        "time" => "-T".to_owned(),
        "user" => "-U".to_owned(),
        kind => format!("-{}", kind.chars().take(1).collect::<String>()),
    };
    kinds.split(' ').map(flag).collect::<Vec<_>>().join(" ")
}

/// A text, a number, or several words, as a command line has them.
fn plain(arg: &Dynamic) -> Option<String> {
    if let Some(text) = arg.read_lock::<ImmutableString>() {
        return Some(text.to_string());
    }
    if let Some(words) = arg.read_lock::<Array>() {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        return shlex::try_join(words.iter().map(String::as_str)).ok();
    }
    arg.read_lock::<INT>().map(|number| number.to_string())
}
