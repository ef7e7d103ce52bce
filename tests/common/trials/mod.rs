//! The trials of a test binary: `#[trial(…)]` registers them with what they need, libtest-mimic runs them, and those that
//! cannot run on this machine are ignored with the reason.
//!
//! With `NSLAB_TESTS=all` whatever is missing is a failure, but for features of the kernel; so runs `.ci/run`. With
//! `NSLAB_TESTS=kernel` only the trials that need a feature of the kernel run, and a missing one is a failure.

mod machine;
mod needs;
mod place;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::{Arguments, Completion, Failed};

pub(crate) use needs::Need;
use place::Place;

/// A function below `#[trial(…)]`.
pub(crate) struct Registered {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    /// What it needs and where it runs, separated by commas.
    pub(crate) words: &'static str,
    pub(crate) run: fn(),
}

/// A function below `#[trials]`.
pub(crate) struct Generator(pub(crate) fn() -> Vec<Trial>);

inventory::collect!(Registered);
inventory::collect!(Generator);

/// One trial.
pub(crate) struct Trial {
    name: String,
    needs: Vec<Need>,
    run: Box<dyn FnOnce() + Send>,
}

impl Trial {
    /// A trial that needs a lab, and all of `needs`.
    pub(crate) fn new(name: String, needs: Vec<Need>, run: impl FnOnce() + Send + 'static) -> Self {
        Self { name, needs: [vec![Need::Lab], needs].concat(), run: Box::new(run) }
    }

    fn of(registered: &'static Registered) -> Self {
        let Registered { run, words, .. } = registered;
        let name = registered.path();
        if *words == "anywhere" {
            return Self { name, needs: Vec::new(), run: Box::new(run) };
        }
        let place = registered.place();
        let named = registered.words().filter(|word| Place::of(word).is_none()).map(Need::of);
        let needs = place.needs().into_iter().chain(named).collect();
        match place {
            Place::Here => Self::new(name, needs, run),
            place => Self::new(name.clone(), needs, move || place.start(&name)),
        }
    }

    /// Runs it, unless something is missing.
    fn outcome(self, mode: Mode) -> Result<Completion, Failed> {
        let missing = machine::missing(&self.needs);
        if !missing.is_empty() {
            return mode.verdict(&missing);
        }
        CURRENT.set(Some(Current { name: self.name, failure: None }));
        let panicked = catch_unwind(AssertUnwindSafe(self.run)).err();
        let failure = CURRENT.take().and_then(|current| current.failure);
        match panicked {
            None => Ok(Completion::Completed),
            Some(payload) => match payload.downcast::<Need>() {
                Ok(missing) => mode.verdict(&[*missing]),
                Err(_) => Err(failure.unwrap_or_default().into()),
            },
        }
    }
}

impl Registered {
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.split(',').filter(|word| !word.is_empty())
    }

    fn place(&self) -> Place {
        self.words().find_map(Place::of).unwrap_or(Place::Here)
    }

    /// Its name in the list: the modules, then the function.
    fn path(&self) -> String {
        let (_, module) = self.module.split_once("::").unwrap_or_default();
        [module, self.name].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("::")
    }
}

/// Whether the machine has all of this.
pub(crate) fn are_met(needs: &[Need]) -> bool {
    machine::missing(needs).is_empty()
}

/// Ends the running trial because the machine lacks something that only the run itself finds out.
pub(crate) fn lacks(need: Need) -> ! {
    panic_any(need)
}

/// What `NSLAB_TESTS` asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Whatever is missing ignores the trial.
    Lenient,
    All,
    Kernel,
}

impl Mode {
    fn asked_for() -> Self {
        match std::env::var("NSLAB_TESTS").as_deref() {
            Err(_) | Ok("") => Self::Lenient,
            Ok("all") => Self::All,
            Ok("kernel") => Self::Kernel,
            Ok(other) => panic!("NSLAB_TESTS is `{other}`: `all` and `kernel` have a meaning"),
        }
    }

    fn verdict(self, missing: &[Need]) -> Result<Completion, Failed> {
        let fails = match self {
            Self::Lenient => false,
            Self::All => missing.iter().any(|need| !need.is_of_kernel()),
            Self::Kernel => true,
        };
        let reason = missing.iter().map(Need::to_string).collect::<Vec<_>>().join(", ");
        if fails {
            return Err(reason.into());
        }
        if missing.iter().any(|need| matches!(need, Need::Tool(..))) {
            A_TOOL_WAS_MISSING.store(true, Ordering::Relaxed);
        }
        Ok(Completion::ignored_with(reason))
    }
}

static A_TOOL_WAS_MISSING: AtomicBool = AtomicBool::new(false);

/// The trial that a thread runs.
struct Current {
    name: String,
    /// Where it panicked, and with what.
    failure: Option<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The name of the trial that runs on this thread, or for which this process was started.
pub(crate) fn current() -> Option<String> {
    let here = CURRENT.with_borrow(|current| current.as_ref().map(|current| current.name.clone()));
    here.or_else(|| std::env::var(place::ONLY).ok())
}

/// Keeps the message of a trial's panic for the report at the end; other threads print theirs as usual.
fn keep_failures() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_of_trial = CURRENT.with_borrow_mut(|current| {
            let Some(current) = current else { return false };
            let place = info.location().map(|location| format!("{location}:\n")).unwrap_or_default();
            current.failure = Some(format!("{place}{}", message(info.payload())));
            true
        });
        if !is_of_trial {
            usual(info);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// Runs the trials of this binary.
pub(crate) fn main() -> ExitCode {
    // A sandbox's first process is this program again.
    if let Some(status) = stdlib::exec::main_of_init() {
        return status.into();
    }
    let registered = inventory::iter::<Registered>;
    if let Ok(only) = std::env::var(place::ONLY) {
        let trial = registered.into_iter().find(|trial| trial.path() == only).expect("this program named it");
        return trial.place().run(trial.run);
    }
    let arguments = Arguments::from_args();
    let mode = Mode::asked_for();
    let generated = inventory::iter::<Generator>.into_iter().flat_map(|Generator(make)| make());
    let mut trials: Vec<Trial> = registered.into_iter().map(Trial::of).chain(generated).collect();
    if mode == Mode::Kernel {
        trials.retain(|trial| trial.needs.iter().any(|need| matches!(need, Need::Kernel(_))));
    }
    trials.sort_by(|a, b| a.name.cmp(&b.name));
    keep_failures();
    let list = trials
        .into_iter()
        .map(|trial| libtest_mimic::Trial::ignorable_test(trial.name.clone(), move || trial.outcome(mode)));
    let conclusion = libtest_mimic::run(&arguments, list.collect());
    if A_TOOL_WAS_MISSING.load(Ordering::Relaxed)
        && let Some(line) = needs::install_line()
    {
        println!("{line}");
    }
    conclusion.exit_code()
}
