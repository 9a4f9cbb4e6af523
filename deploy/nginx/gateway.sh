#!/bin/sh
# Start the gateway: with TLS where /tls holds tls.crt and tls.key, else in plain HTTP.
set -eu

install -d -m 0700 /tmp/gateway
awk '/^nameserver/ { print "resolver " ($2 ~ /:/ ? "[" $2 "]" : $2) " valid=5s ipv6=off;"; exit }' \
    /etc/resolv.conf >/tmp/gateway/resolver.conf
if [ -f /tls/tls.crt ] && [ -f /tls/tls.key ]; then
    cat >/tmp/gateway/listen.conf <<'CONF'
listen 8000 ssl;
ssl_certificate /tls/tls.crt;
ssl_certificate_key /tls/tls.key;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:tls:1m;
CONF
else
    echo 'listen 8000;' >/tmp/gateway/listen.conf
fi
exec nginx -e stderr -c /opt/airgap/nginx/nginx.conf
