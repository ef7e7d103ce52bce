//! Programs that run one after the other in one namespace.

use std::{
    io,
    os::fd::AsFd,
    process::{Command, Stdio},
    thread,
};

use nix::sched::{CloneFlags, setns};

use super::{Run, Watch, node::Node};

/// Starts `program` `count` times in a namespace, each time waiting for its end. In this order:
///
/// 1. a namespace, and a thread that enters it;
/// 2. probe: in that thread, `posix_spawn` and `waitpid`, with pipes for both outputs, which are read to their ends;
/// 3. delete: the thread ends, every descriptor is closed.
pub(crate) fn programs(program: &str, count: u32) -> io::Result<Run> {
    let mut watch = Watch::start();
    let node = Node::new(&[])?;
    let build = watch.lap();
    let received = thread::scope(|scope| {
        let work = || {
            #[expect(clippy::disallowed_methods, reason = "this thread is our own, and it ends here")]
            setns(node.as_fd(), CloneFlags::CLONE_NEWNET)?;
            let mut succeeded = 0;
            for _ in 0..count {
                #[expect(clippy::disallowed_methods, reason = "the floor of starting programs")]
                let output = Command::new(program).stdin(Stdio::null()).output()?;
                succeeded += u32::from(output.status.success());
            }
            Ok(succeeded)
        };
        scope.spawn(work).join().unwrap_or_else(|_| Err(io::Error::other("panic while starting programs")))
    })?;
    let probe = watch.lap();
    drop(node);
    Ok(Run { build, probe, delete: watch.lap(), sent: count, received })
}
