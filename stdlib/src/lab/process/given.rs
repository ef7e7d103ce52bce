//! The program of `nslab exec`: it has the standard streams of nslab, and gets the signals that nslab gets.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::sys::signal::Signal;

use super::Ended;
use crate::error::{Error, Result};
use crate::exec::spawn::{Program, Streams, spawn, with_system_directories};
use crate::exec::{self, thread_error};

/// Runs `argv` in the lab's root to its end. It gets the signals whose numbers arrive on the pipe `signals`.
///
/// The directories of system programs are on its `PATH`, since it is root in the lab.
///
/// # Errors
/// If it cannot be started.
pub fn run_given(argv: &[OsString], signals: OwnedFd) -> Result<Ended> {
    let path = env::var("PATH").ok().map(|path| ("PATH".to_owned(), with_system_directories(&path)));
    let program = Program {
        argv: argv.to_vec(),
        streams: Streams::Inherited,
        variables: path.into_iter().collect(),
        inherits: true,
        directory: None,
        limits: Vec::new(),
        strict: false,
    };
    let started = spawn(Vec::new(), program)?;
    let pidfd = started.pidfd.as_fd().try_clone_to_owned().map_err(|e| Error::io("copy a descriptor", &e))?;
    let pass_on = move || {
        for number in BufReader::new(File::from(signals)).bytes().map_while(std::result::Result::ok) {
            if let Ok(signal) = Signal::try_from(i32::from(number)) {
                let _ = exec::signal(pidfd.as_fd(), signal); // it may have ended
            }
        }
    };
    // The thread ends with the process.
    thread::Builder::new().spawn(pass_on).map_err(|e| thread_error("start a thread", &e))?;
    let status = started.wait_as_part_of_the_job();
    status.map(Ended::of).map_err(|errno| Error::sys("wait for the program", errno))
}
