#!/usr/bin/env bash
# The whole suite where only the loopback interface exists, with every system call that reaches for another
# address written down, native code included. Fails on a failed test and on any attempt.
#
#   tests/tripwire/offline.sh [PYTEST ARGUMENT]...       as root, with strace, unshare and ip
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
python="${PYTHON:-$root/.venv/bin/python}"
work="${WORK:-$(mktemp -d)}"   # WORK=folder keeps the list of calls there
[[ -n "${WORK:-}" ]] || trap 'rm -rf "$work"' EXIT
cd "$root"

status=0
unshare --net bash -c 'ip link set lo up; exec "$@"' offline \
    strace --follow-forks --seccomp-bpf --quiet=all --signal=none --trace=execve,connect,sendto,sendmsg,sendmmsg \
    --string-limit=200 --output="$work/calls" \
    "$python" -m pytest -q -p no:cacheprovider "$@" || status=$?

# Only calls that name an address count; those of the tripwire's own tests never reach the system.
attempts="$(grep -E 'sin_addr|sin6_addr|inet_pton' "$work/calls" |
    grep -vE 'inet_addr\("(127\.[0-9.]+|0\.0\.0\.0)"\)|inet_pton\(AF_INET6, "(::1|::|::ffff:127\.[0-9.]+)"' || true)"
printf '%s calls named an address, %s of them beyond loopback\n' \
    "$(grep -cE 'sin_addr|sin6_addr|inet_pton' "$work/calls" || true)" \
    "$(grep -c . <<<"$attempts" || true)"
if [[ -n "$attempts" ]]; then
    head -n 40 <<<"$attempts"
    echo "programs of these processes (a thread has a number near its process's):"
    cut -d ' ' -f 1 <<<"$attempts" | sort -u | while read -r pid; do
        grep -E "^$pid +execve" "$work/calls" | tail -n 1 || true
    done
    exit 1
fi
exit "$status"
