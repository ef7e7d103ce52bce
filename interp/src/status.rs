//! The exit statuses of the program, all in one place.

use std::process::ExitCode;

use stdlib::exec::boot::FORBIDDEN;

/// How the program ends. Only `main` turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Success.
    Ok,
    /// A `check` failed.
    CheckFailed,
    /// A script error or a usage error.
    Failed,
    /// The environment forbids a lab.
    Forbidden,
    /// A defect of nslab (`EX_SOFTWARE` of sysexits(3)).
    Defect,
    /// Output could not be written (`EX_IOERR` of sysexits(3)).
    OutputFailed,
    /// Ctrl-C: 128 + SIGINT, as a shell reports it.
    Interrupted,
    /// The reader of the output closed the pipe: 128 + SIGPIPE, as a shell reports it.
    ReaderClosed,
    /// The N of `exit(N)`, the status of the program of `nslab exec`, or the status of the lab's process: 128 + N if signal N ended it, 71 if it had no memory left
    /// (`stdlib::exec::memory::EXHAUSTED`).
    Of(u8),
}

/// The statuses for `--help`.
pub(crate) const HELP: &str = "Exit status: 0 success; 1 a check failed; 2 a script error or a usage error; 3 the \
                               environment forbids a lab (see `nslab doctor`); 70 a defect of nslab; 71 no memory; 74 \
                               output cannot be written; 130 interrupted; 141 the reader of the output closed the \
                               pipe; N after exit(N); 128+N after signal N. `nslab exec` \
                               has the status of its program, 127 if there is no such program, and 126 if it cannot be \
                               executed.";

impl Status {
    /// The number that the parent process reads.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::CheckFailed => 1,
            Self::Failed => 2,
            Self::Forbidden => FORBIDDEN,
            Self::Defect => 70,
            Self::OutputFailed => 74,
            Self::Interrupted => 130,
            Self::ReaderClosed => 141,
            Self::Of(code) => code,
        }
    }

    /// Whether the number says success.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.code() == 0
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}
