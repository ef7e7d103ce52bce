//! Nothing outside a lab changes, and no monitor outside sees an event.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use super::snapshot::{assert_equal, snapshot};
use crate::common::{NOBODY, Script, sh, wait_for};

/// Runs every script of the repository.
fn run_all(privileged: bool) {
    for script in Script::runnable() {
        let shell = script.shell(&["run"]);
        if privileged {
            shell.run().status(0);
        } else if script.runs_for_all() {
            shell.user(NOBODY).run().status(0);
        }
    }
}

/// On the real machine, which the trial only reads.
#[trial(root, ip, nft)]
fn the_machine_is_equal_before_and_after_all_scripts() {
    let before = snapshot();
    run_all(true);
    run_all(false);
    assert_equal("the machine after all scripts", &before, &snapshot());
}

/// A program that writes a line for each event.
struct Monitor {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Monitor {
    fn start(argv: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let out = File::options().append(true).open(file.path()).unwrap();
        let child = Command::new(argv[0]).args(&argv[1..]).stdin(Stdio::null()).stdout(out).spawn().unwrap();
        Self { child, file }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }

    /// Makes an event that contains `mark` until the monitor shows it; returns all that it has shown. This is the control,
    /// too: a monitor that sees nothing does not show it.
    fn mark(&self, mark: &str, make: &str) -> String {
        wait_for(&format!("the event {mark}"), || {
            sh(make);
            self.text().contains(mark)
        });
        self.text()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LINK_EVENT: &str = "ip addr add 10.255.255.MARK/32 dev lo; ip addr del 10.255.255.MARK/32 dev lo";
const NFT_EVENT: &str = "nft add table ip markMARK; nft delete table ip markMARK";

/// In a pretend host, where no other process makes events, and with `/` shared.
#[trial(pretend_host, nft)]
fn no_event_reaches_the_host_and_no_mount_leaks_to_it() {
    let links = Monitor::start(&["ip", "monitor", "all"]);
    let rules = Monitor::start(&["nft", "monitor"]);
    let quiet = |who: &str, number: u32, work: &dyn Fn()| {
        let events = |mark: u32| {
            let make = |event: &str| event.replace("MARK", &mark.to_string());
            let links = links.mark(&format!("10.255.255.{mark}"), &make(LINK_EVENT));
            [links, rules.mark(&format!("mark{mark}"), &make(NFT_EVENT))].concat()
        };
        events(number);
        let before = snapshot();
        work();
        assert_equal(who, &before, &snapshot());
        let all = events(number + 1);
        let seen: Vec<&str> = all.lines().filter(|line| !is_of_a_mark(line)).collect();
        assert!(seen.is_empty(), "{who}: {} events on the host, such as\n{}", seen.len(), seen.join("\n"));
    };
    quiet("all scripts as nobody", 10, &|| run_all(false));
    quiet("all scripts as root", 20, &|| run_all(true));
    println!("0 events in a pretend host over {} scripts, as nobody and as root", Script::runnable().len());
}

/// What the marks make; `valid_lft` is the second line of an address, `new generation` ends a change of nftables.
fn is_of_a_mark(line: &str) -> bool {
    ["10.255.255.", "table ip mark", "valid_lft", "new generation"].iter().any(|part| line.contains(part))
}
