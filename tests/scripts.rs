//! Every script below `scripts/` is a trial, as this user and as an unprivileged one; and the scripts keep their form.
//!
//! The harness is libtest-mimic: a trial whose `//! needs:` are not met is listed as ignored, with the reason.
//! `NSLAB_RECORD=1 cargo test --test scripts` writes the recorded texts anew.

#![allow(clippy::disallowed_methods, reason = "tests start the real tools")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

#[path = "scripts/holes.rs"]
mod holes;
#[path = "scripts/session.rs"]
mod session;

/// The program under test.
const NSLAB: &str = env!("CARGO_BIN_EXE_nslab");
/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What the walkthrough prints.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/walkthrough.txt");
/// The script whose output is recorded.
const WALKTHROUGH: &str = "walkthrough";
/// The user and group `nobody`.
const NOBODY: &str = "65534";
/// No script needs a tenth of it; a hanging one is ended.
const LIMIT: &str = "120";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match Suite::new().and_then(|suite| suite.trials().map(|trials| (suite, trials))) {
        Ok((suite, trials)) => {
            let conclusion = libtest_mimic::run(&arguments, trials);
            drop(suite); // and with it the copies for `nobody`
            conclusion.exit_code()
        }
        Err(error) => {
            eprintln!("the scripts cannot be tested: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A script, by its path below `scripts/` without the extension.
struct Script {
    name: String,
    text: String,
}

impl Script {
    /// Every script, sorted; modules in `lib/` are none.
    fn all() -> io::Result<Vec<Self>> {
        let mut scripts = Vec::new();
        for path in rhai_files()?.into_iter().filter(|path| !path.starts_with("lib")) {
            let text = fs::read_to_string(Path::new(ROOT).join("scripts").join(&path))?;
            scripts.push(Self { name: path.with_extension("").display().to_string(), text });
        }
        Ok(scripts)
    }

    /// The words of its `//! needs:` line: features of the kernel as `nslab doctor` calls them, programs, and files.
    fn needs(&self) -> Vec<String> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("//! needs:"));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    }
}

/// The paths of all `.rhai` files below `scripts/`, sorted.
fn rhai_files() -> io::Result<Vec<PathBuf>> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(root, &path, found)?;
            } else if path.extension() == Some(OsStr::new("rhai")) {
                found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
            }
        }
        Ok(())
    }
    let root = Path::new(ROOT).join("scripts");
    let mut found = Vec::new();
    walk(&root, &root, &mut found)?;
    found.sort();
    Ok(found)
}

/// Who runs a script, and from where.
struct Runner {
    /// What stands before the program: `setpriv …`.
    before: Vec<OsString>,
    nslab: PathBuf,
    scripts: PathBuf,
    /// What this user can do here: features of the kernel, as `nslab doctor` prints them.
    features: BTreeMap<String, bool>,
    /// Why this runner cannot run anything.
    lacks: Option<String>,
    /// Why recorded lists of links cannot be compared here: modules for tunnels have put devices of theirs beside `lo`.
    fallback: Option<String>,
}

impl Runner {
    fn new(before: &[&str], nslab: PathBuf, scripts: PathBuf) -> io::Result<Self> {
        let mut runner = Self {
            before: before.iter().map(OsString::from).collect(),
            nslab,
            scripts,
            features: BTreeMap::new(),
            lacks: None,
            fallback: None,
        };
        let more = runner.command(&["-c", "links().len > 1"]).output()?;
        runner.fallback = String::from_utf8_lossy(&more.stdout)
            .starts_with("true")
            .then(|| "needs a machine without fallback devices of tunnel modules".to_owned());
        let doctor = runner.command(&["doctor"]).output()?;
        for line in String::from_utf8_lossy(&doctor.stdout).lines() {
            if let [sort, name, answer, ..] = line.split_whitespace().collect::<Vec<_>>()[..]
                && ["namespace", "link", "qdisc", "filter", "device"].contains(&sort)
            {
                runner.features.insert(name.to_owned(), answer == "yes");
            }
        }
        Ok(runner)
    }

