//! Typed holes in recorded texts: `[MS]`, `[PID]`, `[INODE]`, `[INDEX]`, `[MAC]`.

/// Replaces what differs from run to run. No other place has a list of what varies.
pub(crate) fn with_holes(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut before = "";
        let words = line.split(' ').enumerate().map(|(n, word)| {
            let hole = hole(n, std::mem::replace(&mut before, word), word);
            hole.unwrap_or_else(|| word.to_owned())
        });
        out.push_str(&words.collect::<Vec<_>>().join(" "));
        out.push('\n');
    }
    out
}

/// What stands for the `n`-th word of a line, if it varies.
fn hole(n: usize, before: &str, word: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_decimal = |text: &str| text.split('.').all(is_number);
    if word.starts_with("time=") {
        return Some("time=[MS]".into()); // one round trip
    }
    if before == "time" && word.strip_suffix("ms").is_some_and(is_number) {
        return Some("[MS]".into()); // a whole ping
    }
    if word.split('/').count() == 4 && word.split('/').all(is_decimal) {
        return Some("[MS]/[MS]/[MS]/[MS]".into()); // min/avg/max/mdev
    }
    if ["process", "pid"].contains(&before) && is_number(word) {
        return Some("[PID]".into());
    }
    if n == 0 && word.strip_suffix(':').is_some_and(is_number) {
        return Some("[INDEX]:".into());
    }
    if let Some((name, index)) = word.split_once("@if") {
        return index.strip_suffix(':').is_some_and(is_number).then(|| format!("{name}@if[INDEX]:"));
    }
    if let Some((kind, inode)) = word.split_once(":[") {
        return inode.strip_suffix(']').is_some_and(is_number).then(|| format!("{kind}:[INODE]"));
    }
    let octets: Vec<&str> = word.split(':').collect();
    let is_mac = octets.len() == 6 && octets.iter().all(|o| o.len() == 2 && o.bytes().all(|b| b.is_ascii_hexdigit()));
    let is_fixed = ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"].contains(&word);
    (is_mac && !is_fixed).then(|| "[MAC]".into())
}

#[trial(anywhere)]
fn holes_replace_what_varies() {
    for (printed, expected) in [
        (
            "64 bytes from 10.1.1.1: icmp_seq=1 ttl=64 time=0.345 ms",
            "64 bytes from 10.1.1.1: icmp_seq=1 ttl=64 time=[MS] ms",
        ),
        ("1 received, 0% packet loss, time 201ms", "1 received, 0% packet loss, time [MS]"),
        ("rtt min/avg/max/mdev = 0.1/0.2/0.3/0.0 ms", "rtt min/avg/max/mdev = [MS]/[MS]/[MS]/[MS] ms"),
        ("  process 39 (sleep) is in it", "  process [PID] (sleep) is in it"),
        ("4: veth1@if5: <BROADCAST> mtu 1500", "[INDEX]: veth1@if[INDEX]: <BROADCAST> mtu 1500"),
        ("link/ether 32:64:cf:31:d5:d2 brd ff:ff:ff:ff:ff:ff", "link/ether [MAC] brd ff:ff:ff:ff:ff:ff"),
        ("net -> net:[4026531956]", "net -> net:[INODE]"),
        (
            "10.1.1.0        0.0.0.0         255.255.255.0   U     0",
            "10.1.1.0        0.0.0.0         255.255.255.0   U     0",
        ),
    ] {
        assert_eq!(with_holes(printed), format!("{expected}\n"));
    }
}
