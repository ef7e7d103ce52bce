//! Where a trial runs: here, or in namespaces of its own, in which this program is started again for that one trial.

use std::panic::catch_unwind;
use std::process::{Command, ExitCode, Stdio};

use stdlib::exec::boot::{Foreground, Launch, launch};

use super::needs::Need;

/// The variable that names the one trial which a process was started again for.
pub(crate) const ONLY: &str = "NSLAB_TEST_ONLY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the process of the test binary; it leaves the machine alone.
    Here,
    /// In the root of a lab of its own, as a script does: it uses the library of nslab.
    Lab,
    /// On a machine of its own: links, mounts, `/run`, processes. `/` is shared, as systemd makes it.
    PretendHost,
    /// In namespaces of its own, below a user namespace in which the kernel counts them.
    UserNamespace,
}

impl Place {
    /// The place that a word of `#[trial(…)]` stands for, if it stands for one.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "in_lab" => Some(Self::Lab),
            "pretend_host" => Some(Self::PretendHost),
            "user_namespace" => Some(Self::UserNamespace),
            _ => None,
        }
    }

    /// What it takes to get there.
    pub(crate) fn needs(self) -> Vec<Need> {
        let words: &[&str] = match self {
            Self::Here | Self::Lab => &[],
            Self::PretendHost => &["root", "unshare", "mount", "ip"],
            Self::UserNamespace => &["unshare", "mount"],
        };
        words.iter().map(|word| Need::of(word)).collect()
    }

    /// The options of `unshare(1)`, and what the shell does there before the trial.
    fn made_by(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Here | Self::Lab => (&[], ""),
            Self::PretendHost => (
                &["--net", "--mount", "--uts", "--ipc", "--propagation", "private"],
                "mount --make-rshared / && mount -t tmpfs tmpfs /run && ip link set lo up",
            ),
            Self::UserNamespace => (
                &["--user", "--map-root-user", "--net", "--mount", "--uts", "--ipc"],
                "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm",
            ),
        }
    }

    /// Starts this program again there, for the trial of this name alone. Fails with what it wrote if it fails.
    pub(crate) fn start(self, trial: &str) {
        let own = std::env::current_exe().unwrap();
        let mut command = if self == Self::Lab {
            Command::new(own)
        } else {
            let (unshare, setup) = self.made_by();
            let mut command = Command::new("unshare");
            // The shell is PID 1: it reaps the processes that lose their parent.
            command.args(unshare).args(["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c"]);
            command.arg(format!("{setup} || exit\n\"$0\"; exit $?")).arg(own);
            command
        };
        let output = command.env(ONLY, trial).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}\n{printed}{errors}", output.status);
        eprint!("{printed}"); // figures that the trial measured
    }

    /// Runs the trial that this process was started for.
    pub(crate) fn run(self, trial: fn()) -> ExitCode {
        if self == Self::Lab {
            let lab = Launch { private: true, ids: None, foreground: Foreground::Script, cleanup: &|status| status };
            let status = launch(&lab, || u8::from(catch_unwind(trial).is_err()));
            return status.expect("a lab can be made, or the trial is ignored").into();
        }
        trial(); // a panic is exit status 101
        ExitCode::SUCCESS
    }
}
