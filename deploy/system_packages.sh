#!/bin/sh
# Inside an image's build: install Debian packages, and leave nothing behind that differs from day to day.
#
#   system_packages.sh PACKAGE...
#
# Where all of them are there already (the base is an older image of ours) no network is touched.
set -eu

if dpkg-query --show --showformat='${db:Status-Abbrev}\n' "$@" >/tmp/state 2>/dev/null && ! grep -qv '^ii' /tmp/state; then
    rm /tmp/state
    exit 0
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
rm -rf /tmp/state /var/lib/apt/lists /var/cache/apt /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
    /var/log/apt /var/log/*.log /var/lib/dpkg/*-old /etc/machine-id /var/lib/systemd
find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
