//! Registers the functions of all families with an engine, and lists them in the catalog.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Dynamic, Engine};

use super::call::{Binding, Call};
use crate::catalog::{Catalog, Function, Type, unindent};
use crate::lab::{Lab, Place};

/// Functions that belong together, and the types that they return.
pub(crate) struct Family {
    pub name: &'static str,
    pub types: &'static [fn(&mut Engine, &Arc<Lab>) -> Type],
    pub bindings: &'static [Binding],
}

/// Registers `families` and returns what they offer.
pub(crate) fn register(engine: &mut Engine, lab: &Arc<Lab>, families: &[Family]) -> Catalog {
    engine.set_default_tag(Dynamic::from(Place::of(lab.root())));
    engine.register_type_with_name::<Place>("Place");
    let mut catalog = Catalog::default();
    for family in families {
        for register in family.types {
            catalog.types.push(register(engine, lab));
        }
        for binding in family.bindings {
            register_function(engine, lab, binding);
            catalog.functions.push(Function {
                name: binding.name.into(),
                family: family.name.into(),
                doc: unindent(binding.doc),
                parameters: binding.parameters.to_vec(),
                returns: binding.returns.into(),
                needs: binding.needs,
                changes: binding.changes,
            });
        }
    }
    catalog
}

fn register_function(engine: &mut Engine, lab: &Arc<Lab>, binding: &'static Binding) {
    let most: usize = binding.parameters.iter().map(|p| p.max_args).sum();
    // With too few arguments and one too many as well: the error then says which one it is.
    for count in 0..=most + 1 {
        let lab = lab.clone();
        // Registered as `Dynamic`: the parameter's type converts the value and reports a mismatch.
        engine.register_raw_fn(binding.name, vec![TypeId::of::<Dynamic>(); count], move |cx, args| {
            let mut call = Call::new(&lab, &cx, binding, args);
            (binding.call)(&mut call).map_err(|failure| call.into_rhai(failure))
        });
    }
}
