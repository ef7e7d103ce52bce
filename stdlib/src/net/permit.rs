//! The right to change the network of a namespace.

/// A proof that the guard of `--host` was asked before a change.
///
/// Each operation that changes the kernel's network takes one. Only `lab::host` implements it, for a type that only
/// the guard and the undoing of a journal can make, so a function that forgets to ask does not compile.
pub(crate) trait Permit {}
