//! The promises "private" and "the kernel cleans up", and `--host`: measured with oracles that each have a control.
//!
//! Trials that change anything outside a lab do so in a *pretend host*: namespaces that the trial makes for itself by
//! starting this very program again, in a role, under `unshare(1)`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test starts programs and panics when it fails")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

#[path = "isolation/cycles.rs"]
mod cycles;
#[path = "isolation/deaths.rs"]
mod deaths;
#[path = "isolation/host_mode.rs"]
mod host_mode;
#[path = "isolation/kills.rs"]
mod kills;
#[path = "isolation/lab.rs"]
mod lab;
#[path = "isolation/oracle.rs"]
mod oracle;
#[path = "isolation/quiet.rs"]
mod quiet;
#[path = "isolation/refused.rs"]
mod refused;
#[path = "isolation/samples.rs"]
mod samples;
#[path = "isolation/tools.rs"]
mod tools;

/// A check: panics with what is wrong.
type Check = fn();

/// What needs what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// User namespaces, which every lab needs.
    Nothing,
    /// Root, for a pretend host or for a second user.
    Root,
}

const TRIALS: &[(&str, Needs, Check)] = &[
    ("the_machine_is_equal_before_and_after_all_scripts", Needs::Root, quiet::machine_is_equal),
    ("no_event_reaches_the_host_and_no_mount_leaks_to_it", Needs::Root, quiet::no_event),
    ("kills_at_random_moments_leave_nothing", Needs::Nothing, kills::leave_nothing),
    ("every_oracle_sees_a_seeded_leak", Needs::Nothing, oracle::sees_seeded_leaks),
    ("ten_thousand_namespaces_come_and_go", Needs::Nothing, cycles::namespaces),
    ("processes_sandboxes_and_pings_come_and_go", Needs::Nothing, cycles::processes),
    ("each_death_of_the_front_ends_all", Needs::Nothing, deaths::of_the_front),
    ("each_death_of_keeper_and_interpreter_ends_all", Needs::Nothing, deaths::of_the_others),
    ("a_stopped_keeper_dies_with_the_front", Needs::Nothing, deaths::of_a_stopped_keeper),
    ("the_terminal_is_restored", Needs::Nothing, deaths::restore_the_terminal),
    ("ignored_signals_stay_ignored", Needs::Nothing, deaths::ignored_signals),
    ("blocked_signals_still_end_it", Needs::Nothing, deaths::blocked_signals),
    ("programs_get_three_descriptors", Needs::Nothing, lab::descriptors),
    ("every_thread_stays_at_home", Needs::Nothing, lab::threads),
    ("no_handle_of_the_host_is_open", Needs::Nothing, lab::no_handle),
    ("kernel_wide_files_are_read_only_for_root", Needs::Root, lab::kernel_wide_files),
    ("settings_and_links_of_the_lab_are_its_own", Needs::Nothing, lab::own_settings),
    ("thirty_labs_with_equal_names", Needs::Nothing, lab::thirty_at_once),
    ("few_descriptors_are_a_clear_error", Needs::Nothing, refused::few_descriptors),
    ("no_user_namespaces_is_said_with_the_setting", Needs::Nothing, refused::no_user_namespaces),
    ("a_chroot_is_said", Needs::Root, refused::chroot),
    ("an_ordinary_user_needs_nothing", Needs::Root, refused::ordinary_user),
    ("host_needs_root", Needs::Root, refused::host_needs_root),
    ("host_walkthrough_leaves_the_machine_equal", Needs::Root, host_mode::walkthrough),
    ("host_ends_of_every_sort_undo_exactly_what_was_made", Needs::Root, host_mode::ends),
    ("host_restores_what_was_there_before", Needs::Root, host_mode::restores),
    ("host_guards_what_it_did_not_make", Needs::Root, host_mode::guards),
    ("host_refuses_every_sample_call", Needs::Root, samples::refused),
    ("host_survivors_undo_after_kills", Needs::Root, host_mode::survivors),
    ("host_gc_undoes_when_all_were_killed", Needs::Root, host_mode::gc),
    ("host_journals_are_private_and_locked", Needs::Root, host_mode::journals),
];

/// What this program does when it is started again inside other namespaces.
const ROLES: &[(&str, Check)] = &[
    ("quiet", quiet::role),
    ("kills", kills::role),
    ("seeded", oracle::role),
    ("namespaces", cycles::namespaces_role),
    ("processes", cycles::processes_role),
    ("no-user-namespaces", refused::no_user_namespaces_role),
    ("host-walkthrough", host_mode::walkthrough_role),
    ("host-ends", host_mode::ends_role),
    ("host-restores", host_mode::restores_role),
    ("host-guards", host_mode::guards_role),
    ("host-samples", samples::refused_role),
    ("host-survivors", host_mode::survivors_role),
    ("host-gc", host_mode::gc_role),
    ("host-journals", host_mode::journals_role),
];

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(tools::ROLE) {
        let (_, run) = ROLES.iter().find(|(name, _)| *name == role).unwrap();
        run(); // a panic is the exit status 101
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // Most trials start many processes themselves, and measure times.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let root = nix::unistd::geteuid().is_root();
    let lab = tools::nslab().args(["-c", "()"]).output().is_ok_and(|output| output.status.success());
    let trials = TRIALS.iter().map(|&(name, needs, check)| {
        let missing = match needs {
            _ if !lab => Some("no lab can be made here: see `nslab doctor`"),
            Needs::Root if !root => Some("needs root"),
            _ => None,
        };
        let trial = Trial::test(name, move || std::panic::catch_unwind(check).map_err(|panic| failed(&*panic)));
        match missing {
            Some(reason) => trial.with_ignored_flag(true).with_kind(reason),
            None => trial,
        }
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn failed(panic: &(dyn std::any::Any + Send)) -> Failed {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panic").to_owned().into()
}
