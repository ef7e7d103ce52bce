#!/bin/bash
# Two hosts, a router between them, a server in the background, and a failure at the end.
#
#   h1 -- r1 -- h2
#
# It runs on a machine as root, and unchanged under `nslab exec`. What it prints does not depend on the run.
set -euo pipefail

readonly HOSTS=(h1 h2)
work=$(mktemp -d)
log=$work/log
failures=0

say() {
    printf '%s: %s\n' "${0##*/}" "$*"
}

cleanup() {
    local status=$?
    trap - EXIT
    say "cleanup with status $status, $failures failed"
    kill "${server:-}" "${sleeper:-}" 2>/dev/null || true
    wait "${server:-}" 2>/dev/null || say "the server ended with $?"
    for ns in $(ip netns list | awk '{ print $1 }' | sort); do
        ip netns pids "$ns" | xargs -r kill -9
        ip netns delete "$ns"
    done
    say "left: $(ip netns list | wc -l) namespaces, $(ip -o link show type veth | wc -l) cables"
    rm -r "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'say "got USR1"' USR1
trap 'say "an error in line $LINENO" >&2' ERR

check() {
    local name=$1
    shift
    if "$@" >>"$log" 2>&1; then
        say "ok: $name"
    else
        say "failed: $name ($?)"
        failures=$((failures + 1))
    fi
}

in_ns() {
    ip netns exec "$@"
}

connect() {
    local host=$1 net=$2
    ip link add "$host-r1" type veth peer name eth0
    ip link set eth0 netns "$host"
    ip link set "$host-r1" netns r1
    in_ns r1 ip addr add "10.9.$net.1/24" dev "$host-r1"
    in_ns r1 ip link set "$host-r1" up
    in_ns "$host" ip addr add "10.9.$net.2/24" dev eth0
    in_ns "$host" ip link set lo up
    in_ns "$host" ip link set eth0 up
    in_ns "$host" ip route add default via "10.9.$net.1"
}

ip link set lo up
ip netns add r1
in_ns r1 sysctl -qw net.ipv4.ip_forward=1
for n in "${!HOSTS[@]}"; do
    ip netns add "${HOSTS[n]}"
    connect "${HOSTS[n]}" "$((n + 1))"
done

say "namespaces: $(ip netns list | awk '{ print $1 }' | sort | paste -sd ' ')"
say "inside: $(in_ns h1 bash -c 'ip netns identify $$; ls /sys/class/net | paste -sd " "')"
in_ns h1 ip -br -4 addr show | awk '{ print $1, $3 }'
in_ns r1 ip route | awk '{ print $1, $3 }'

check "h1 reaches h2" in_ns h1 ping -c 1 -W 5 10.9.2.2
check "h2 reaches the router" in_ns h2 ping -c 1 -W 5 10.9.1.1
check "h1 reaches nothing else" in_ns h1 ping -c 1 -W 1 10.9.3.1

# Background jobs: one that serves through named pipes, one that is waited for, one that is killed.
mkfifo "$work/ask" "$work/answer"
in_ns h2 bash -c 'while read -r word; do echo "${word^^}"; done' <"$work/ask" >"$work/answer" &
server=$!
exec 8>"$work/ask" 9<"$work/answer"
for word in one two; do
    echo "$word" >&8
    read -r answer <&9
    say "asked $word, answered $answer"
done
sleep 1000 &
sleeper=$!
(in_ns h1 ip -o -4 addr show eth0 | awk '{ print $4 }' >"$work/addr") &
wait $!
say "eth0 of h1: $(<"$work/addr"), jobs: $(jobs -r | wc -l)"

kill -USR1 $$
say "arguments: $#: $*"
while IFS= read -r line; do
    say "input: $line"
done
say "files: $(ls "$work" | paste -sd ' ')"
if ! in_ns nowhere true; then
    say "no such namespace"
fi
echo "on standard error" >&2
[[ $failures -eq 1 ]] || exit 1
exit 7
