//! What can happen in a lab.

use std::fmt;

use crate::lab::ended::Ended;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The operational state of a link changed.
    LinkState {
        /// The namespace's short name.
        ns: String,
        /// The link's name.
        link: String,
        /// The new state: `UP`, `DOWN`, `LOWERLAYERDOWN` …
        state: &'static str,
    },
    /// A link was deleted, or moved to another namespace.
    LinkGone {
        /// The namespace's short name.
        ns: String,
        /// The link's name.
        link: String,
    },
    /// A background process ended.
    ProcessEnded {
        /// Its PID.
        pid: u32,
        /// Its command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// The last line that it wrote to standard error.
        last_error: String,
    },
    /// A name in `/run/netns` was removed.
    NameGone {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkState { ns, link, state } => write!(f, "link {link} in {ns}: {state}"),
            Self::LinkGone { ns, link } => write!(f, "link {link} in {ns}: GONE"),
            Self::ProcessEnded { pid, command, ended, last_error } => match ended.signal {
                Some(signal) => write!(f, "process {pid} ({command}) ended by signal {signal}"),
                None if ended.code == 0 || last_error.is_empty() => {
                    write!(f, "process {pid} ({command}) ended with {}", ended.code)
                }
                None => write!(f, "process {pid} ({command}) ended with {}: {last_error}", ended.code),
            },
            Self::NameGone { name } => write!(f, "namespace {name}: its name is gone"),
        }
    }
}
