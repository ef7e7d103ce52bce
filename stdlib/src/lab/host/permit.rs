//! The permit that the guard gives, and that undoing a journal has.

use crate::net::permit::Permit;

/// A proof that the guard was asked. Only this directory can make one.
pub(crate) struct Permitted(());

impl Permitted {
    pub(super) fn grant() -> Self {
        Self(())
    }
}

impl Permit for Permitted {}