    /// The program with these arguments. No shell, and nothing of `PATH` is needed to start it.
    fn command(&self, arguments: &[&str]) -> Command {
        let timeout = find_program("timeout").unwrap_or_else(|| "/usr/bin/timeout".into());
        let mut command = Command::new(timeout);
        command.args(["-k", "5", LIMIT]).args(&self.before).arg(&self.nslab).args(arguments);
        command.env("PATH", search_path()).current_dir(&self.scripts);
        command
    }

    /// The program that runs a script.
    fn script(&self, name: &str) -> Command {
        self.command(&["run", &format!("{name}.rhai")])
    }

    /// What is missing, if anything is.
    fn missing(&self, needs: &[String]) -> Option<String> {
        let met = |need: &&String| match self.features.get(need.as_str()) {
            Some(there) => *there,
            None => find_program(need).is_some(),
        };
        let missing: Vec<&str> = needs.iter().filter(|need| !met(need)).map(String::as_str).collect();
        let missing = (!missing.is_empty()).then(|| format!("needs {}", missing.join(", ")));
        self.lacks.clone().or(missing)
    }
}

/// `PATH`, and the folders of the system's tools, which ordinary users often lack in theirs.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).chain(system);
    std::env::join_paths(folders).unwrap_or(path)
}

/// Where a program is: an absolute path, or a name to look for.
fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// All that the trials share.
struct Suite {
    scripts: Vec<Arc<Script>>,
    here: Arc<Runner>,
    nobody: Option<Arc<Runner>>,
    /// The copies for `nobody`; removed at the end.
    _copies: TempDir,
}

impl Suite {
    fn new() -> io::Result<Self> {
        let scripts = Script::all()?.into_iter().map(Arc::new).collect();
        let here = Runner::new(&[], NSLAB.into(), Path::new(ROOT).join("scripts"))?;
        let copies = TempDir::new()?;
        let nobody = if is_root() { Some(Arc::new(as_nobody(copies.path())?)) } else { None };
        Ok(Self { scripts, here: Arc::new(here), nobody, _copies: copies })
    }

    fn trials(&self) -> io::Result<Vec<Trial>> {
        let mut trials = Vec::new();
        for script in &self.scripts {
            trials.push(run_trial(script, &self.here, ""));
            if let Some(nobody) = &self.nobody {
                trials.push(run_trial(script, nobody, " as nobody"));
            }
            let of_script = script.clone();
            trials.push(Trial::test(format!("header of {}", script.name), move || header(&of_script.text)));
        }
        let walkthrough = self.scripts.iter().find(|script| script.name == WALKTHROUGH);
        let walkthrough = walkthrough.ok_or_else(|| io::Error::other("there is no scripts/walkthrough.rhai"))?;
        for (runner, suffix) in [(Some(&self.here), ""), (self.nobody.as_ref(), " as nobody")] {
            if let Some(runner) = runner {
                trials.push(empty_path_trial(walkthrough, runner, suffix));
            }
        }
        trials.push(host_trial(walkthrough, &self.here));
        trials.push(execve_trial(walkthrough, &self.here));
        trials.push(Trial::test("the table in scripts/README.md is complete", table_is_complete));
        trials.push(Trial::test("a failing script is red", failing_script_is_red));
        trials.push(Trial::test("holes", holes::replace_what_varies));
        let lacks = self.here.fallback.clone();
        trials.push(trial("the session in docs/session.md".into(), lacks, session::replay));
        Ok(trials)
    }
}

/// The unprivileged user, with copies that it may read.
fn as_nobody(copies: &Path) -> io::Result<Runner> {
    let readable = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    readable(copies, 0o755)?;
    let nslab = copies.join("nslab");
    fs::copy(NSLAB, &nslab)?;
    readable(&nslab, 0o755)?;
    for path in rhai_files()? {
        let copy = copies.join("scripts").join(&path);
        let folder = copy.parent().unwrap_or(copies);
        fs::create_dir_all(folder)?;
        readable(folder, 0o755)?;
        readable(&copies.join("scripts"), 0o755)?;
        fs::copy(Path::new(ROOT).join("scripts").join(&path), &copy)?;
        readable(&copy, 0o644)?;
    }
    let Some(setpriv) = find_program("setpriv") else {
        let mut runner = Runner::new(&[], nslab, copies.join("scripts"))?;
        runner.lacks = Some("needs setpriv".into());
        return Ok(runner);
    };
    let setpriv = setpriv.display().to_string();
    let before = [&setpriv, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    let mut runner = Runner::new(&before, nslab, copies.join("scripts"))?;
    if runner.features.is_empty() {
        runner.lacks = Some("needs user namespaces for everybody".into());
    }
    Ok(runner)
}

/// A trial that is ignored, with the reason, if `lacks` is one.
fn trial(name: String, lacks: Option<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, run).with_ignored_flag(lacks.is_some()).with_kind(lacks.unwrap_or_default())
}

