//! The macro that makes definitions of documented functions.

/// Documented functions, as a slice of `Binding`s.
///
/// `#[changes = …]` is the sample call of a function that changes the network, see `Changes`; `#[needs = …]` names
/// what the kernel must have.
macro_rules! bindings {
    ($($(#[doc = $doc:literal])+ $(#[changes = $changes:expr])? $(#[needs = $need:literal])*
       fn $name:ident($($arg:ident: $of:ty),* $(,)?) -> $out:ty $body:block)*) => {
        pub(in crate::bindings) const BINDINGS: &[$crate::bindings::core::call::Binding] =
            &[$($crate::bindings::core::call::Binding {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                parameters: &[$($crate::bindings::core::args::parameter::<$of>(stringify!($arg))),*],
                returns: <$out as $crate::bindings::core::value::Out>::TYPE,
                needs: &[$($need),*],
                changes: {
                    let changes = [$crate::catalog::Changes::Nothing, $($changes)?];
                    let changes = changes[changes.len() - 1];
                    let has_guard = false $(|| <$of as $crate::bindings::core::args::Arg>::CHANGES)*;
                    assert!(changes.any() == has_guard, "a function that takes the guard has a `changes`, and no other");
                    changes
                },
                call: |call| {
                    $(let $arg = call.argument::<$of>(stringify!($arg))?;)*
                    call.finish()?;
                    let run = || -> $crate::error::Result<$out> { $body };
                    Ok($crate::bindings::core::value::Out::out(run()?))
                },
            }),*];
    };
}
pub(crate) use bindings;
