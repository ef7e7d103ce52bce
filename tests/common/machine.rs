//! A pretend machine around one run: what the run writes to `/etc`, `/var` and `/run` of the machine is found, and kept from it.

use super::shell::{NOBODY, Shell};
use super::trials::{Need, are_met};

/// Who runs `nslab` on the pretend machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    /// An unprivileged user with one id.
    One,
    /// An unprivileged user with a range of ids in `/etc/subuid` and `/etc/subgid`.
    Range,
}

/// Prepares the mounts in a mount namespace, runs the rest of its arguments, and fails with what it left. `$0` is a directory
/// for the mounts, `$1` the line for `/etc/subuid` and `/etc/subgid`.
///
/// The upper directory of an overlay holds what was written, and nothing else. The lower one adds the files of this machine
/// alone. The device for tunnels is open to all, as udev makes it.
const MACHINE: &str = r#"
machine=$0/machine
mkdir "$machine" && mount -t tmpfs -o mode=755 tmpfs "$machine" && cd "$machine" || exit
mkdir base etc var run work work/etc work/var || exit
for file in subuid subgid; do echo "$1" > base/$file; done
mount -t overlay -o "lowerdir=base:/etc,upperdir=etc,workdir=work/etc" overlay /etc || exit
mount -t overlay -o "lowerdir=/var,upperdir=var,workdir=work/var" overlay /var || exit
if [ -c /dev/net/tun ]; then
  mknod -m 666 tun c 10 200 && mount --bind tun /dev/net/tun || exit
fi
mount --bind run /run || exit
shift
cd "$0" && "$@"
status=$?
left=$(cd "$machine" && find etc var run -mindepth 1)
[ -z "$left" ] || { echo "left on the machine: $left" >&2; exit 99; }
exit $status
"#;

/// The exit status of a run that left something on the machine.
pub(crate) const LEFT: i32 = 99;

impl User {
    pub(crate) const ALL: [Self; 3] = [Self::Root, Self::One, Self::Range];

    /// What a run as this user needs.
    pub(crate) fn needs(self) -> Vec<Need> {
        match self {
            Self::Root | Self::One => Vec::new(),
            Self::Range => machine_needs().chain([Need::of("newuidmap")]).collect(),
        }
    }
}

impl Shell {
    /// Runs as `user` on a pretend machine. Without root and the tools to make one, it runs on this machine.
    pub(crate) fn on_a_machine(self, user: User) -> Self {
        if !are_met(&machine_needs().collect::<Vec<_>>()) {
            return if user == User::Root { self } else { self.user(NOBODY) };
        }
        let directory = self.path().to_str().unwrap().to_owned();
        let range = if user == User::Range { format!("{NOBODY}:100000:65536") } else { String::new() };
        let shell =
            self.by(["unshare", "--mount", "--propagation", "private", "sh", "-c", MACHINE, &directory, &range]);
        if user == User::Root {
            return shell;
        }
        let id = NOBODY.to_string();
        shell.shared().by(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"])
    }
}

fn machine_needs() -> impl Iterator<Item = Need> {
    ["root", "unshare", "mount", "setpriv"].into_iter().map(Need::of)
}
