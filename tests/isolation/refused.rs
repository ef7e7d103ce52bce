//! Where a lab is not possible, or not enough is left: what is said, and that nothing is left.

use std::process::Command;

use super::tools::{Public, TAG, both, feed, in_role, nslab, run, scripts, stdout, wait_until_none_has};

pub(crate) fn few_descriptors() {
    let script = r#"let all = []; for n in 0..60 { all.push(netns(`n${n}`)); } print("enough")"#;
    for limit in (20..=60).step_by(10) {
        let tag = format!("few-{limit}");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" run -")]).arg(env!("CARGO_BIN_EXE_nslab"));
        let output = feed(command.env(TAG, &tag), script);
        let said = both(&output);
        assert_eq!(output.status.code(), Some(2), "{limit}: {said}");
        assert!(said.contains("EMFILE 24"), "{limit}: {said}");
        wait_until_none_has(&tag);
    }
}

pub(crate) fn no_user_namespaces() {
    in_role("no-user-namespaces", &["--user", "--map-root-user", "--mount"], "");
}

pub(crate) fn no_user_namespaces_role() {
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

pub(crate) fn chroot() {
    // A mount of / at another place is enough to be in a chroot. It lives in a mount namespace of its own.
    let script = format!(
        "mount --bind / /mnt && chroot /mnt '{}' -c 1; echo status $?; \
         mount --rbind /proc /mnt/proc && chroot /mnt '{0}' -c 1; echo status $?",
        env!("CARGO_BIN_EXE_nslab")
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = both(&output);
    assert_eq!(said.matches("status 3").count(), 2, "{said}");
    assert_eq!(said.matches("in a chroot no user namespace can be made").count(), 2, "{said}");
}

pub(crate) fn ordinary_user() {
    let public = Public::new();
    let walk = scripts().into_iter().find(|script| script.ends_with("walkthrough.rhai")).unwrap();
    let output = public.as_nobody().arg("run").arg(public.script(&walk)).output().unwrap();
    stdout(&output);
    let output = public.as_nobody().args(["-c", "exec(\"id -u\")"]).output().unwrap();
    assert_eq!(stdout(&output), "0\n");
    // Nor may it do more than before.
    let output = public.as_nobody().args(["-c", "exec([\"sh\", \"-c\", \": >> /proc/sys/kernel/panic\"]).ok"]).output();
    assert_eq!(stdout(&output.unwrap()), "false\n");
}

pub(crate) fn host_needs_root() {
    let public = Public::new();
    for args in [&["--host", "-c", "1"][..], &["--host", "run", "/dev/null"], &["gc"]] {
        let output = public.as_nobody().args(args).output().unwrap();
        let said = both(&output);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("needs root") && said.contains("hint: "), "{args:?}: {said}");
    }
}