/// A script runs to its end, and prints what is recorded if it is the walkthrough.
fn run_trial(script: &Arc<Script>, runner: &Arc<Runner>, suffix: &str) -> Trial {
    let lacks = runner.missing(&script.needs());
    let (script, runner) = (script.clone(), runner.clone());
    let lacks = if script.name == WALKTHROUGH { lacks.or(runner.fallback.clone()) } else { lacks };
    trial(format!("{}{suffix}", script.name), lacks, move || {
        let output = succeeds(&mut runner.script(&script.name))?;
        if script.name == WALKTHROUGH { as_recorded(&output) } else { Ok(()) }
    })
}

/// The walkthrough needs nothing of the environment.
fn empty_path_trial(script: &Script, runner: &Arc<Runner>, suffix: &str) -> Trial {
    let lacks = runner.missing(&script.needs());
    let lacks = lacks.or(runner.fallback.clone());
    let runner = runner.clone();
    trial(format!("{WALKTHROUGH} with an empty PATH{suffix}"), lacks, move || {
        let mut command = runner.script(WALKTHROUGH);
        as_recorded(&succeeds(command.env_clear().env("PATH", ""))?)
    })
}

/// The walkthrough works with `--host` as well. The machine here is a namespace of its own, and it is as before afterwards.
fn host_trial(script: &Script, runner: &Arc<Runner>) -> Trial {
    let mut needs = script.needs();
    needs.extend(["unshare", "mount", "ip", "ls"].map(str::to_owned));
    let lacks = runner.missing(&needs).or_else(|| (!is_root()).then(|| "needs root".to_owned()));
    let lacks = lacks.or(runner.fallback.clone());
    let runner = runner.clone();
    trial(format!("{WALKTHROUGH} with --host"), lacks, move || {
        let steps = "mount -t tmpfs tmpfs /run && \"$1\" run --host walkthrough.rhai && \
                     test -z \"$(ls /run/netns)\" && test \"$(ip -o link | wc -l)\" = 1";
        let unshare = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private"];
        let mut command = Command::new("unshare");
        command.args(unshare).args(["sh", "-c", steps, "sh"]).arg(&runner.nslab);
        command.env("PATH", search_path()).current_dir(&runner.scripts);
        as_recorded(&succeeds(&mut command)?)
    })
}

/// The walkthrough starts only the programs that it names, and starts each of them.
fn execve_trial(script: &Script, runner: &Arc<Runner>) -> Trial {
    let mut needs = script.needs();
    needs.push("strace".into());
    let lacks = runner.missing(&needs).or(runner.fallback.clone());
    let named: BTreeSet<String> = script.needs().into_iter().filter(|need| need.starts_with('/')).collect();
    let runner = runner.clone();
    trial(format!("{WALKTHROUGH} starts only what it names"), lacks, move || {
        let folder = TempDir::new()?;
        let log = folder.path().join("execve");
        let strace = find_program("strace").unwrap_or_default();
        let mut command = Command::new(strace);
        command.args(["-f", "-qq", "-e", "trace=execve,execveat", "-o"]).arg(&log).arg(&runner.nslab);
        command.args(["run", "walkthrough.rhai"]).env("PATH", search_path()).current_dir(&runner.scripts);
        succeeds(&mut command)?;
        let log = fs::read_to_string(log)?;
        let mut started = BTreeSet::new();
        for line in log.lines().filter(|line| line.contains("execve(") || line.contains("execveat(")) {
            started.insert(line.split('"').nth(1).unwrap_or(line).to_owned());
        }
        let own = [runner.nslab.display().to_string(), "/proc/self/exe".to_owned()];
        if !own.iter().all(|own| started.remove(own)) {
            return Err(format!("nslab itself is missing among {started:?}").into());
        }
        if started == named { Ok(()) } else { Err(format!("started {started:?}, named {named:?}").into()) }
    })
}

