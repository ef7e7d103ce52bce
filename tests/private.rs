//! A lab has `/etc` and parts of `/var` for itself: what is written there does not reach the machine.

use std::fs;

use crate::common::{NOBODY, Outcome, Shell, sh};

/// Gives the pretend host trees of its own: what a defect writes does not reach the machine of the tests either.
fn pretend_trees() {
    sh("mkdir /run/trees && cp -a /etc /run/trees/etc && mount --bind /run/trees/etc /etc
        for tree in lib log cache spool; do
            mkdir -p /run/trees/$tree/server/deep /run/trees/$tree/server/deep/deeper
            echo of the machine > /run/trees/$tree/server/file
            mount --bind /run/trees/$tree /var/$tree
        done");
}

/// All files of the trees, with what a change changes.
fn files() -> String {
    sh("find /etc /var/lib /var/log /var/cache /var/spool -printf '%p %y %m %U %G %s %T@ %C@ %l\\n' | sort")
}

/// Runs a script as root and as an ordinary user.
#[track_caller]
fn as_each_user(script: &str) -> [Outcome; 2] {
    [Shell::new().script(script).run().success(), Shell::new().user(NOBODY).script(script).run().success()]
}

/// What each user may do: make, replace and delete files and directories.
const CHANGES: &str = r#"
    set -e
    for file in resolv.conf hosts hostname nsswitch.conf; do test ! -e /etc/$file || echo >> /etc/$file; done
    echo nameserver 192.0.2.1 > /etc/new && mv /etc/new /etc/resolv.conf
    grep -q 192.0.2.1 /etc/resolv.conf
    rm -f /etc/hosts && echo 192.0.2.2 h1 > /etc/hosts
    mkdir /etc/made && touch /etc/made/file
    for tree in lib log cache spool; do
        grep -q 'of the machine' /var/$tree/server/file
        echo of the lab > /var/$tree/server/new
        mkdir /var/$tree/server/deep/made && touch /var/$tree/server/deep/made/file
        rm -f /var/$tree/server/file && echo of the lab > /var/$tree/server/file
        mv /var/$tree/server /var/$tree/renamed
        grep -q 'of the lab' /var/$tree/renamed/file
        rm -r /var/$tree/renamed
    done
"#;

/// What root may do as well: change files of root, in any directory.
const CHANGES_OF_ROOT: &str = r#"
    set -e
    echo '# of the lab' >> /etc/passwd
    chmod 600 /etc/hosts && chown 7:8 /etc/hosts && touch -d yesterday /etc/hosts
    for tree in lib log cache spool; do
        echo of the lab >> /var/$tree/server/file
        touch /var/$tree/server/deep/deeper/new
        rm -r /var/$tree/server/deep
    done
"#;

#[trial(pretend_host)]
fn no_change_reaches_the_machine() {
    pretend_trees();
    let before = files();
    let change =
        |changes: &str| format!("let run = exec([\"sh\", \"-c\", `{changes}`]); print(run.stderr); check run.ok;");
    as_each_user(&change(CHANGES));
    Shell::new().script(&change(CHANGES_OF_ROOT)).run().success();
    assert_eq!(before, files());
    // The control: the comparison sees a change.
    sh("touch /var/log/server/file");
    assert_ne!(before, files());
}

/// As with systemd-resolved: the link leads into the machine's `/run`, which the lab does not see.
#[trial(pretend_host)]
fn a_link_into_run_is_a_file() {
    pretend_trees();
    sh(
        "mkdir -p /run/resolver && echo nameserver 192.0.2.1 > /run/resolver/conf && ln -sf ../run/resolver/conf /etc/resolv.conf",
    );
    let before = files();
    let script = r#"check exec(["sh", "-c", "test ! -L /etc/resolv.conf && echo nameserver 192.0.2.2 >> /etc/resolv.conf"]).ok;"#;
    as_each_user(script);
    assert_eq!(before, files());
    assert_eq!(sh("cat /run/resolver/conf"), "nameserver 192.0.2.1\n");
}

#[trial(pretend_host)]
fn doctor_says_which_trees_are_the_labs_own() {
    pretend_trees();
    let whole = "the lab's own, with the files of the machine in it\n";
    for doctor in [Shell::new().command(["doctor"]), Shell::new().user(NOBODY).command(["doctor"])] {
        let said = doctor.run().success();
        for tree in ["/etc", "/var/lib", "/var/log", "/var/cache", "/var/spool"] {
            assert!(said.text().contains(&format!("files      {tree:<34} {whole}")), "{tree}: {}", said.text());
        }
    }
}

/// As in a container, which has mounts on files of `/etc`, and on a machine with docker.
#[trial(pretend_host)]
fn below_mounts_the_lab_has_files_and_directories() {
    pretend_trees();
    sh("touch /run/x /etc/hostname && mount --bind /run/x /etc/hostname && mount -t tmpfs tmpfs /var/lib/server/deep");
    let before = files();
    let script = r#"
        let sh = |text| { let run = exec(["sh", "-c", text]); print(run.stderr); check run.ok; };
        for file in ["hosts", "hostname", "nsswitch.conf"] {
            sh.call(`test ! -e /etc/${file} || echo of the lab > /etc/${file}`);
        }
        sh.call("test -d /var/lib/server/deep && ! test -e /var/lib/server/file");
        sh.call("touch /var/lib/new /var/lib/server/new && mkdir /var/lib/server/deep/new");
        sh.call("touch /var/log/new");
    "#;
    as_each_user(script);
    assert_eq!(before, files());
    let said = Shell::new().command(["doctor"]).run().success();
    said.stdout_contains(
        "resolv.conf, hosts, hostname, nsswitch.conf are the lab's own: `/etc/hostname` is mounted below it",
    )
    .stdout_contains("with the directories of the machine in it: `/var/lib/server/deep` is mounted below it");
}

/// The working directory and the home directory are the machine's, also below `/var/lib`. In `/etc` they are not.
#[trial(pretend_host)]
fn the_working_directory_and_home_stay() {
    pretend_trees();
    sh("mkdir /var/lib/user && mkdir /var/lib/job");
    let touch = r#"exec(["touch", "a", "/var/lib/job/b", "/var/lib/user/c", "/var/lib/server/d"]).ok"#;
    let run = |directory: &str| {
        let script = format!("cd {directory} && HOME=/var/lib/user exec \"$@\"");
        let by = ["sh", "-c", &script, "sh"];
        Shell::new().by(by).command(["-c", touch]).run().success().stdout("true\n");
    };
    run("/var/lib/job");
    run("/etc");
    assert!(fs::exists("/var/lib/job/a").unwrap() && fs::exists("/var/lib/job/b").unwrap());
    assert!(fs::exists("/var/lib/user/c").unwrap());
    assert!(!fs::exists("/var/lib/server/d").unwrap() && !fs::exists("/etc/a").unwrap());
}
