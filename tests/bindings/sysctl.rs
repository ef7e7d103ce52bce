//! `sysctl`: read and written through `/proc/sys/net` of a namespace.

use crate::common::{passes, passes_for_all};

#[trial(sysctl)]
fn a_sysctl_is_what_proc_shows_in_that_namespace_only() {
    passes_for_all(
        r#"
        let router = netns("router");
        check sysctl(router, "net.ipv4.ip_forward") == 0;
        sysctl(router, "net.ipv4.ip_forward", 1);
        check exec(router, "cat /proc/sys/net/ipv4/ip_forward").stdout == "1\n";
        check exec(router, "sysctl -n net.ipv4.ip_forward").stdout == "1\n";
        check exec("cat /proc/sys/net/ipv4/ip_forward").stdout == "0\n";
        exec(router, ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]);
        check sysctl(router, "net.ipv4.ip_forward") == 0;
        within router { sysctl("net.ipv6.conf.all.forwarding", 1); }
        check sysctl(router, "net.ipv6.conf.all.forwarding") == 1 && sysctl("net.ipv6.conf.all.forwarding") == 0;
        sysctl(router, "net.ipv4.ip_forward", true);
        check sysctl(router, "net.ipv4.ip_forward") == 1;
        "#,
    );
}

#[trial(sysctl)]
fn text_and_several_numbers() {
    passes(
        r#"
        let ns1 = netns("ns1");
        sysctl(ns1, "net.ipv4.ping_group_range", "0 0");
        check sysctl(ns1, "net.ipv4.ping_group_range") == "0\t0";
        check type_of(sysctl(ns1, "net.ipv4.tcp_congestion_control")) == "string";
        // A dot of a link's name is written as a slash, as for sysctl(8).
        veth(ns1, "eth0.5", ns1, "eth1");
        sysctl(ns1, "net.ipv4.conf.eth0/5.rp_filter", 2);
        check exec(ns1, "sysctl -n net.ipv4.conf.eth0/5.rp_filter").stdout == "2\n";
        check sysctl(ns1, "net.ipv4.conf.eth0/5.rp_filter") == 2;
        "#,
    );
}

#[trial]
fn only_the_network_stack_can_be_set() {
    passes(
        r#"
        for key in ["kernel.panic", "vm.swappiness", "kernel.hostname", "fs.file-max", "net", "net.", "", ".", "net..ipv4", "net/../kernel/panic",
                    "net.ipv4/../../kernel/panic", "/proc/sys/net/ipv4/ip_forward", "net.ipv4/ip_forward"] {
            let e = expect_error(|| sysctl(key));
            check e.kind in ["usage", "not_found"];
            let e = expect_error(|| sysctl(key, 1));
            check e.kind in ["usage", "not_found"];
        }
        let e = expect_error(|| sysctl("net.ipv4", 1));
        check e.errno == 21 && e.hint.contains("group");
        let e = expect_error(|| sysctl("net.ipv4.nothing"));
        check e.kind == "not_found" && e.errno == 2 && e.message.contains("net.ipv4.nothing");
        let e = expect_error(|| sysctl("net.ipv4.ip_forward", "many"));
        check e.errno == 22 && e.hint.contains("value");
        let e = expect_error(|| sysctl("net.ipv4.ip_forward", [1]));
        check e.kind == "usage";
        "#,
    );
}

#[trial]
fn what_belongs_to_the_kernel_is_read_only_for_programs_too() {
    passes(
        r#"
        let out = bash(host(), "echo 5 > /proc/sys/kernel/panic");
        // Without root the mode of the file forbids it before the mount does.
        check !out.ok && (out.stderr.contains("Read-only file system") || out.stderr.contains("Permission denied"));
        let out = bash(netns("ns1"), "echo 5 > /proc/sys/vm/swappiness");
        check !out.ok;
        "#,
    );
}