/// Runs the command; an exit status other than 0 is a failure that shows everything.
fn succeeds(command: &mut Command) -> Result<Output, Failed> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr)).into())
}

/// Compares with the recorded text, or records it.
fn as_recorded(output: &Output) -> Result<(), Failed> {
    let printed = holes::with_holes(&String::from_utf8_lossy(&output.stdout));
    if std::env::var_os("NSLAB_RECORD").is_some() {
        return Ok(fs::write(GOLDEN, printed)?);
    }
    let recorded = fs::read_to_string(GOLDEN)?;
    if printed == recorded {
        return Ok(());
    }
    let (mut ours, mut theirs) = (printed.lines(), recorded.lines());
    for number in 1.. {
        let (ours, theirs) = (ours.next(), theirs.next());
        if ours != theirs {
            let [ours, theirs] = [ours, theirs].map(|line| line.unwrap_or("(nothing)"));
            return Err(format!("line {number}\n recorded: {theirs}\n printed:  {ours}\n\n{printed}").into());
        }
        if ours.is_none() {
            break;
        }
    }
    Err("only the line ends differ".into())
}

/// A script opens with what it is, its goal, and a drawing.
fn header(text: &str) -> Result<(), Failed> {
    let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    let has =
        |what: &str, found: bool| if found { Ok(()) } else { Err(Failed::from(format!("no {what} in the header"))) };
    has("first sentence", header.first().is_some_and(|line| line.starts_with("//! ") && line.ends_with('.')))?;
    has("`Goal:`", header.iter().any(|line| line.starts_with("//! Goal: ")))?;
    has("drawing (lines with four spaces)", header.iter().any(|line| line.starts_with("//!     ")))?;
    let needs = text.lines().filter(|line| line.starts_with("//! needs:")).count();
    let at_the_end = header.last().is_some_and(|line| line.starts_with("//! needs:"));
    has("`needs:` as the last line, once", needs == 0 || needs == 1 && at_the_end)
}

/// The table lists every script with its needs, and nothing that is not there.
fn table_is_complete() -> Result<(), Failed> {
    let readme = fs::read_to_string(Path::new(ROOT).join("scripts/README.md"))?;
    let mut listed = BTreeMap::new();
    for row in readme.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let path = cells[0].split_once("](").and_then(|(_, link)| link.strip_suffix(')'));
        let path = path.ok_or_else(|| format!("no link in the first cell of {row:?}"))?;
        if listed.insert(path.to_owned(), cells.last().copied().unwrap_or_default().to_owned()).is_some() {
            return Err(format!("{path} is listed twice").into());
        }
    }
    let mut there = BTreeMap::new();
    for path in rhai_files()? {
        let text = fs::read_to_string(Path::new(ROOT).join("scripts").join(&path))?;
        let script = Script { name: path.display().to_string(), text };
        let needs: Vec<String> = script.needs().iter().map(|need| format!("`{need}`")).collect();
        there.insert(script.name, if needs.is_empty() { "–".to_owned() } else { needs.join(" ") });
    }
    for (path, needs) in &there {
        match listed.remove(path) {
            Some(cell) if cell == *needs => {}
            Some(cell) => return Err(format!("{path} needs {needs}, the table says {cell}").into()),
            None => return Err(format!("{path} is not in the table").into()),
        }
    }
    if listed.is_empty() { Ok(()) } else { Err(format!("there is no {:?}", listed.keys()).into()) }
}

/// A trial of a script fails if a check fails, if the script is wrong, and if it prints something else.
fn failing_script_is_red() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let runner = Runner::new(&[], NSLAB.into(), folder.path().into())?;
    for (name, text) in [("false", "check 1 + 1 == 3;"), ("unknown", "nosuch();"), ("syntax", "let x = ;")] {
        fs::write(folder.path().join(format!("{name}.rhai")), text)?;
        if succeeds(&mut runner.script(name)).is_ok() {
            return Err(format!("`{text}` passes").into());
        }
    }
    fs::write(folder.path().join("other.rhai"), "print(42);")?;
    let output = succeeds(&mut runner.script("other"))?;
    if std::env::var_os("NSLAB_RECORD").is_none() && as_recorded(&output).is_ok() {
        return Err("another text passes for the recorded one".into());
    }
    Ok(())
}
