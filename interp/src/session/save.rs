//! Writes a session as a script that does the same.

use super::{Entry, Session};
use crate::text::statements::{Form, statements, uses};

impl Session {
    /// The session as a script that does the same. Statements that failed or were not run become comments.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = String::from("//! Saved from a session.\n\n");
        for (n, entry) in self.log.iter().enumerate() {
            let later = &self.log[n + 1..];
            // A script has no `it`: the value is declared as `it` where a later input uses it.
            let next = later.iter().take_while(|entry| !entry.has_value).count();
            let is_used = later.iter().take(next + 1).any(|entry| uses(&entry.text, "it"));
            entry.write(&mut script, entry.has_value && is_used, later);
        }
        script
    }
}

impl Entry {
    /// Writes the evaluated statements as code and the others as comments. `names_it` declares the last value as `it`.
    fn write(&self, script: &mut String, names_it: bool, later: &[Self]) {
        let Some(evaluated_to) = self.evaluated_to else { return comment(script, "failed: ", &self.text) };
        let statements = statements(&self.text);
        let last = statements.iter().rposition(|statement| statement.form != Form::Comment);
        for (n, statement) in statements.iter().enumerate() {
            let before = &self.text[statement.whole.start..statement.code.start];
            for line in before.lines().map(str::trim).filter(|line| !line.is_empty()) {
                script.extend([line, "\n"]);
            }
            let code = &self.text[statement.code.clone()];
            let is_function = matches!(statement.form, Form::Function { .. });
            if !is_function && statement.code.end > evaluated_to && statement.form != Form::Comment {
                comment(script, if statement.code.start <= evaluated_to { "failed: " } else { "not run: " }, code);
                continue;
            }
            if is_function && later.iter().any(|entry| entry.defines(&statement.form)) {
                comment(script, "replaced below: ", code);
                continue;
            }
            let inside = |code: &str| match &self.place {
                Some(place) => format!("within {place} {{ {code} }}"),
                None => code.to_owned(),
            };
            match &statement.form {
                Form::Comment => {}
                Form::Function { .. } => script.push_str(code),
                Form::Import | Form::Declaration { value: None } => script.extend([code, ";"]),
                Form::Declaration { value: Some(value) } => {
                    let words = &self.text[statement.code.start..*value];
                    script.extend([words, &inside(&self.text[*value..statement.code.end]), ";"]);
                }
                _ if names_it && Some(n) == last => script.extend(["let it = ", &inside(code), ";"]),
                Form::Block => script.push_str(&inside(code)),
                Form::Expression if self.place.is_some() => script.push_str(&inside(&format!("{code};"))),
                Form::Expression => script.extend([code, ";"]),
            }
            if statement.form != Form::Comment {
                script.push('\n');
            }
        }
    }

    fn defines(&self, function: &Form) -> bool {
        self.evaluated_to.is_some() && statements(&self.text).iter().any(|statement| statement.form == *function)
    }
}

fn comment(script: &mut String, what: &str, text: &str) {
    for line in text.lines() {
        script.extend(["// ", what, line, "\n"]);
    }
}
