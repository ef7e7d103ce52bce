//! `:help`, `?NAME` and `??NAME`.

use crate::repl::assist::help as texts;
use crate::repl::show::Text;
use crate::repl::state::{Flow, State};

/// The overview, or the text of a function, a type, a command or a name of the session.
pub(super) fn help(state: &mut State, topic: &str) -> Flow {
    let catalog = state.session.interpreter.catalog.clone();
    let width = usize::from(state.screen().width);
    let text = match topic {
        "" => Ok(texts::overview(&catalog, width)),
        "all" => Ok(texts::all(&catalog, width)),
        _ => texts::explain(&catalog, topic, width).or_else(|error| of_session(state, topic).ok_or(error)),
    };
    match text {
        Ok(text) => state.show(Text::Plain(text)),
        Err(error) => state.complain(&error),
    }
    Flow::Continue
}

/// The source of a function of the session, or else the help.
pub(super) fn source_of(state: &mut State, name: &str) -> Flow {
    if state.session.variable(name).is_some() {
        return help(state, name);
    }
    match of_session(state, name) {
        Some(text) => state.show(Text::Plain(text)),
        None => return help(state, name),
    }
    Flow::Continue
}

/// The type of a variable of the session, or the source of a function of the session.
fn of_session(state: &State, name: &str) -> Option<String> {
    let interpreter = &state.session.interpreter;
    if let Some(value) = state.session.variable(name) {
        let of = interpreter.engine.map_type_name(value.type_name());
        let about = texts::explain(&interpreter.catalog, of, usize::from(state.screen().width));
        return Some(format!("{name} is a variable\n\n{}", about.unwrap_or_else(|_| of.to_owned())));
    }
    let functions = interpreter.functions().iter().filter(|known| known.name == name);
    let texts: Vec<&str> = functions.map(|known| known.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}
