#!/usr/bin/env bash
# Inside fresh mount, network and process namespaces: run the server in an image's file system, hardened as in
# docker-compose.yml as far as that goes without a container engine.
#
#   in_image.sh ROOT DATA SERVE_OCR COMMAND       SERVE_OCR may be empty; COMMAND is run in the same place
set -euo pipefail
image="$1" data="$2" changed="$3" command="$4"

ip link set lo up
mount --make-rprivate /
mount --bind "$image" "$image"
mount --bind "$data" "$image/data"
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=1g tmpfs "$image/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$image/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$image/dev"
mknod -m 666 "$image/dev/null" c 1 3
mknod -m 666 "$image/dev/zero" c 1 5
mknod -m 666 "$image/dev/urandom" c 1 9
mknod -m 666 "$image/dev/random" c 1 8
mkdir -m 1777 "$image/dev/shm"
if [[ -n "$changed" ]]; then mount --bind -o ro "$changed" "$image/app/serve_ocr.py"; fi
mount -o remount,bind,ro "$image"

inside() {
    chroot "$image" /usr/bin/setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \
        --bounding-set=-all --inh-caps=-all \
        env -i PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LANG=C.UTF-8 \
        HOME=/tmp DATA_DIR=/data TESSDATA_PREFIX=/usr/share/tesseract-ocr/5/tessdata BACKEND=rapidocr \
        sh -c "cd /app && $1"
}

if inside 'touch /app/x' 2>/dev/null || inside 'touch /opt/venv/x' 2>/dev/null; then
    echo "the file system can be written to" >&2
    exit 1
fi
inside 'exec python serve_ocr.py' >"$data/../server.log" 2>&1 &
server=$!
status=0
inside "$command" || status=$?
kill "$server" 2>/dev/null || true
wait "$server" 2>/dev/null || true
if ((status)); then tail -n 30 "$data/../server.log" >&2; fi
exit "$status"
