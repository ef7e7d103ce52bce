//! The files of a lab.

use std::sync::Arc;

use rhai::{Array, Dynamic};

use super::core::prelude::*;
use super::core::register::Family;
use crate::lab::{Lab, tmpfiles};

pub(super) const FAMILY: Family = Family { name: "files", types: &[], bindings: BINDINGS };

bindings! {
    /// Makes the directories in `/run` that installed programs have in their `tmpfiles.d` files, and returns the new ones.
    ///
    /// No equivalent command: `systemd-tmpfiles --create --prefix=/run` makes more than directories. A lab's `/run` is empty at
    /// its start, and a program as it is packaged expects its own directory there, such as `/run/frr`. An owner that the lab
    /// has no id for is left out.
    ///
    /// ```rhai
    /// tmpfiles();
    /// check tmpfiles() == [];
    /// ```
    fn tmpfiles(lab: Arc<Lab>) -> Array {
        Ok(tmpfiles::make(&lab)?.into_iter().map(Dynamic::from).collect())
    }
}
