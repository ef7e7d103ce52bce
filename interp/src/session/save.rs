//! A session as a script that means the same.

use super::{Entry, Session};
use crate::text::statements::{Sort, statements, uses};

impl Session {
    /// The session as a script that means the same: what failed, and what it left out, is a comment.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = String::from("//! Saved from a session.\n\n");
        for (n, entry) in self.log.iter().enumerate() {
            let later = &self.log[n + 1..];
            // A script has no `it`: it is declared where an input takes it up.
            let next = later.iter().take_while(|entry| !entry.gave).count();
            let is_used = later.iter().take(next + 1).any(|entry| uses(&entry.text, "it"));
            entry.write(&mut script, entry.gave && is_used, later);
        }
        script
    }
}

impl Entry {
    /// Writes what was done as code and the rest as comments; `names_it` declares the last value.
    fn write(&self, script: &mut String, names_it: bool, later: &[Self]) {
        let Some(done) = self.done else { return comment(script, "failed: ", &self.text) };
        let statements = statements(&self.text);
        let last = statements.iter().rposition(|statement| statement.sort != Sort::Comment);
        for (n, statement) in statements.iter().enumerate() {
            let before = &self.text[statement.whole.start..statement.code.start];
            for line in before.lines().map(str::trim).filter(|line| !line.is_empty()) {
                script.extend([line, "\n"]);
            }
            let code = &self.text[statement.code.clone()];
            let is_function = matches!(statement.sort, Sort::Function { .. });
            if !is_function && statement.code.end > done && statement.sort != Sort::Comment {
                comment(script, if statement.code.start <= done { "failed: " } else { "not run: " }, code);
                continue;
            }
            if is_function && later.iter().any(|entry| entry.defines(&statement.sort)) {
                comment(script, "replaced below: ", code);
                continue;
            }
            let inside = |code: &str| match &self.place {
                Some(place) => format!("within {place} {{ {code} }}"),
                None => code.to_owned(),
            };
            match &statement.sort {
                Sort::Comment => {}
                Sort::Function { .. } => script.push_str(code),
                Sort::Import | Sort::Declaration { value: None } => script.extend([code, ";"]),
                Sort::Declaration { value: Some(value) } => {
                    let words = &self.text[statement.code.start..*value];
                    script.extend([words, &inside(&self.text[*value..statement.code.end]), ";"]);
                }
                _ if names_it && Some(n) == last => script.extend(["let it = ", &inside(code), ";"]),
                Sort::Block => script.push_str(&inside(code)),
                Sort::Expression if self.place.is_some() => script.push_str(&inside(&format!("{code};"))),
                Sort::Expression => script.extend([code, ";"]),
            }
            if statement.sort != Sort::Comment {
                script.push('\n');
            }
        }
    }

    fn defines(&self, function: &Sort) -> bool {
        self.done.is_some() && statements(&self.text).iter().any(|statement| statement.sort == *function)
    }
}

fn comment(script: &mut String, what: &str, text: &str) {
    for line in text.lines() {
        script.extend(["// ", what, line, "\n"]);
    }
}
