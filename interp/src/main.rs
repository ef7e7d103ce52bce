//! The `nslab` program: does what the command line says and turns the status into an exit code.

use std::process::ExitCode;

use stdlib::exec::{boot, memory};

/// Counts what the program allocates, for the memory budget of scripts.
#[global_allocator]
static ALLOCATOR: memory::Counted = memory::Counted;

fn main() -> ExitCode {
    // The init process of a sandbox is another run of this program.
    if let Some(status) = stdlib::exec::main_of_init() {
        return status.into();
    }
    boot::keep_inherited_descriptors();
    interp::cli::main().into()
}
