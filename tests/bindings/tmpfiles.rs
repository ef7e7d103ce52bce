//! `tmpfiles`: the run directories of installed programs.

use crate::common::{NOBODY, Shell, sh};

/// Gives the pretend host these programs: one as packaged, and one that the administrator has changed.
fn pretend_programs() {
    sh("mount -t tmpfs -o mode=755 tmpfs /usr/lib/tmpfiles.d && mkdir /run/etc && cp -a /etc/. /run/etc && mount --bind /run/etc /etc
        mkdir -p /etc/tmpfiles.d
        echo 'd /run/server/deep 2750 nobody nogroup - -' > /usr/lib/tmpfiles.d/server.conf
        echo 'd /var/run/changed 0700' > /usr/lib/tmpfiles.d/changed.conf
        echo 'd /run/changed 0711' > /etc/tmpfiles.d/changed.conf
        echo 'd /run/no' > /usr/lib/tmpfiles.d/README");
}

#[trial(pretend_host, stat)]
fn the_run_directories_of_programs() {
    pretend_programs();
    let script = |owner: &str| {
        format!(
            r#"
            check tmpfiles() == ["/run/changed", "/run/server/deep"];
            check tmpfiles() == [];
            check exec("stat -c %a:%U:%G /run/server/deep /run/server /run/changed").lines == ["{owner}", "755:root:root", "711:root:root"];
            check !exec("ls -d /run/no").ok;
            "#
        )
    };
    Shell::new().script(&script("2750:nobody:nogroup")).run().success();
    Shell::new().user(NOBODY).script(&script("2750:root:root")).run().success();
    let host = Shell::new().command(["--host", "-c", "tmpfiles()"]).run().status(2);
    host.stderr_contains("`tmpfiles` works in a lab alone").stderr_contains("systemd-tmpfiles --create");
}

#[trial(pretend_host)]
fn a_program_that_misses_its_run_directory_gets_a_hint() {
    pretend_programs();
    let hint = "`tmpfiles()` makes `/run/server/deep`, and the other run directories of installed programs";
    let server = r#"["sh", "-c", "echo > /run/server/deep/pid"]"#;
    let check = Shell::new().script(&format!("check exec({server}).ok;")).run().status(1);
    check.stderr_contains(hint);
    let wait = format!("let p = start({server}); wait_file(\"/run/never\", #{{while_alive: p}});");
    Shell::new().script(&wait).run().status(2).stderr_contains(hint);
    // The control: a program that misses something else.
    let other = Shell::new().script("check exec([\"sh\", \"-c\", \"echo > /run/other/pid\"]).ok;").run().status(1);
    assert!(!other.errors().contains("tmpfiles"), "{}", other.errors());
    Shell::new().script(&format!("tmpfiles(); check exec({server}).ok;")).run().success();
}
