//! What the machine has. Each answer is found out once, when the first trial asks for it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use nix::unistd::geteuid;

use super::needs::{Need, is_on_path};

/// The program under test; only the package that builds it has it.
const NSLAB: Option<&str> = option_env!("CARGO_BIN_EXE_nslab");

/// Which of the needs the machine does not meet. The program is asked last, and only where a lab can be made.
pub(crate) fn missing(needs: &[Need]) -> Vec<Need> {
    let missing = |asks: fn(&Need) -> bool| needs.iter().filter(|need| asks(need) && !has(need)).cloned().collect();
    let rounds: [fn(&Need) -> bool; 3] =
        [|need| !need.is_of_kernel() && *need != Need::Lab, |need| *need == Need::Lab, Need::is_of_kernel];
    rounds.into_iter().map(missing).find(|missing: &Vec<Need>| !missing.is_empty()).unwrap_or_default()
}

fn has(need: &Need) -> bool {
    static LAB: LazyLock<bool> = LazyLock::new(makes_a_lab);
    static LO_ALONE: LazyLock<bool> = LazyLock::new(|| nslab(&["-c", "links().len == 1"]).starts_with("true"));
    match need {
        Need::Lab => *LAB,
        Need::LabOfNobody => true,
        Need::Root => geteuid().is_root(),
        Need::LoAlone => *LO_ALONE,
        Need::Tool(tool, _) => is_on_path(tool),
        Need::File(path) => path.is_file(),
        Need::Kernel(feature) => kernel_has(feature),
    }
}

fn makes_a_lab() -> bool {
    let mut command = match NSLAB {
        Some(nslab) => Command::new(nslab),
        None => Command::new("unshare"),
    };
    match NSLAB {
        Some(_) => command.args(["-c", "()"]),
        None => command.args(["--user", "--map-root-user", "--net", "--mount", "true"]),
    };
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether `nslab doctor` answers yes in the row of a feature.
fn kernel_has(feature: &str) -> bool {
    static ROWS: LazyLock<BTreeMap<String, bool>> = LazyLock::new(|| {
        let printed = nslab(&["doctor"]);
        let rows = printed.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?.to_owned(), words.next()? == "yes"))
        });
        rows.collect()
    });
    *ROWS
        .get(feature)
        .unwrap_or_else(|| panic!("`{feature}` is neither in tests/tools.txt nor a row of `nslab doctor`"))
}

/// What the program prints.
fn nslab(words: &[&str]) -> String {
    let nslab = NSLAB.expect("only trials of the package that builds the program ask for this");
    let output = Command::new(nslab).args(words).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
