//! Nothing outside a lab changes, and nobody outside hears of it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::tools::{Public, assert_equal, both, in_pretend_host, nslab, scripts, sh, snapshot, wait_for};

/// Runs every script of the repository, as root and as nobody.
fn run_all(public: &Public) {
    for script in scripts() {
        let output = nslab().arg("run").arg(&script).output().unwrap();
        assert!(output.status.success(), "{} as root: {}", script.display(), both(&output));
    }
    run_all_as_nobody(public);
}

fn run_all_as_nobody(public: &Public) {
    for script in scripts() {
        let output = public.as_nobody().arg("run").arg(public.script(&script)).output().unwrap();
        assert!(output.status.success(), "{} as nobody: {}", script.display(), both(&output));
    }
}

/// On the true machine, which is only looked at.
pub(crate) fn machine_is_equal() {
    let public = Public::new();
    let before = snapshot();
    run_all(&public);
    assert_equal("the machine after all scripts", &before, &snapshot());
}

/// In a pretend host, so that nobody else makes events, and with `/` shared.
pub(crate) fn no_event() {
    in_pretend_host("quiet");
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

    /// Makes an event that contains `mark` until it is seen; returns everything seen up to then. It is the control,
    /// too: a monitor that sees nothing does not see this.
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

pub(crate) fn role() {
    let public = Public::new();
    let links = Monitor::start(&["ip", "monitor", "all"]);
    let rules = Path::new("/usr/sbin/nft").exists().then(|| Monitor::start(&["nft", "monitor"]));
    let quiet = |who: &str, number: u32, work: &dyn Fn()| {
        let events = |mark: u32| {
            let make = |event: &str| event.replace("MARK", &mark.to_string());
            let links = links.mark(&format!("10.255.255.{mark}"), &make(LINK_EVENT));
            let rules = rules.as_ref().map(|rules| rules.mark(&format!("mark{mark}"), &make(NFT_EVENT)));
            [links, rules.unwrap_or_default()].concat()
        };
        events(number);
        let before = snapshot();
        work();
        assert_equal(who, &before, &snapshot());
        let all = events(number + 1);
        let seen: Vec<&str> = all.lines().filter(|line| !is_of_a_mark(line)).collect();
        assert!(seen.is_empty(), "{who}: {} events on the host, such as\n{}", seen.len(), seen.join("\n"));
    };
    quiet("all scripts as nobody", 10, &|| run_all_as_nobody(&public));
    quiet("all scripts as root", 20, &|| run_all(&public));
    println!("0 events in a pretend host over {} scripts, as nobody and as root", scripts().len());
}

/// What the marks make; `valid_lft` is the second line of an address, `new generation` ends a change of nftables.
fn is_of_a_mark(line: &str) -> bool {
    ["10.255.255.", "table ip mark", "valid_lft", "new generation"].iter().any(|part| line.contains(part))
}
