//! What covers the machine's `/proc`, `/sys` and `/run` stays: no process of a lab can unmount it.

use std::fs;
use std::process::{Command, Stdio};

use crate::common::{NOBODY, NSLAB, Outcome, Shell, children, keeper, wait_for};

/// Runs a script as root, if the tests run as root, and as an ordinary user.
#[track_caller]
fn as_each_user(script: &str) -> [Outcome; 2] {
    [Shell::new().script(script).run().success(), Shell::new().user(NOBODY).script(script).run().success()]
}

/// Tries to unmount all that there is, at once and lazily, the last mount first; prints what it could.
const UNMOUNT_ALL: &str = r#"
    for point in $(cut -d ' ' -f 5 /proc/self/mountinfo | tac); do
        umount "$point" 2>/dev/null && echo "unmounted $point"
        umount -l "$point" 2>/dev/null && echo "unmounted $point"
    done
    true
"#;

/// Two mounts of the lab are the control: one from the lab's root, and one over a cover.
#[trial(mount)]
fn no_mount_of_the_machine_or_the_lab_can_be_unmounted() {
    let script = format!(
        r#"
        let all = `{UNMOUNT_ALL}`;
        let before = exec("cat /proc/self/mountinfo").stdout;
        check before.split("\n").len > 5;
        check exec(["sh", "-c", all]).stdout == "";
        for point in ["/run/netns", "/proc/sys/net"] {{ check exec(["mount", "-t", "tmpfs", "tmpfs", point]).ok; }}
        check exec(["sh", "-c", all]).stdout == "unmounted /proc/sys/net\nunmounted /run/netns\n";
        check exec("cat /proc/self/mountinfo").stdout == before;
        "#
    );
    as_each_user(&script);
}

/// A namespace's own `/sys`, and a sandbox's own `/proc`, can be unmounted. Below them is the lab's.
#[trial(mount)]
fn below_the_mounts_of_namespaces_and_sandboxes_is_the_lab() {
    let script = format!(
        r#"
        let all = `{UNMOUNT_ALL}`;
        exec("touch /run/of-the-lab");
        for place in [netns("a"), unshare(["pid", "mount"]), unshare(["mount", "net"]), unshare(["pid", "mount", "net", "user"])] {{
            exec(place, ["sh", "-c", all]);
            check exec(place, "ls /sys/class/net").stdout == "lo\n";
            check exec(place, "ls /run/of-the-lab").ok;
            check exec(place, ["sh", "-c", "umount -l /proc/sys; mount -o remount,bind,rw /proc/sys; echo > /proc/sys/kernel/panic"]).code != 0;
            check exec(place, ["sh", "-c", "mount -o remount,bind,rw /sys; echo 0 > /sys/kernel/mm/ksm/run"]).code != 0;
        }}
        "#
    );
    as_each_user(&script);
}

#[trial(root, unshare)]
fn root_cannot_mount_an_unguarded_proc() {
    let before = fs::read_to_string("/proc/sys/kernel/panic").unwrap();
    let script = r#"
        let write = ["sh", "-c", ": >> /proc/sys/kernel/panic"];
        for options in [["-pf", "--mount-proc"], ["-Urpf", "--mount-proc"]] {
            let run = exec(["unshare"] + options + write);
            check run.stderr == "unshare: mount /proc failed: Operation not permitted\n";
        }
        let run = exec(["unshare", "-n", "sh", "-c", "mount -t sysfs sysfs /sys"]);
        check !run.ok;
        // Read-only it is allowed, as `ip netns exec` asks for it.
        let run = exec(["unshare", "-nm", "sh", "-c", "mount -t sysfs -o ro sysfs /sys && : >> /sys/kernel/mm/ksm/run"]);
        check run.stderr.contains("Read-only file system");
    "#;
    Shell::new().script(script).run().success();
    assert_eq!(fs::read_to_string("/proc/sys/kernel/panic").unwrap(), before);
}

/// What programs do with mounts goes on working below locked covers.
#[trial(ip, mount, unshare, nsenter)]
fn programs_mount_and_enter_as_before() {
    let script = r#"
        check exec("ip netns add real").ok;
        check netns_list().map(|n| n.name) == ["real"];
        check exec("ip netns exec real ls /sys/class/net").stdout == "lo\n";
        check exec("ip netns exec real ip link add veth0 type veth peer name veth1").ok;
        check exec("ip netns exec real ls /sys/class/net").stdout.contains("veth0\nveth1\n");
        let inside = netns("inside");
        check exec(inside, "ip netns add deeper").ok;
        check netns_list().len == 3;
        exec(["mkdir", "/run/x", "/run/y"]);
        check exec("mount --bind /run/x /run/y").ok && exec("touch /run/y/seen").ok && exec("ls /run/x/seen").ok;
        check exec("umount /run/y").ok && !exec("ls /run/y/seen").ok;
        check exec(["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run/y && touch /run/y/private"]).ok;
        check !exec("ls /run/y/private").ok;
        check exec("nsenter -t 1 -n -m -p -u -i id -u").stdout == "0\n";
        let box = unshare(["pid", "mount", "net", "user", "uts"]);
        check exec(box, ["sh", "-c", "echo $$; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l"]).stdout.split("\n")[1] == "lo";
        check exec(box, "cat /proc/1/comm").stdout == "nslab-init\n";
    "#;
    as_each_user(script);
}

#[trial(unshare)]
fn an_ordinary_user_mounts_another_proc() {
    let script = r#"
        check exec("unshare -pf --mount-proc sh -c 'ls -d /proc/[0-9]*'").stdout.split("\n")[0] == "/proc/1";
        check exec("unshare -Urpf --mount-proc cat /proc/1/comm").stdout == "cat\n";
        check exec("unshare -nm mount -t sysfs sysfs /sys").ok;
    "#;
    Shell::new().user(NOBODY).script(script).run().success();
}

#[trial(nsenter)]
fn the_same_user_joins_from_outside() {
    let mut front = Command::new(NSLAB);
    let mut front = front.args(["-c", "netns(\"inside\"); sleep(\"100s\")"]).stdin(Stdio::null()).spawn().unwrap();
    let mut first = None;
    wait_for("the interpreter", || {
        first = keeper(i32::try_from(front.id()).unwrap()).filter(|keeper| !children(*keeper).is_empty());
        first.is_some()
    });
    let target = first.unwrap().to_string();
    let ls = || {
        let mut command = Command::new("nsenter");
        command.args(["-t", &target, "-U", "-n", "-m", "-p", "-u", "-i", "--preserve-credentials", "ls", "/run/netns"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    wait_for("the name in the lab", || ls() == "inside\n");
    front.kill().unwrap();
    front.wait().unwrap();
}
