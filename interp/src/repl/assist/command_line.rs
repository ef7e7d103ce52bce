//! Completion of a command line: `:load a.rh`, `?pin`.

use std::collections::BTreeSet;

use stdlib::catalog::Catalog;

use super::complete::{self, Candidate, World};
use crate::repl::commands::table::{self, COMMANDS, Completes};

/// Where the word at the cursor begins and its candidates; none if the line is no command.
#[must_use]
pub fn complete(catalog: &Catalog, world: &dyn World, line: &str, cursor: usize) -> Option<(usize, Vec<Candidate>)> {
    let text = &line[..cursor];
    if let Some(topic) = text.strip_prefix('?') {
        let start = cursor - topic.trim_start_matches('?').len();
        return Some((start, matching(topics(catalog), &text[start..])));
    }
    let rest = text.strip_prefix(':')?;
    let Some((name, args)) = rest.split_once(' ') else {
        let found = COMMANDS.iter().map(|command| Candidate::new(command.name, command.usage(), command.doc));
        return Some((1, matching(found.collect(), rest)));
    };
    let start = cursor - args.len();
    let found = match table::find(name)?.completes {
        Completes::Nothing => Vec::new(),
        Completes::Topics => topics(catalog),
        Completes::Switch => ["on", "off"].map(Candidate::plain).to_vec(),
        Completes::Namespaces if args.contains(' ') => Vec::new(),
        Completes::Namespaces => {
            let variables = world.variables().into_iter().filter(|(_, of)| of == "NetNs").map(|(name, _)| name);
            plain(variables.chain(world.namespaces()))
        }
        Completes::Files => plain(world.files(args)),
        Completes::Input => {
            let (from, found) = complete::complete(catalog, world, args, args.len());
            return Some((start + from, found));
        }
    };
    Some((start, matching(found, args)))
}

fn topics(catalog: &Catalog) -> Vec<Candidate> {
    let functions = catalog.functions.iter().map(|f| Candidate::new(&f.name, &f.name, f.summary()));
    let types = catalog.types.iter().map(|t| Candidate::new(&t.name, &t.name, &t.doc));
    let commands = COMMANDS.iter().map(|c| Candidate::new(format!(":{}", c.name), format!(":{}", c.name), c.doc));
    functions.chain(types).chain(commands).collect()
}

fn plain(names: impl IntoIterator<Item = String>) -> Vec<Candidate> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().map(Candidate::plain).collect()
}

fn matching(mut found: Vec<Candidate>, typed: &str) -> Vec<Candidate> {
    found.retain(|candidate| candidate.text.starts_with(typed) && candidate.is_printable());
    found
}
