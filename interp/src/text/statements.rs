//! The statements of a text, found without evaluating it. A session saves statement by statement.

use std::ops::Range;

use super::tokens::{Kind, Token, tokens};

/// The form of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `let x = …` or `const X = …`.
    Declaration {
        /// The byte where the value begins; none for `let x;`.
        value: Option<usize>,
    },
    /// `fn f(a, b) { … }`.
    Function {
        /// The name.
        name: String,
        /// The number of its parameters.
        arity: usize,
    },
    /// `import …` or `export …`.
    Import,
    /// `for …`, `if …`, `within …`: ends with its block, without `;`.
    Block,
    /// Anything else.
    Expression,
    /// Comments at the end of the text.
    Comment,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The form.
    pub form: Form,
    /// The bytes of the statement, without the `;` at its end.
    pub code: Range<usize>,
    /// The bytes with the comments before it and the `;`.
    pub whole: Range<usize>,
}

/// Words that begin a statement that ends with its block.
const BLOCKS: [&str; 8] = ["if", "while", "loop", "for", "do", "switch", "try", "within"];

/// The statements of a text, which need not compile.
#[must_use]
pub fn statements(text: &str) -> Vec<Statement> {
    let all = tokens(text);
    let word = |token: &Token| &text[token.range.clone()];
    let mut found = Vec::new();
    let mut begin = 0; // the byte where the next statement begins, comments included
    let mut first: Option<usize> = None; // the first token of the statement
    let mut depth = 0usize;
    for (n, token) in all.iter().enumerate() {
        if token.kind == Kind::Comment {
            continue;
        }
        let start = *first.get_or_insert(n);
        let sign = if token.kind == Kind::Sign { word(token) } else { "" };
        match sign {
            "(" | "[" | "{" | "#{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let next = all[n + 1..].iter().find(|token| token.kind != Kind::Comment).map(word);
        let opener = word(&all[start]);
        let ends = depth == 0
            && match sign {
                ";" => true,
                "}" if matches!(opener, "fn" | "private") => true,
                "}" if opener == "{" || BLOCKS.contains(&opener) => match next {
                    Some("else" | "catch" | "." | ";") => false,
                    Some("while" | "until") => opener != "do",
                    _ => true,
                },
                _ => next.is_none(),
            };
        if !ends && next.is_some() {
            continue;
        }
        let before = || all[..n].iter().rfind(|token| token.kind != Kind::Comment);
        let end = if sign == ";" { before().map_or(0, |token| token.range.end) } else { token.range.end };
        let code = all[start].range.start..end.max(all[start].range.start);
        if code.start < code.end && word(&all[start]) != ";" {
            let form = form(text, &all[start..=n]);
            found.push(Statement { form, code, whole: begin..token.range.end });
            begin = token.range.end;
        }
        first = None;
    }
    if all.last().is_some_and(|last| last.range.end > begin && last.kind == Kind::Comment) {
        found.push(Statement { form: Form::Comment, code: text.len()..text.len(), whole: begin..text.len() });
    }
    found
}

fn form(text: &str, of: &[Token]) -> Form {
    let mut code = of.iter().filter(|token| token.kind != Kind::Comment);
    let mut next = || code.next().map(|token| &text[token.range.clone()]);
    let first = next().unwrap_or_default();
    match first {
        "let" | "const" => {
            let value = of.windows(2).find(|pair| &text[pair[0].range.clone()] == "=").map(|pair| pair[1].range.start);
            Form::Declaration { value }
        }
        "fn" | "private" => {
            let name = if first == "private" { code.nth(1) } else { code.next() };
            let name = name.map_or(String::new(), |token| text[token.range.clone()].to_owned());
            let signs = code.map(|token| &text[token.range.clone()]).take_while(|word| *word != ")");
            let arity = signs.filter(|word| !matches!(*word, "(" | ",")).count();
            Form::Function { name, arity }
        }
        "import" | "export" => Form::Import,
        _ if first == "{" || BLOCKS.contains(&first) => Form::Block,
        _ => Form::Expression,
    }
}

/// Whether the text uses the variable `name`.
#[must_use]
pub fn uses(text: &str, name: &str) -> bool {
    let all = tokens(text);
    all.iter().enumerate().any(|(n, token)| {
        token.kind == Kind::Word
            && &text[token.range.clone()] == name
            && !(n > 0 && &text[all[n - 1].range.clone()] == ".")
    }) || all.iter().any(|token| {
        // `… ${name} …`
        let inner = &text[token.range.clone()];
        inner.starts_with('`') && inner.split("${").skip(1).any(|part| uses(part.split('}').next().unwrap_or(""), name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        statements(text).into_iter().map(|statement| &text[statement.code]).collect()
    }

    #[test]
    fn statements_end_with_a_semicolon_or_their_block() {
        assert_eq!(cut("let a = 1; a + 1"), ["let a = 1", "a + 1"]);
        assert_eq!(
            cut("let m = #{a: 1}; within m { up(\"lo\"); } m.a"),
            ["let m = #{a: 1}", "within m { up(\"lo\"); }", "m.a"]
        );
        assert_eq!(cut("if x { 1 } else { 2 } y"), ["if x { 1 } else { 2 }", "y"]);
        assert_eq!(
            cut("try { 1 } catch (e) { 2 } do { 1 } while x; 3"),
            ["try { 1 } catch (e) { 2 }", "do { 1 } while x", "3"]
        );
        assert_eq!(cut("let r = if x { 1 } else { 2 };\nr"), ["let r = if x { 1 } else { 2 }", "r"]);
        assert_eq!(cut("fn f(a, b) { a } fn g() { }\nf(1, 2)"), ["fn f(a, b) { a }", "fn g() { }", "f(1, 2)"]);
        assert_eq!(cut("a.map(|x| { x; 1 });;;b"), ["a.map(|x| { x; 1 })", "b"]);
        assert_eq!(cut("let y = 2 // c\n; \"a;b\" /* d; */"), ["let y = 2", "\"a;b\"", ""]);
        assert_eq!(cut("// only\n"), [""]);
    }

    #[test]
    fn a_statement_has_a_form() {
        let forms = |text| statements(text).into_iter().map(|statement| statement.form).collect::<Vec<_>>();
        assert_eq!(
            forms("let q; let x = 1"),
            [Form::Declaration { value: None }, Form::Declaration { value: Some(15) }]
        );
        assert_eq!(
            forms("private fn f(a, b) { } import \"x\" as y;"),
            [Form::Function { name: "f".into(), arity: 2 }, Form::Import]
        );
        assert_eq!(forms("x == 1; for i in 0..2 { } // end"), [Form::Expression, Form::Block, Form::Comment]);
    }

    #[test]
    fn a_name_is_used_where_it_stands_alone() {
        assert!(uses("it + 1", "it") && uses("`a ${it.x}`", "it") && uses("f(it)", "it"));
        assert!(!uses("a.it", "it") && !uses("\"it\" // it", "it") && !uses("item", "it"));
    }
}
