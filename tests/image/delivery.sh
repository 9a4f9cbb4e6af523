#!/usr/bin/env bash
# A bundle made, carried and installed for real: build machine, stick, closed machine.
#
#   tests/image/delivery.sh       as root, after tests/image/run.sh; about 4 minutes
#
# 1. The image that run.sh built goes into a signed bundle, which is copied to another path.
# 2. One byte of it is changed: install.sh refuses, names the file, and has loaded nothing.
# 3. In a network namespace of its own, with loopback alone: install.sh of the whole bundle verifies, loads,
#    writes .env, starts gateway and server (tests/image/engine.py is the engine), waits and reads a page.
# 4. A page is read through the published port, from outside the containers.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="$root/build/delivery"
python="${PYTHON:-$root/.venv/bin/python}"
say() { printf '== %s\n' "$*"; }

flip() {
    # flip FILE: another bit in one byte near its end; the same again puts it back.
    "$python" - "$1" <<'PYTHON'
import sys

with open(sys.argv[1], "r+b") as file:
    file.seek(-7, 2)
    byte = file.read(1)[0]
    file.seek(-7, 2)
    file.write(bytes([byte ^ 4]))
PYTHON
}

if [[ "${1:-}" == closed ]]; then   # step 3 and 4, inside the namespace
    ip link set lo up
    mount -t tmpfs tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; }
    export PATH="$work/bin:$PATH" ENGINE_STATE="$work/state"
    trap 'docker compose down' EXIT
    bash "$work/stick/install.sh" --to "$work/site" --set PUBLISH_PORT=8073
    say "one page through the published port"
    /usr/bin/python3 "$root/deploy/smoke/smoke.py" --url http://127.0.0.1:8073
    exit
fi

rm -rf "$work"
mkdir -p "$work/bin" "$work/made"
ln -s "$root/tests/image/engine.py" "$work/bin/docker"
chmod +x "$root/tests/image/engine.py"
cd "$root"
version="$("$python" -c 'from version import VERSION; print(VERSION)')"

say "the bundle"
reference="airgap-ocr:$version-cpu"
buildah push --quiet localhost/airgap-ocr:test-cpu "docker-archive:$work/cpu.tar:docker.io/library/$reference"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/key"
"$python" -m deploy.bundle --image "cpu=$work/cpu.tar" --key "$work/key" --out "$work/made"
cp -r "$work/made/airgap-ocr-$version" "$work/stick"
rm -rf "$work/made" "$work/cpu.tar"
buildah rmi "docker.io/library/$reference" >/dev/null 2>&1 || true

say "one byte changed"
wheel="$(find "$work/stick/wheelhouse" -name 'pymupdf*.whl' | head -n 1)"
for file in "$work/stick/images/cpu.tar" "$wheel" "$work/stick/docker-compose.yml"; do
    flip "$file"
    if refusal="$(ENGINE_STATE="$work/state" PATH="$work/bin:$PATH" bash "$work/stick/install.sh" --to "$work/site" 2>&1)"; then
        echo "a changed ${file##*/} was installed" >&2
        exit 1
    fi
    grep -F "${file#"$work/stick/"}" <<<"$refusal" || { echo "$refusal"; echo "the file was not named" >&2; exit 1; }
    if grep -q '== loading' <<<"$refusal"; then echo "something was loaded all the same" >&2; exit 1; fi
    flip "$file"
done
[[ ! -e "$work/state" ]]

say "the closed machine"
unshare --net --mount --pid --fork --mount-proc --kill-child bash "${BASH_SOURCE[0]}" closed
rm -rf "$work"
say "all is well"
