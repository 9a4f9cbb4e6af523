#!/usr/bin/env bash
# What `make test-image` needs and pytest does not bring: Debian's packages, and the wheels of the CPU image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(debootstrap docker-compose docker.io nftables openssl prometheus)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
    [[ "$(id -u)" == 0 ]] || { echo "run it as root: it installs ${packages[*]} and starts dockerd" >&2; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" iptables
fi
PYTHON="${PYTHON:-python3}" deploy/wheelhouse.sh cpu
