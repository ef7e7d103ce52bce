//! One error type: what was tried, on what, where, what the kernel said, and what to do next.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What sort of failure it is; a script tests `e.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The arguments make no sense: nothing was asked of the kernel.
    Usage,
    /// The thing is not there.
    NotFound,
    /// The name is taken.
    Exists,
    /// The kernel, or a guard of ours, refuses.
    Permission,
    /// The thing was deleted, or its namespace was.
    Gone,
    /// The deadline passed.
    Timeout,
    /// This kernel cannot do it.
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
    /// What sort of failure it is.
    pub kind: Kind,
    /// The operation and its object: ``create veth `veth0` ``.
    pub op: String,
    /// The namespace it was to happen in, as people call it.
    pub ns: Option<String>,
    /// The kernel's error number.
    pub errno: Option<Errno>,
    /// The kernel's own text (extended ack), or ours where no kernel was asked.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Error {
    /// A refusal of ours, before any kernel was asked.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::plain(Kind::Usage, text)
    }

    /// An error of `kind` that is just a sentence.
    pub fn plain(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, op: text.into(), ns: None, errno: None, detail: None, hint: None }
    }

    /// The kernel refused `op`.
    pub fn sys(op: impl Into<String>, errno: Errno) -> Self {
        Self { kind: Kind::of(errno), op: op.into(), ns: None, errno: Some(errno), detail: None, hint: None }
    }

    /// `op` failed in the standard library.
    pub fn io(op: impl Into<String>, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::sys(op, Errno::from_raw(code)),
            None => Self::plain(Kind::Kernel, op).detail(error.to_string()),
        }
    }

    /// Adds the namespace.
    #[must_use]
    pub fn within(mut self, ns: impl Into<String>) -> Self {
        self.ns = Some(ns.into());
        self
    }

    /// Adds the kernel's own text.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Changes the sort of failure.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.op)?;
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
    }
}
