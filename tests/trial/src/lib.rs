//! `#[trial(…)]` and `#[trials]`: the functions below them are registered where they stand, so none can be forgotten.
//!
//! The crate that uses them has the registered types in `crate::common`: `tests/common/trials/`.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function as one trial. The words in parentheses name what it needs and where it runs, separated by commas.
#[proc_macro_attribute]
pub fn trial(words: TokenStream, function: TokenStream) -> TokenStream {
    let name = name(&function);
    let words = words.to_string().replace(' ', "");
    register(
        function,
        &format!(
            "::inventory::submit! {{ crate::common::Registered {{ module: module_path!(), name: {name:?}, words: {words:?}, run: {name} }} }}"
        ),
    )
}

/// Registers a function that returns trials, for those that a table or a directory lists.
#[proc_macro_attribute]
pub fn trials(_: TokenStream, function: TokenStream) -> TokenStream {
    let name = name(&function);
    register(function, &format!("::inventory::submit! {{ crate::common::Generator({name}) }}"))
}

fn register(mut function: TokenStream, registration: &str) -> TokenStream {
    function.extend(registration.parse::<TokenStream>().expect("the text above is Rust"));
    function
}

/// The name of a function: the word after `fn`.
fn name(function: &TokenStream) -> String {
    let words: Vec<String> = function.clone().into_iter().filter_map(word).collect();
    let at = words.iter().position(|word| word == "fn").expect("the attribute stands above a function");
    words[at + 1].clone()
}

fn word(tree: TokenTree) -> Option<String> {
    if let TokenTree::Ident(word) = tree { Some(word.to_string()) } else { None }
}
