//! A session of `--host` that lives until the trial ends it, so that several can overlap.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use super::host_mode::kill_all;
use crate::common::{nslab, sh, wait_for};

/// A running session: its script is done, and waits.
pub(super) struct Session {
    child: Child,
    /// The script waits until this is closed.
    gate: File,
    path: PathBuf,
}

impl Session {
    /// Starts `script`, and returns when it is done and waits for its end.
    pub(super) fn start(name: &str, script: &str) -> Self {
        let path = PathBuf::from(format!("/run/nslab-test-{name}.gate"));
        sh(&format!("mkfifo {}", path.display()));
        let script = format!("{script}; exec([\"cat\", \"{}\"]); ()", path.display());
        let mut command = nslab();
        command.args(["--host", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut gate = None;
        wait_for("the end of the script", || {
            // Without a reader the kernel refuses it.
            gate = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&path).ok();
            assert!(child.try_wait().unwrap().is_none(), "{name}: {script}");
            gate.is_some()
        });
        Self { child, gate: gate.unwrap(), path }
    }

    /// Lets it end.
    pub(super) fn end(self) -> Output {
        drop(self.gate);
        let output = self.child.wait_with_output().unwrap();
        fs::remove_file(&self.path).unwrap();
        output
    }

    /// Kills all of its processes at one moment, so that its journal stays.
    pub(super) fn kill(mut self) {
        kill_all(&mut self.child);
        drop(self.gate);
        fs::remove_file(&self.path).unwrap();
    }
}
