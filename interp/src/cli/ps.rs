//! `nslab ps`: the labs of this user.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use stdlib::exec::labs::{self, RunningLab};

use crate::console::{self, Console, Lost};
use crate::status::Status;

const COLUMNS: [&str; 6] = ["NAME", "PID", "AGE", "NAMESPACES", "PROCESSES", "COMMAND"];

/// Prints a table: a line for each lab, also for those that are not kept, which have no name.
pub(super) fn main(console: &Console) -> Result<Status, Lost> {
    let labs = match labs::list() {
        Ok(labs) => labs,
        Err(error) => {
            console.error_with_hint(&error);
            return Ok(Status::Failed);
        }
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    for lab in &labs {
        table.add_row(row(lab));
    }
    let width = console::size().map_or(usize::MAX, |(columns, _)| columns.into());
    for line in table.lines() {
        console.say(&line.trim().chars().take(width).collect::<String>())?;
    }
    Ok(Status::Ok)
}

fn row(lab: &RunningLab) -> [String; 6] {
    let name = lab.name().map_or("-".into(), ToString::to_string);
    let age = lab.age().map_or("-".into(), age);
    // Escaped here, since a control character would shift the columns.
    let command = stdlib::name::printable(&format!("nslab {}", lab.command().join(" ")));
    [name, lab.pid().to_string(), age, lab.namespaces().to_string(), lab.processes().to_string(), command]
}

/// The two largest units.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_two_units() {
        let shown = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 60, 3_599, 3_600, 86_399, 90_000].map(shown),
            ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 1h"]
        );
    }
}
