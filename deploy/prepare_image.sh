#!/bin/sh
# Inside an image's build: the unprivileged user and the two folders that are mounted over.
set -eu

if ! grep -q '^airgap:' /etc/passwd; then
    echo 'airgap:x:10001:10001:Airgap OCR:/data:/usr/sbin/nologin' >>/etc/passwd
    echo 'airgap:x:10001:' >>/etc/group
fi
rm -rf /app
install -d -m 0755 /app /app/models
install -d -m 0700 -o 10001 -g 10001 /data
