//! The equivalent commands of calls: each is run by `sh` in the lab's root, and does what the call did.
//!
//! The REPL of the run writes to a file, so that its inputs can run the commands which it has just shown. The rows are in
//! [`table`].

mod table;

use std::collections::BTreeSet;
use std::os::unix::fs::chown;

use nix::unistd::geteuid;

use crate::common::{Function, NOBODY, Need, Shell, Trial, difference, functions};
use table::{Proof, Row, User, plain_kind, rows};

/// How a line begins that says why there is no command.
const NONE: &str = "no equivalent command: ";

/// The network of a namespace as text, without what differs from run to run or comes in the kernel's own time.
const NETWORK: &str = r"
{ ip -d addr; ip route show table all; ip -6 route show table all; } | sed -E '
    /fe80:|ff00::/d
    /valid_lft/d
    s/([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}/MAC/g
    s/_timer +[0-9.]+//g
    s/ tentative//'
";

/// What a program sees in its namespaces; `roots` has those of the lab's root.
const NAMESPACES: &str = r#"
new=$(readlink /proc/self/ns/* | sort | comm -13 roots - | cut -d: -f1)
echo "$new"
case $new in *pid*) ls /proc | grep -c '^[0-9]' ;; esac
ls /sys/class/net
cat /proc/self/uid_map
"#;

/// Removes the times from what ping(8) writes.
const UNTIMED: &str = r"
s/time=[0-9.]*/time=T/
s/time [0-9]*ms/time T/
s,= [0-9./]* ms,= T,
";

/// Functions for the inputs. `shown` runs the commands that the call has shown, with `more` behind the last one.
const PRELUDE: &str = r#"
fn text(value) { let text = value.to_string(); text.trim(); text }
fn sh(words) { exec(["sh", "-c", words]).stdout }
fn network(ns) { exec(ns, "sh network").stdout }
fn shown(more) { exec(["sh", "-ec", text(sh("sed -n '/^# no equivalent/d; s/^# //p' out")) + more]) }
"#;

/// Runs inputs and returns what the REPL has written. Each input is one line.
#[track_caller]
fn session(row: &Row, inputs: &[&str], files: &[(&str, &str)]) -> String {
    let inputs = format!("{PRELUDE}{}\n{}\n", row.setup, inputs.join("\n"));
    let shell = Shell::new().file("network", NETWORK).file("namespaces", NAMESPACES).file("untimed", UNTIMED);
    let shell = files.iter().fold(shell, |shell, (name, text)| shell.file(name, text));
    let shell = if row.user == User::Nobody { shell.user(NOBODY) } else { shell };
    if row.user == User::Nobody && geteuid().is_root() {
        chown(shell.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let outcome = shell.by(["sh", "-c", "\"$0\" > out; cat out"]).stdin(&inputs).run();
    assert_eq!(outcome.errors(), "", "{inputs}");
    outcome.text().to_owned()
}

/// The text between two marks.
fn between<'t>(text: &'t str, mark: &str) -> &'t str {
    let inner = text.split(&format!("={mark}=\n")).nth(1);
    inner.unwrap_or_else(|| panic!("no {mark} in\n{text}"))
}

/// The lines that `:explain` has shown.
fn commands(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("# ")).collect()
}

/// Whether a shown line is the one in the table, where `*` stands for a number.
fn fits(wanted: &str, shown: &str) -> bool {
    let mut shown = shown;
    for (n, part) in wanted.split('*').enumerate() {
        let digits = shown.len() - shown.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if n > 0 && digits == 0 {
            return false;
        }
        let rest = if n > 0 { &shown[digits..] } else { shown };
        let Some(after) = rest.strip_prefix(part) else { return false };
        shown = after;
    }
    shown.is_empty()
}

#[track_caller]
fn shows(row: &Row, printed: &str) {
    let shown = commands(printed);
    let all_fit =
        shown.len() == row.shows.len() && row.shows.iter().zip(&shown).all(|(wanted, shown)| fits(wanted, shown));
    assert!(all_fit, "{} shows\n{}", row.call, shown.join("\n"));
}

#[track_caller]
fn same(row: &Row, ours: &str, theirs: &str) {
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
    let (ours, theirs) = (lines(ours.trim_end()), lines(theirs.trim_end()));
    let differs = difference(&ours, &theirs);
    assert!(differs.is_empty(), "{}: the call (-) and its commands (+) differ\n{differs}", row.call);
    assert!(!ours.trim().is_empty(), "{}: there is nothing to compare", row.call);
}

impl Row {
    /// The inputs of the call, explained.
    fn explained(&self) -> String {
        format!(":explain on\n{}\n:explain off", self.call)
    }

    /// The call in one lab, its commands in a lab of the same state: the states must be equal after, and not as before.
    fn compare_labs(&self, ours: &str, theirs: &str) {
        let before = format!("let before = text({ours});");
        let settled = format!("wait_until(|| text({ours}) != before);");
        let state = format!("print(\"=state=\\n\" + text({ours}) + \"\\n=state=\");");
        let native = session(self, &[&before, &self.explained(), &settled, &state], &[]);
        shows(self, &native);
        let wanted = between(&native, "state");
        let script: Vec<&str> = commands(&native).into_iter().filter(|line| !line.starts_with(NONE)).collect();
        let script = script.join("\n");
        let run = "let r = exec(\"sh -e script\"); if !r.ok { throw r.stderr; }";
        // What the kernel does later, or a program in the background, is waited for.
        let settled = format!("attempt(|| wait_until(|| text({theirs}) == text(sh(\"cat wanted\"))));");
        let state = format!("print(\"=state=\\n\" + text({theirs}) + \"\\n=state=\");");
        let typed = session(self, &[run, &settled, &state], &[("script", &script), ("wanted", wanted)]);
        same(self, wanted, between(&typed, "state"));
    }

    /// The call and its commands in one lab, since they name processes of it: `undo` is between them.
    fn repeat(&self, state: &str, undo: &str) {
        let state = format!("text({state})");
        let inputs = [
            format!("let before = {state};"),
            self.explained(),
            format!("wait_until(|| {state} != before);"),
            format!("let after = {state}; print(\"=call=\\n\" + after + \"\\n=call=\");"),
            format!("{undo} wait_until(|| {state} == before);"),
            "let r = shown(\"\"); if !r.ok { throw r.stderr; }".to_owned(),
            format!("attempt(|| wait_until(|| {state} == after));"),
            format!("print(\"=shown=\\n\" + {state} + \"\\n=shown=\");"),
        ];
        let printed = session(self, &inputs.each_ref().map(String::as_str), &[]);
        shows(self, &printed);
        same(self, between(&printed, "call"), between(&printed, "shown"));
    }

    /// What `ours` prints, and what `theirs` prints in the same lab, which runs the commands.
    fn compare_texts(&self, ours: &str, theirs: &str) {
        let print = |mark: &str, text: &str| format!("print(\"={mark}=\"); print({text}); print(\"={mark}=\");");
        let inputs = [self.explained(), print("call", ours), print("shown", theirs)];
        let printed = session(self, &inputs.each_ref().map(String::as_str), &[]);
        shows(self, &printed);
        same(self, between(&printed, "call"), between(&printed, "shown"));
    }

    fn run(&self) {
        match self.proof {
            Proof::State(state) => self.compare_labs(state, state),
            Proof::States(ours, theirs) => self.compare_labs(ours, theirs),
            Proof::Again { state, undo } => self.repeat(state, undo),
            Proof::Text { ours, more } => self.compare_texts(ours, &format!("shown(`{more}`)")),
            Proof::Status => self.compare_texts(self.call.trim_end_matches(';'), "shown(``).ok"),
            Proof::Runs { reason } => {
                assert!(!reason.is_empty());
                self.compare_texts("true", "shown(``).ok");
            }
            Proof::None => {
                shows(self, &session(self, &[&self.explained()], &[]));
                assert!(self.shows[0].starts_with(NONE));
            }
        }
    }

    fn needs(&self) -> Vec<Need> {
        let text = [self.shows.concat(), self.setup.into(), format!("{:?}", self.proof)].concat();
        let mut needs = Need::of_script(&format!("exec({})", text.replace('\n', " ")));
        needs.extend((self.user == User::Root).then_some(Need::Root));
        needs
    }
}

/// The rows of the table, and one for each kind of link without parameters: those have the same function.
fn all_rows() -> Vec<Row> {
    let is_plain =
        |function: &Function| function.signature == format!("{}([ns: NetNs], name: string) -> Link", function.name);
    let kinds = functions().into_iter().filter(|function| function.family == "kinds of link").filter(is_plain);
    rows().into_iter().chain(kinds.map(|function| plain_kind(function.name.leak()))).collect()
}

/// One trial for each row.
#[trials]
fn trials() -> Vec<Trial> {
    let features: Vec<(String, Vec<String>)> =
        functions().into_iter().map(|function| (function.name.clone(), function.features())).collect();
    let mut trials = Vec::new();
    for row in all_rows() {
        let number = trials.iter().filter(|(name, _)| *name == row.function).count() + 1;
        let mut needs = row.needs();
        let of_row = features.iter().find(|(name, _)| name == row.function);
        needs.extend(of_row.into_iter().flat_map(|(_, features)| features).map(|feature| Need::of(feature)));
        let name = format!("equivalent::of_{}_{number}", row.function);
        trials.push((row.function, Trial::new(name, needs, move || row.run())));
    }
    trials.into_iter().map(|(_, trial)| trial).collect()
}

#[trial(anywhere)]
fn every_function_is_in_the_table() {
    let all: BTreeSet<String> =
        functions().into_iter().filter(|function| function.family != "syntax").map(|function| function.name).collect();
    let tried: BTreeSet<String> = all_rows().iter().map(|row| row.function.to_owned()).collect();
    assert_eq!(all.symmetric_difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[trial(anywhere)]
fn a_star_in_the_table_is_a_number() {
    assert!(fits("kill *", "kill 17") && fits("a", "a") && fits("/proc/*/fd/* x", "/proc/2/fd/17 x"));
    assert!(!fits("kill *", "kill PID") && !fits("kill *", "kill 17 x") && !fits("a", "ab"));
}
