//! Where a trial runs: here, or in namespaces in which this program is started again for that one trial.

use std::process::{Command, Stdio};

use super::needs::Need;

/// The variable that names the one trial which a process was started again for.
pub(crate) const ONLY: &str = "NSLAB_TEST_ONLY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the process of the test binary; it leaves the machine alone.
    Here,
    /// On a machine of its own: links, mounts, `/run`, processes. `/` is shared, as systemd makes it.
    PretendHost,
    /// In a user namespace of its own, with all others: the kernel counts its namespaces, and its rules are nobody else's.
    UserNamespace,
}

impl Place {
    /// The place that a word of `#[trial(…)]` stands for, if it stands for one.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "pretend_host" => Some(Self::PretendHost),
            "user_namespace" => Some(Self::UserNamespace),
            _ => None,
        }
    }

    /// What it takes to get there.
    pub(crate) fn needs(self) -> Vec<Need> {
        let words: &[&str] = match self {
            Self::Here => &[],
            Self::PretendHost => &["root", "unshare", "mount", "ip"],
            Self::UserNamespace => &["unshare", "mount"],
        };
        words.iter().map(|word| Need::of(word)).collect()
    }

    /// The options of `unshare(1)`, and what the shell does there before the trial.
    fn made_by(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Here => (&[], ""),
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
    pub(crate) fn run(self, trial: &str) {
        let (unshare, setup) = self.made_by();
        // The shell is PID 1: it reaps the processes that lose their parent.
        let output = Command::new("unshare")
            .args(unshare)
            .args(["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c"])
            .arg(format!("{setup} || exit\n\"$0\"; exit $?"))
            .arg(std::env::current_exe().unwrap())
            .env(ONLY, trial)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}\n{printed}{errors}", output.status);
        eprint!("{printed}"); // figures that the trial measured
    }
}
