//! The `nslab` program: does what the command line says and turns the status into an exit code.

use std::process::ExitCode;

use stdlib::exec::boot;

fn main() -> ExitCode {
    // The init process of a sandbox is another run of this program.
    if let Some(status) = stdlib::exec::main_of_init() {
        return status.into();
    }
    boot::keep_inherited_descriptors();
    interp::cli::main().into()
}
