//! The `nslab` program: reads the command line, enters the lab before any thread exists, reports the status.

use std::process::ExitCode;

use stdlib::exec::boot;

fn main() -> ExitCode {
    // A sandbox's first process is this program once more.
    if let Some(status) = stdlib::exec::main_of_init() {
        return status.into();
    }
    boot::keep_inherited_descriptors();
    interp::cli::main().into()
}
