//! `nslab gc` trusts no more than `--host` does, and each journal is tried once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::session::Session;
use crate::common::{both, nslab, sh};

fn gc() -> Output {
    nslab().arg("gc").output().unwrap()
}

/// Runs `nslab gc`, which must fail with this text.
#[track_caller]
fn refuses(what: &str, text: &str) {
    let output = gc();
    let said = both(&output);
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(said.contains(text) && said.contains("0 left-over journals undone"), "{what}: {said}");
}

/// The journal of a session that was killed, as text.
fn killed() -> String {
    Session::start("killed", r#"veth("left0", "left1")"#).kill();
    sh("cat /run/nslab/*.journal")
}

#[trial(pretend_host)]
fn a_directory_that_is_not_private_is_refused() {
    let journal = killed();
    for (what, change) in [
        ("the owner", "chown 1234 /run/nslab"),
        ("the mode", "chown 0 /run/nslab; chmod 755 /run/nslab"),
        ("a link", "chmod 700 /run/nslab; mv /run/nslab /run/elsewhere; ln -s /run/elsewhere /run/nslab"),
        ("a file", "rm /run/nslab; touch /run/nslab"),
    ] {
        sh(change);
        refuses(what, "`/run/nslab` is not a private directory of root");
        // A session refuses the same.
        let output = nslab().args(["--host", "-c", "1"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{what}: {}", both(&output));
        assert!(both(&output).contains("is not a private directory of root"), "{what}: {}", both(&output));
        assert!(sh("ip link").contains("left0"), "{what}: the journal was obeyed");
    }
    sh("rm /run/nslab; mv /run/elsewhere /run/nslab");
    assert_eq!(sh("cat /run/nslab/*.journal"), journal);
    assert_eq!(both(&gc()), "1 left-over journals undone\n");
    assert!(!sh("ip link").contains("left0"));
}

#[trial(pretend_host)]
fn what_is_no_journal_is_set_aside() {
    sh("mkdir -m 700 /run/nslab; umask 077
        mkfifo /run/nslab/1-fifo.journal
        printf '\\377\\376\\n' > /run/nslab/2-bytes.journal
        : > /run/nslab/3-empty.journal
        echo nonsense > /run/nslab/4-words.journal
        mkdir /run/nslab/5-directory.journal
        touch /run/elsewhere; ln -s /run/elsewhere /run/nslab/6-link.journal
        ln /run/elsewhere /run/nslab/7-name.journal
        : > /run/nslab/8-owner.journal; chown 1234 /run/nslab/8-owner.journal
        : > /run/nslab/9-mode.journal; chmod 622 /run/nslab/9-mode.journal");
    let output = gc();
    let said = both(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for n in 1..=9 {
        assert!(said.contains(&format!("cannot undo the journal `{n}-")), "{n}: {said}");
    }
    assert!(said.contains("0 left-over journals undone"), "{said}");
    let names: Vec<String> = fs::read_dir("/run/nslab")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".unreadable"))
        .collect();
    assert_eq!(names.len(), 9, "{names:?}");
    // They are kept, and not tried again.
    let again = gc();
    assert_eq!((again.status.code(), both(&again)), (Some(0), "0 left-over journals undone\n".into()));
    assert_eq!(fs::metadata("/run/elsewhere").unwrap().len(), 0);
}

#[trial(pretend_host)]
fn the_last_line_may_be_cut_and_no_other() {
    let journal = killed();
    let name = sh("ls /run/nslab").trim().to_owned();
    let path = format!("/run/nslab/{name}");
    // Killed while it wrote: the step was not taken.
    fs::write(&path, format!("{journal}{{\"step\":\"sta")).unwrap();
    assert_eq!(both(&gc()), "1 left-over journals undone\n");
    assert!(!sh("ip link").contains("left0"));
    let journal = killed();
    let name = sh("ls /run/nslab").trim().to_owned();
    let path = format!("/run/nslab/{name}");
    fs::write(&path, journal.replacen('{', "[", 2)).unwrap();
    refuses("a line in the middle", "line 1 is not a step");
    assert!(sh("ip link").contains("left0"));
    assert_eq!(fs::metadata(path.replace(".journal", ".unreadable")).unwrap().permissions().mode() & 0o7777, 0o600);
}

/// A journal has its name only when it has its first line and its lock.
#[trial(pretend_host, strace)]
fn gc_never_meets_a_journal_without_an_owner() {
    let trace = "/run/nslab-test-trace";
    let command = format!(
        "strace -f -s 300 -o {trace} -e trace=openat,open,flock,write,linkat,rename {} --host -c 1",
        env!("CARGO_BIN_EXE_nslab")
    );
    sh(&command);
    let trace = fs::read_to_string(trace).unwrap();
    let at = |what: &[&str]| trace.lines().position(|line| what.iter().all(|part| line.contains(part)));
    let (open, name) = (at(&["O_TMPFILE"]).unwrap(), at(&["linkat(", ".journal"]).unwrap());
    let line = at(&["write(", "began"]).unwrap();
    let file = trace.lines().nth(open).unwrap().rsplit_once("= ").unwrap().1.trim();
    let lock = at(&[&format!("flock({file}, LOCK_EX")]).unwrap();
    assert!(open < lock && lock < line && line < name, "{trace}");
    assert!(at(&[".journal", "O_CREAT"]).is_none(), "{trace}");
    // `gc` at any moment leaves a session alone.
    std::thread::scope(|scope| {
        let sessions = scope.spawn(|| {
            for _ in 0..20 {
                let output = nslab().args(["--host", "-c", r#"veth("a", "b"); ()"#]).output().unwrap();
                assert_eq!((output.status.code(), both(&output)), (Some(0), String::new()));
            }
        });
        while !sessions.is_finished() {
            let output = gc();
            assert_eq!((output.status.code(), both(&output)), (Some(0), "0 left-over journals undone\n".into()));
        }
    });
}
