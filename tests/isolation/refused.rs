//! Where no lab can be made, or resources run out: the error, and that nothing is left behind.

use std::process::Command;

use crate::common::{NOBODY, NSLAB, Script, Shell, TAG, both, feed, nslab, run, wait_until_none_has};

#[trial]
fn few_descriptors_are_a_clear_error() {
    let script = r#"let all = []; for n in 0..60 { all.push(netns(`n${n}`)); } print("enough")"#;
    for limit in (20..=60).step_by(10) {
        let tag = format!("few-{limit}");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" run -")]).arg(NSLAB);
        let output = feed(command.env(TAG, &tag), script);
        let said = both(&output);
        assert_eq!(output.status.code(), Some(2), "{limit}: {said}");
        assert!(said.contains("EMFILE 24"), "{limit}: {said}");
        wait_until_none_has(&tag);
    }
}

#[trial(user_namespace)]
fn no_user_namespaces_is_said_with_the_sysctl() {
    std::fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    let output = run("1");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("user.max_user_namespaces = 0") && said.contains("hint: "), "{said}");
    let output = nslab().arg("doctor").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    std::fs::write("/proc/sys/user/max_user_namespaces", "100").unwrap();
    std::fs::write("/proc/sys/user/max_net_namespaces", "0").unwrap();
    let output = run("1");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("hint: a limit of /proc/sys/user/max_*_namespaces"), "{said}");
}

#[trial(root, unshare, mount)]
fn a_chroot_is_said() {
    // A mount of / at another place is enough to be in a chroot. It lives in a mount namespace of its own.
    let script = format!(
        "mount --bind / /mnt && chroot /mnt '{NSLAB}' -c 1; echo status $?; \
         mount --rbind /proc /mnt/proc && chroot /mnt '{NSLAB}' -c 1; echo status $?"
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = both(&output);
    assert_eq!(said.matches("status 3").count(), 2, "{said}");
    assert_eq!(said.matches("in a chroot no user namespace can be made").count(), 2, "{said}");
}

#[trial(hostname)]
fn an_ordinary_user_needs_nothing() {
    Script::walkthrough().shell(&["run"]).user(NOBODY).run().success();
    let evaluate = |text: &str| Shell::new().command(["-c", text]).user(NOBODY).run().success();
    evaluate("exec(\"id -u\")").stdout("0\n");
    // Nor may it do more than before.
    evaluate("exec([\"sh\", \"-c\", \": >> /proc/sys/kernel/panic\"]).ok").stdout("false\n");
}

#[trial]
fn host_needs_root() {
    for words in [&["--host", "-c", "1"][..], &["--host", "run", "/dev/null"], &["gc"]] {
        let outcome = Shell::new().command(words.iter().copied()).user(NOBODY).run().status(3);
        outcome.stderr_contains("needs root").stderr_contains("hint: ");
    }
}
