#!/usr/bin/env bash
# Build the CPU image for real and run what is in it, on a machine without a container engine.
#
#   tests/image/run.sh            as root on Debian 12, with buildah and debootstrap; about 3 minutes
#
# 1. A base is made with debootstrap and given the name the Dockerfile asks for (skipped where that image is there).
# 2. The system packages are installed with a network; everything after that is built in a network
#    namespace that has none, from the wheelhouse alone.
# 3. The image's file system is run as the unprivileged user, without capabilities, read-only but for
#    /data and /tmp, with only a loopback interface: /readyz answers, and one page is read.
# 4. The same with a changed serve_ocr.py mounted over the image's: its new route is there.
# Prints the image's size, and fails when that is 900 MB or more.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cd "$root"
work="$root/build/image-test"
base=docker.io/library/debian:12-slim
system=localhost/airgap-ocr-system:test
image=localhost/airgap-ocr:test-cpu
export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
export BUILDAH_FORMAT=docker
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"

say() { printf '== %s\n' "$*"; }

make_base() {
    buildah inspect --type image "$base" >/dev/null 2>&1 && return
    say "making $base with debootstrap"
    rm -rf "$work/base"
    debootstrap --variant=minbase bookworm "$work/base" >"$work/debootstrap.log"
    cp -r /etc/apt/sources.list.d/debian.sources "$work/base/etc/apt/sources.list.d/" 2>/dev/null || true
    rm -rf "$work/base"/var/cache/apt/* "$work/base"/var/lib/apt/lists/* "$work/base"/var/log/* \
        "$work/base"/usr/share/{doc,man,info,locale}/*
    local container
    container="$(buildah from scratch)"
    buildah add --quiet "$container" "$work/base" / >/dev/null
    buildah commit --quiet --rm "$container" "$base" >/dev/null
    rm -rf "$work/base"
}

build() {
    say "system packages"
    buildah bud --quiet --pull-never --layers --network host --target system -f Dockerfile.cpu -t "$system" . >/dev/null
    say "the rest, without a network"
    unshare --net buildah bud --pull-never --network host --timestamp "$SOURCE_DATE_EPOCH" \
        --build-arg BASE="$system" -f Dockerfile.cpu -t "$image" . >"$work/build.log" 2>&1 ||
        { tail -n 30 "$work/build.log"; exit 1; }
}

check_size() {
    local container bytes
    container="$(buildah from --pull-never "$image")"
    bytes="$(du -s --block-size=1 --apparent-size "$(buildah mount "$container")" | cut -f 1)"
    buildah rm "$container" >/dev/null
    say "image: $((bytes / 1000000)) MB"
    ((bytes < 900000000)) || { echo "900 MB or more" >&2; exit 1; }
}

run_in_image() {
    # run_in_image SERVE_OCR COMMAND: the server in the image's file system, then COMMAND beside it.
    local container status=0
    container="$(buildah from --pull-never "$image")"
    install -d -m 0700 -o 10001 -g 10001 "$work/data"
    unshare --net --mount --pid --fork --kill-child bash tests/image/in_image.sh \
        "$(buildah mount "$container")" "$work/data" "$1" "$2" || status=$?
    buildah rm "$container" >/dev/null
    rm -rf "$work/data"
    return "$status"
}

mkdir -p "$work"
make_base
deploy/wheelhouse.sh cpu
build
check_size

say "ready, and one page read"
run_in_image "" "python /opt/airgap/smoke/smoke.py --wait 120"

say "the gateway's configuration"
run_in_image "" 'sed "s/^exec nginx/exec nginx -t/" /opt/airgap/nginx/gateway.sh | sh'

say "a changed serve_ocr.py takes effect"
python3 - serve_ocr.py "$work/serve_ocr.py" <<'PYTHON'
import sys
from pathlib import Path

marker = '    app.state.service = service\n'
source = Path(sys.argv[1]).read_text()
assert source.count(marker) == 1, "serve_ocr.py has changed; name another line here"
route = '    app.add_api_route("/of-this-site", lambda: {"changed": True})\n'
Path(sys.argv[2]).write_text(source.replace(marker, marker + route))
PYTHON
run_in_image "$work/serve_ocr.py" 'python /opt/airgap/smoke/smoke.py --ready --wait 120 && python -c "
import urllib.request
print(urllib.request.urlopen(\"http://127.0.0.1:8000/of-this-site\").read().decode())"'
say "all is well"
