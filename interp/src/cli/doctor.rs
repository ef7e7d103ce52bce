//! `nslab doctor`: what this kernel and this user can do, row by row.

use std::fs;
use std::io::{self, Write};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use stdlib::exec::boot::{self, FORBIDDEN, Launch};
use stdlib::kernel;
use stdlib::lab::Lab;

/// Prints the rows; the exit status is 0 if a lab can be made here.
#[must_use]
pub(super) fn main() -> u8 {
    let setting = |path: &str| fs::read_to_string(path).map_or_else(|_| "-".to_owned(), |text| text.trim().to_owned());
    row("kernel", "", &setting("/proc/sys/kernel/osrelease"));
    let user = if geteuid().is_root() {
        "root (the lab has all ids)".to_owned()
    } else {
        format!("{} (root in the lab)", geteuid())
    };
    row("user", "", &user);
    for (name, file) in [
        ("user.max_user_namespaces", "/proc/sys/user/max_user_namespaces"),
        ("user.max_net_namespaces", "/proc/sys/user/max_net_namespaces"),
        ("kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone"),
        ("kernel.apparmor_restrict_unprivileged_userns", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        ("net.ipv4.neigh.default.gc_thresh3", "/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
    ] {
        if fs::metadata(file).is_ok() {
            row("setting", name, &setting(file));
        }
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        row("limit", "open files", &format!("{hard}, enough for about {} namespaces", hard / 3));
    }
    let launch = Launch { private: true, interactive: false, cleanup: &|status| status };
    match boot::launch(&launch, in_the_lab) {
        Ok(status) => status,
        Err(error) => {
            row("lab", "", &format!("no: {error}"));
            row("", "", &error.hint_text().unwrap_or_default());
            FORBIDDEN
        }
    }
}

fn in_the_lab() -> u8 {
    row("lab", "", "yes: user, mount, pid, net, uts and ipc namespaces, with /proc, /sys and /run");
    match Lab::here(None).and_then(|lab| kernel::probe(&lab)) {
        Ok(features) => {
            for (feature, has) in features {
                let answer = match has {
                    Some(true) => "yes".to_owned(),
                    Some(false) => format!("no (CONFIG_{})", feature.config),
                    None => format!(
                        "not loaded (CONFIG_{}); not tried, it would add devices outside the lab",
                        feature.config
                    ),
                };
                row(feature.kind, feature.name, &answer);
            }
            0
        }
        Err(error) => {
            row("kernel", "", &format!("cannot be asked: {error}"));
            FORBIDDEN
        }
    }
}

fn row(sort: &str, name: &str, answer: &str) {
    let _ = writeln!(io::stdout(), "{sort:<10} {name:<34} {answer}");
}
