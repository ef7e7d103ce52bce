//! The thread that evaluates scripts: its stack is large enough for everything that the memory budget allows.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use stdlib::exec::memory;

/// Bytes of stack for each byte of the budget. Rhai drops a chain of closures by recursion. A level of the chain takes
/// about 200 bytes of heap and 210 (debug build) to 234 bytes of stack.
const PER_BYTE: usize = 2;

/// The largest budget that `memory()` can set in a script that was started with a smaller one.
const REACH: usize = 2 << 30;

/// The least stack: 128 calls of the deepest expressions take about 40 MiB in a debug build.
const LEAST: usize = 64 << 20;

/// The stack of a thread that only compiles.
pub const TO_COMPILE: usize = 256 << 20;

/// Starts the thread, whose result is some, and sets the memory budget of the process. Without `budget` it is the usual one.
///
/// A stack is address space that costs nothing until it is used. A machine or a limit (`ulimit -v`) that has too little
/// of it gets a smaller stack and a smaller budget.
///
/// # Errors
/// What the kernel reports, if there is no room for the thread or for the budget that was asked for.
pub fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    budget: Option<usize>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, Option<T>>> {
    let least = budget.map_or(LEAST, |budget| budget.saturating_mul(PER_BYTE).max(LEAST));
    let mut stack = REACH.saturating_mul(PER_BYTE).max(least);
    // A thread that cannot be started loses its closure, so the work stays outside.
    let work = Arc::new(Mutex::new(Some(work)));
    loop {
        let taken = work.clone();
        let run = move || {
            memory::count_on_this_thread();
            let work = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            work.map(|work| work())
        };
        // Before the work begins, which reads them.
        memory::set_largest(stack / PER_BYTE);
        memory::set_budget(budget.unwrap_or(memory::DEFAULT).min(stack / PER_BYTE));
        match Builder::new().name("script".into()).stack_size(stack).spawn_scoped(scope, run) {
            Err(_) if stack > least => stack = (stack / 2).max(least),
            started => return started,
        }
    }
}
