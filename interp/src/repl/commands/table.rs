//! The commands of the REPL as data: name, arguments, text, completion. Help, completion and validation read only this.

/// What completes the arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing.
    Nothing,
    /// Functions, types and commands.
    Topics,
    /// Namespaces.
    Namespaces,
    /// Scripts.
    Files,
    /// `on` and `off`.
    Switch,
    /// Everything that completes an input.
    Input,
}

/// What a command does. The other files of this directory do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `:help`
    Help,
    /// `:ns`
    Ns,
    /// `:links`
    Links,
    /// `:topo`
    Topo,
    /// `:vars`
    Vars,
    /// `:time`
    Time,
    /// `:load`
    Load,
    /// `:reload`
    Reload,
    /// `:save`
    Save,
    /// `:edit`
    Edit,
    /// `:reset`
    Reset,
    /// `:explain`
    Explain,
    /// `:log`
    Log,
    /// `:enter`
    Enter,
    /// `:leave`
    Leave,
    /// `:sh`
    Sh,
    /// `:shell`
    Shell,
    /// `:more`
    More,
    /// `:keep`
    Keep,
    /// `:quit`
    Quit,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// The name, without the colon.
    pub name: &'static str,
    /// The arguments: `[X]` is optional.
    pub args: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// What completes its arguments.
    pub completes: Completes,
    /// What it does.
    pub action: Action,
}

impl Command {
    /// Name and arguments: `:load FILE`.
    #[must_use]
    pub fn usage(&self) -> String {
        format!(":{} {}", self.name, self.args).trim_end().to_owned()
    }

    /// Whether it requires an argument.
    #[must_use]
    pub fn requires_argument(&self) -> bool {
        !self.args.is_empty() && !self.args.starts_with('[')
    }
}

const fn command(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    completes: Completes,
    action: Action,
) -> Command {
    Command { name, args, doc, completes, action }
}

/// The commands, in the order in which `:help` lists them.
pub const COMMANDS: &[Command] = &[
    command(
        "help",
        "[NAME]",
        "Lists functions and commands, or explains one. `:help all` has a sentence on each.",
        Completes::Topics,
        Action::Help,
    ),
    command(
        "ns",
        "",
        "Lists the namespaces: the names, and what holds those that are deleted and still alive.",
        Completes::Nothing,
        Action::Ns,
    ),
    command(
        "links",
        "[NS]",
        "Lists the links of the current namespace, or of another one.",
        Completes::Namespaces,
        Action::Links,
    ),
    command(
        "topo",
        "",
        "Draws the lab: namespaces, links, the far end of each cable, addresses, states.",
        Completes::Nothing,
        Action::Topo,
    ),
    command("vars", "", "Lists the variables with their types.", Completes::Nothing, Action::Vars),
    command("time", "EXPR", "Evaluates an input and prints how long it took.", Completes::Input, Action::Time),
    command("load", "FILE", "Runs a script in this session. Its variables stay.", Completes::Files, Action::Load),
    command("reload", "", "Resets, and runs the last loaded script again.", Completes::Nothing, Action::Reload),
    command("save", "FILE", "Saves the session as a script that does the same.", Completes::Files, Action::Save),
    command(
        "edit",
        "",
        "Opens the session's script in $EDITOR. If it was changed, resets and runs it.",
        Completes::Nothing,
        Action::Edit,
    ),
    command(
        "reset",
        "",
        "Ends all programs, deletes all namespaces and links, forgets variables, functions and imports. Sysctls and \
         filter rules of the lab's root stay.",
        Completes::Nothing,
        Action::Reset,
    ),
    command(
        "explain",
        "[on|off]",
        "Prints the equivalent shell command of each call.",
        Completes::Switch,
        Action::Explain,
    ),
    command("log", "", "Prints the inputs so far, as `:save` would write them.", Completes::Nothing, Action::Log),
    command("enter", "NS", "Makes a namespace the current one.", Completes::Namespaces, Action::Enter),
    command("leave", "", "Makes the lab's root the current namespace again.", Completes::Nothing, Action::Leave),
    command(
        "sh",
        "NS CMD",
        "Runs a shell command in a namespace, with the terminal. `NS! CMD` does the same.",
        Completes::Namespaces,
        Action::Sh,
    ),
    command("shell", "[NS]", "Opens an interactive shell in a namespace.", Completes::Namespaces, Action::Shell),
    command("more", "", "Shows the last output again without cutting it.", Completes::Nothing, Action::More),
    command(
        "keep",
        "NAME",
        "Keeps the lab when the session ends, until `nslab stop NAME`. `nslab attach NAME` enters it again.",
        Completes::Nothing,
        Action::Keep,
    ),
    command(
        "quit",
        "",
        "Ends the session and its lab, unless `:keep` keeps that. Ctrl-D does the same.",
        Completes::Nothing,
        Action::Quit,
    ),
];

/// Other names of commands.
const ALIASES: [(&str, &str); 5] = [("q", "quit"), ("exit", "quit"), ("h", "help"), ("?", "help"), ("l", "load")];

/// Words without a colon that Mininet and other tools have for commands.
pub(super) const FOREIGN_WORDS: [(&str, &str); 9] = [
    ("nodes", ":ns"),
    ("net", ":topo"),
    ("dump", ":topo"),
    ("links", ":links"),
    ("help", ":help"),
    ("exit", ":quit"),
    ("quit", ":quit"),
    ("help()", ":help"),
    ("quit()", ":quit"),
];

/// The command of a name or an alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static Command> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
    COMMANDS.iter().find(|command| command.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_name_and_sentences() {
        for (n, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..n].iter().all(|other| other.name != command.name), "{command:?}");
            assert!(COMMANDS[..n].iter().all(|other| other.action != command.action), "{command:?}");
            assert!(command.doc.ends_with('.') && command.doc.starts_with(char::is_uppercase), "{command:?}");
            // A new name has no completion.
            let has_completion = !command.args.is_empty() && command.action != Action::Keep;
            assert_eq!(has_completion, command.completes != Completes::Nothing, "{command:?}");
        }
    }

    #[test]
    fn other_words_lead_to_commands() {
        for (alias, name) in ALIASES {
            assert_eq!(find(alias).map(|command| command.name), Some(name));
            assert!(COMMANDS.iter().all(|command| command.name != alias), "{alias}");
        }
        for (word, command) in FOREIGN_WORDS {
            assert!(find(command.trim_start_matches(':')).is_some(), "{word}");
        }
    }
}
