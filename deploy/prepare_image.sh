#!/bin/sh
# Inside an image's build: the unprivileged user and the two folders that are mounted over.
set -eu

if ! grep -q '^airgap:' /etc/passwd; then
    echo 'airgap:x:10001:10001:Airgap OCR:/data:/usr/sbin/nologin' >>/etc/passwd
    echo 'airgap:x:10001:' >>/etc/group
fi
rm -rf /app
install -d -m 0755 /app /app/models
# Group 0 as well as the owner: where a platform chooses the user (OpenShift), it leaves the group at 0.
install -d -m 0770 -o 10001 -g 0 /data
# The command line, wherever one is in the container.
printf '#!/bin/sh\nPYTHONPATH=/app exec python -m airgap.client "$@"\n' >/usr/local/bin/ocr
chmod 0755 /usr/local/bin/ocr
