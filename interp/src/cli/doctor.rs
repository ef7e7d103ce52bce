//! `nslab doctor`: what this kernel and this user can do, row by row.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use stdlib::exec::boot::{self, Foreground, Launch};
use stdlib::exec::ids::{self, Ids};
use stdlib::exec::private;
use stdlib::kernel::{self, Answer};
use stdlib::lab::Lab;
use stdlib::{Error, Kind};

use crate::console::{Console, Lost, Written};
use crate::status::Status;

/// The sysctls that limit a lab, with their files.
const SYSCTLS: [(&str, &str); 5] = [
    ("user.max_user_namespaces", "/proc/sys/user/max_user_namespaces"),
    ("user.max_net_namespaces", "/proc/sys/user/max_net_namespaces"),
    ("kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone"),
    ("kernel.apparmor_restrict_unprivileged_userns", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    ("net.ipv4.neigh.default.gc_thresh3", "/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
];

/// Prints the rows. The status is a success if a lab is possible here.
pub(super) fn main(console: &Console) -> Result<Status, Lost> {
    let read = |path: &str| fs::read_to_string(path).map_or_else(|_| "-".to_owned(), |text| text.trim().to_owned());
    row(console, "kernel", "", &read("/proc/sys/kernel/osrelease"))?;
    let user = if geteuid().is_root() {
        "root (the lab has all ids)".to_owned()
    } else {
        format!("{} (root in the lab)", geteuid())
    };
    row(console, "user", "", &user)?;
    for (name, file) in SYSCTLS.into_iter().filter(|(_, file)| fs::metadata(file).is_ok()) {
        row(console, "sysctl", name, &read(file))?;
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        row(console, "limit", "open files", &format!("{hard}, enough for about {} namespaces", hard / 3))?;
    }
    let launch = Launch { private: true, ids: None, foreground: Foreground::Script, cleanup: &|status| status };
    let no_range = ids::ranges().err(); // to be asked outside of the lab, whose user is another
    let in_the_lab = || console.conclude(in_the_lab(console, no_range).unwrap_or_else(Lost::status)).code();
    match boot::launch(&launch, in_the_lab) {
        Ok(code) => Ok(Status::Of(code)),
        Err(error) => {
            row(console, "lab", "", &format!("no: {error}"))?;
            row(console, "", "", &error.hint_text().unwrap_or_default())?;
            Ok(Status::Forbidden)
        }
    }
}

fn in_the_lab(console: &Console, no_range: Option<Error>) -> Result<Status, Lost> {
    row(console, "lab", "", "yes: user, mount, pid, net, uts and ipc namespaces, with /proc, /sys and /run")?;
    show_ids(console, no_range)?;
    for tree in private::trees() {
        row(console, "files", &tree.path, &tree.state)?;
    }
    let features = match Lab::here(None).and_then(|lab| kernel::probe(&lab)) {
        Ok(features) => features,
        Err(error) => {
            row(console, "kernel", "", &format!("its features cannot be read: {error}"))?;
            return Ok(Status::Forbidden);
        }
    };
    for (feature, answer) in features {
        let answer = match answer {
            Answer::Yes => "yes".to_owned(),
            Answer::No => format!("no (CONFIG_{})", feature.config),
            Answer::Unusable(why) => format!("unusable (CONFIG_{}): {why}", feature.config),
            Answer::NotTried => {
                format!("not loaded (CONFIG_{}); not tried, it would add devices outside the lab", feature.config)
            }
        };
        row(console, feature.kind, feature.name, &answer)?;
    }
    Ok(Status::Ok)
}

/// How many ids the lab has, and how it gets more.
fn show_ids(console: &Console, no_range: Option<Error>) -> Written {
    let count = ids::count().map_or_else(|error| error.to_string(), |count| count.to_string());
    match ids::current() {
        Ids::All => return row(console, "ids", &count, "those of the machine"),
        Ids::Range => return row(console, "ids", &count, "yours as root, and your subordinate ids from 1 on"),
        Ids::One | Ids::Pretend => {}
    }
    row(console, "ids", &count, "yours as root; programs may change to others, which has no effect")?;
    let no_range = no_range.unwrap_or_else(|| {
        Error::plain(Kind::Permission, "your subordinate ids cannot be mapped").hint("`nslab --ids range` says why")
    });
    row(console, "", "for more", &no_range.to_string())?;
    row(console, "", "", &no_range.hint_text().unwrap_or_default())
}

fn row(console: &Console, kind: &str, name: &str, answer: &str) -> Written {
    console.say(&format!("{kind:<10} {name:<34} {answer}"))
}
