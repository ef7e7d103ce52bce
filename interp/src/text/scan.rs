//! The place of the cursor: in a name, a member, a string argument, an option key. Nothing is evaluated.

use std::ops::Range;

use super::tokens::{Kind, Token, tokens};

/// A call whose parenthesis is open at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// The function.
    pub name: String,
    /// The text before the dot, if it is called as a method.
    pub receiver: Option<String>,
    /// The texts of the arguments before the one at the cursor.
    pub before: Vec<String>,
    /// The key of the value at the cursor, inside an option map.
    pub key: Option<String>,
    /// Whether the cursor is inside an option map.
    pub in_map: bool,
}

/// The place of the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name that begins at the offset.
    Word(usize),
    /// A member of the expression, whose name begins at the offset.
    Member(String, usize),
    /// A string whose contents begin at the offset.
    Text(usize),
    /// A key of an option map that begins at the offset.
    Key(usize),
    /// A place without completion.
    Nothing,
}

/// The place of the cursor and what is open around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The place.
    pub place: Place,
    /// The innermost open call.
    pub call: Option<OpenCall>,
    /// The namespace of the innermost open `within` block.
    pub within: Option<String>,
}

/// An open bracket.
struct Frame {
    open: char,
    /// Of a call: the tokens of the callee.
    callee: Option<Range<usize>>,
    /// The first token of the current argument, key or value.
    start: usize,
    before: Vec<String>,
    key: Option<String>,
    /// Of a block: the text between `within` and `{`.
    within: Option<String>,
}

/// The context of the cursor, from the text before it.
#[must_use]
pub fn context(text: &str, cursor: usize) -> Context {
    let text = &text[..cursor];
    let all = tokens(text);
    let slice = |range: Range<usize>| match (all.get(range.start), all.get(range.end.wrapping_sub(1))) {
        (Some(first), Some(last)) if range.start < range.end => text[first.range.start..last.range.end].to_owned(),
        _ => String::new(),
    };
    let mut frames: Vec<Frame> = Vec::new();
    let frame = |open, start| Frame { open, callee: None, start, before: Vec::new(), key: None, within: None };
    for (n, token) in all.iter().enumerate() {
        let Token { kind: Kind::Sign, range } = token else { continue };
        match &text[range.clone()] {
            "(" => {
                let callee = (n > 0 && all[n - 1].kind == Kind::Word).then(|| chain_start(text, &all, n)..n);
                frames.push(Frame { callee, ..frame('(', n + 1) });
            }
            "[" => frames.push(frame('[', n + 1)),
            "#{" => frames.push(frame('#', n + 1)),
            "{" => {
                let word = all[..n].iter().rposition(|token| &text[token.range.clone()] == "within");
                let within = word.map(|word| slice(word + 1..n)).filter(|ns| !ns.contains(['{', ';']));
                frames.push(Frame { within, ..frame('{', n + 1) });
            }
            ")" | "]" | "}" => drop(frames.pop()),
            "," => {
                if let Some(frame) = frames.last_mut() {
                    frame.before.push(slice(frame.start..n));
                    frame.start = n + 1;
                    frame.key = None;
                }
            }
            ":" => {
                if let Some(frame) = frames.last_mut().filter(|frame| frame.open == '#') {
                    frame.key = Some(slice(frame.start..n).trim_matches('"').to_owned());
                    frame.start = n + 1;
                }
            }
            _ => {}
        }
    }
    let call = open_call(&frames, &slice);
    let place = place(text, cursor, &all, frames.last());
    let within = frames.iter().rev().find_map(|frame| frame.within.clone()).filter(|ns| !ns.is_empty());
    Context { place, call, within }
}

fn open_call(frames: &[Frame], slice: &impl Fn(Range<usize>) -> String) -> Option<OpenCall> {
    let innermost = frames.last()?;
    let in_map = innermost.open == '#';
    // An option map or an array belongs to the call around it.
    let frame = frames.iter().rev().take(2).find(|frame| frame.open == '(')?;
    let callee = frame.callee.clone()?;
    let name = slice(callee.end - 1..callee.end);
    let receiver = (callee.len() >= 3).then(|| slice(callee.start..callee.end - 2)).filter(|r| !r.is_empty());
    Some(OpenCall {
        name,
        receiver,
        before: frame.before.clone(),
        key: innermost.key.clone().filter(|_| in_map),
        in_map,
    })
}

