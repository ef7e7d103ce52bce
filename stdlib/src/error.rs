//! One error type: the operation, its object, the namespace, the kernel's answer, and what to do next.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What kind of failure it is; a script tests `e.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The arguments make no sense. The kernel was not asked.
    Usage,
    /// The object does not exist.
    NotFound,
    /// The name is taken.
    Exists,
    /// The kernel, or the guard of `--host`, refuses.
    Permission,
    /// The object was deleted, or its namespace was.
    Gone,
    /// The program that it depends on has ended.
    Ended,
    /// The deadline passed.
    Timeout,
    /// This kernel lacks it.
    Unsupported,
    /// Ctrl-C.
    Interrupted,
    /// Any other answer of the kernel.
    Kernel,
    /// A defect of nslab.
    Bug,
}

impl Kind {
    /// The word that scripts see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::NotFound => "not_found",
            Kind::Exists => "exists",
            Kind::Permission => "permission",
            Kind::Gone => "gone",
            Kind::Ended => "ended",
            Kind::Timeout => "timeout",
            Kind::Unsupported => "unsupported",
            Kind::Interrupted => "interrupted",
            Kind::Kernel => "kernel",
            Kind::Bug => "bug",
        }
    }

    fn of(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENODEV | Errno::ESRCH | Errno::ENXIO => Kind::NotFound,
            Errno::EEXIST => Kind::Exists,
            Errno::EPERM | Errno::EACCES | Errno::EROFS => Kind::Permission,
            Errno::ETIMEDOUT => Kind::Timeout,
            Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => Kind::Unsupported,
            _ => Kind::Kernel,
        }
    }
}

/// A failed operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: Kind,
    what: What,
    /// The namespace of the operation, as a sentence calls it.
    pub ns: Option<Box<str>>,
    /// The kernel's error number.
    pub errno: Option<Errno>,
    /// The kernel's own text (extended ack), or the reason where no kernel was asked.
    pub detail: Option<Box<str>>,
    /// What to do next, best first.
    pub hints: Vec<String>,
    /// Which argument of the call is at fault; a receiver is argument 0.
    pub argument: Option<u8>,
    /// What the operation produced before it failed: key and text.
    pub partial: Vec<(&'static str, String)>,
}

/// What the message begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// An operation and its object in backticks: ``create veth `veth0` ``.
    Operation(String),
    /// A whole sentence.
    Sentence(String),
}

impl What {
    fn text(&self) -> &str {
        match self {
            Self::Operation(text) | Self::Sentence(text) => text,
        }
    }
}

impl Error {
    /// A misuse, found before the kernel was asked.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::plain(Kind::Usage, text)
    }

    /// An error of `kind` that is just a sentence.
    pub fn plain(kind: Kind, text: impl Into<String>) -> Self {
        Self::new(kind, What::Sentence(text.into()), None)
    }

    /// The kernel refused `op`, an operation whose object stands in backticks.
    pub fn sys(op: impl Into<String>, errno: Errno) -> Self {
        Self::new(Kind::of(errno), What::Operation(op.into()), Some(errno))
    }

    /// `op` failed in the standard library.
    pub fn io(op: impl Into<String>, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::sys(op, Errno::from_raw(code)),
            None => Self::new(Kind::Kernel, What::Operation(op.into()), None).detail(error.to_string()),
        }
    }

    fn new(kind: Kind, what: What, errno: Option<Errno>) -> Self {
        let (hints, partial) = (Vec::new(), Vec::new());
        Self { kind, what, ns: None, errno, detail: None, hints, argument: None, partial }
    }

    /// What failed: an operation and its object in backticks, or a sentence.
    pub(crate) fn what(&self) -> &str {
        self.what.text()
    }

    /// The operation without its object: `create veth`. A sentence names none.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        match &self.what {
            What::Operation(text) => Some(text.split('`').next().unwrap_or_default().trim_end()),
            What::Sentence(_) => None,
        }
    }

    /// The object of the operation: the first text in backticks.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match &self.what {
            What::Operation(text) => text.split('`').nth(1),
            What::Sentence(_) => None,
        }
    }

    /// All that it names: the texts in backticks.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.what.text().split('`').skip(1).step_by(2)
    }

    /// The hints as one text.
    #[must_use]
    pub fn hint_text(&self) -> Option<String> {
        (!self.hints.is_empty()).then(|| self.hints.join("\n"))
    }

    /// Names the operation that the caller asked for, in place of the step of it that failed.
    #[must_use]
    pub fn during(mut self, op: impl Into<String>) -> Self {
        self.what = What::Operation(op.into());
        self
    }

    /// Adds the namespace.
    #[must_use]
    pub fn within(mut self, ns: impl Into<String>) -> Self {
        self.ns = Some(ns.into().into());
        self
    }

    /// Adds the kernel's own text.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into().into());
        self
    }

    /// Adds what to do next, after what is there already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Gives a better hint in place of all others.
    #[must_use]
    pub fn only_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints = vec![hint.into()];
        self
    }

    /// Changes the kind of failure.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says which argument of the call is at fault, unless that is known.
    #[must_use]
    pub fn argument(mut self, argument: usize) -> Self {
        self.argument = self.argument.or(u8::try_from(argument).ok());
        self
    }

    /// Adds a part of the result that was there when the operation failed.
    #[must_use]
    pub fn partial(mut self, key: &'static str, text: impl Into<String>) -> Self {
        self.partial.push((key, text.into()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())?;
        if let Some(ns) = &self.ns {
            write!(f, " in {ns}")?;
        }
        if let Some(errno) = self.errno {
            write!(f, ": {} ({:?} {})", errno.desc(), errno, errno as i32)?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_operation_namespace_errno_and_the_kernels_words() {
        let error =
            Error::sys("create bridge `br0`", Errno::EEXIST).within("namespace `sw`").detail("the kernel's words");
        assert_eq!(
            error.to_string(),
            "create bridge `br0` in namespace `sw`: File exists (EEXIST 17): the kernel's words"
        );
        assert_eq!(error.kind, Kind::Exists);
        assert_eq!((error.operation(), error.object()), (Some("create bridge"), Some("br0")));
        let error = error.during("set up link `eth0`");
        assert_eq!((error.operation(), error.object()), (Some("set up link"), Some("eth0")));
    }

    #[test]
    fn a_sentence_has_no_operation() {
        let error = Error::usage("`33` is not a valid prefix length").hint("first").hint("second");
        assert_eq!((error.operation(), error.object()), (None, None));
        assert_eq!(error.hint_text().as_deref(), Some("first\nsecond"));
        assert_eq!(error.only_hint("better").hints, ["better"]);
    }
}