fn place(text: &str, cursor: usize, all: &[Token], innermost: Option<&Frame>) -> Place {
    let last = all.last();
    match last {
        Some(Token { kind: Kind::Text { closed: false }, range }) => return Place::Text(range.start + 1),
        Some(Token { kind: Kind::Comment, range }) if range.end == cursor => return Place::Nothing,
        _ => {}
    }
    let in_word = last.filter(|token| token.range.end == cursor && token.kind == Kind::Word);
    let start = in_word.map_or(cursor, |token| token.range.start);
    let before = if in_word.is_some() { all.len() - 1 } else { all.len() };
    let sign = |n: usize| all.get(n).filter(|token| token.kind == Kind::Sign).map(|token| &text[token.range.clone()]);
    if before > 1 && sign(before - 1) == Some(".") && sign(before - 2) == Some(".") {
        return Place::Nothing; // `0..`
    }
    if before > 0 && sign(before - 1) == Some(".") {
        let from = chain_start(text, all, before);
        let chain = match (all.get(from), all.get(before.wrapping_sub(2))) {
            (Some(first), Some(last)) if from < before - 1 => &text[first.range.start..last.range.end],
            _ => return Place::Nothing,
        };
        return Place::Member(chain.to_owned(), start);
    }
    if innermost.is_some_and(|frame| frame.open == '#' && frame.key.is_none()) {
        return Place::Key(start);
    }
    if in_word.is_some() { Place::Word(start) } else { Place::Nothing }
}

/// The first token of the chain `a.b(c)[d]` that ends before token `end`.
fn chain_start(text: &str, all: &[Token], end: usize) -> usize {
    let sign = |n: usize| if all[n].kind == Kind::Sign { &text[all[n].range.clone()] } else { "" };
    let mut at = end;
    while at > 0 {
        match sign(at - 1) {
            "." => at -= 1,
            ")" | "]" => {
                let mut depth = 0;
                loop {
                    at -= 1;
                    match sign(at) {
                        ")" | "]" => depth += 1,
                        "(" | "[" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || at == 0 {
                        break;
                    }
                }
                // The token before the bracket is the callee or the indexed value.
            }
            "" => {
                let follows_dot_or_bracket = at == end || matches!(sign(at), "." | "(" | "[");
                if !follows_dot_or_bracket {
                    return at;
                }
                at -= 1;
                if at == 0 || sign(at - 1) != "." {
                    return at;
                }
            }
            _ => return at,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(text: &str) -> Context {
        context(text, text.len())
    }

    #[test]
    fn the_cursor_is_in_a_word_or_after_a_dot() {
        assert_eq!(at_end("let x = pi").place, Place::Word(8));
        assert_eq!(at_end("cable.").place, Place::Member("cable".into(), 6));
        assert_eq!(at_end("check veth(a, \"x\").a.na").place, Place::Member("veth(a, \"x\").a".into(), 21));
        assert_eq!(at_end("f(1) + links(ns1)[0].st").place, Place::Member("links(ns1)[0]".into(), 21));
        assert_eq!(at_end("for i in 0..").place, Place::Nothing);
        assert_eq!(at_end("// pi").place, Place::Nothing);
        assert_eq!(at_end("").place, Place::Nothing);
    }

    #[test]
    fn the_context_has_the_open_call_and_its_arguments() {
        let Context { place, call, .. } = at_end("up(ns1, \"ve");
        assert_eq!(place, Place::Text(9));
        let call = call.unwrap();
        assert_eq!((call.name.as_str(), call.before.as_slice()), ("up", &["ns1".to_owned()][..]));
        let call = at_end("ns1.ping(\"10.0.0.1\", #{cou").call.unwrap();
        assert_eq!((call.name.as_str(), call.receiver.as_deref(), call.in_map), ("ping", Some("ns1"), true));
        assert_eq!(at_end("ping(\"x\", #{cou").place, Place::Key(12));
        let call = at_end("add_route(ns1, \"default\", #{via: \"10").call.unwrap();
        assert_eq!(call.key.as_deref(), Some("via"));
        assert_eq!(at_end("f(g(1), 2)").call, None);
        assert_eq!(at_end("if x { up(").call.unwrap().name, "up");
        assert_eq!(at_end("within a { within m.b { if x { up(").within.as_deref(), Some("m.b"));
        assert_eq!(at_end("within a { } up(").within, None);
    }
}
