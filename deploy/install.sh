#!/usr/bin/env bash
# Install a bundle on a closed machine, or upgrade to it. Reaches no network but this machine's own port.
#
#   install.sh [--to FOLDER] [--profile NAME] [--set NAME=VALUE]... [--ask NAME]... [--signers FILE] [--unsigned]
#   install.sh --rollback [--to FOLDER]
#   install.sh --erase [--with-data] [--to FOLDER]
#
# --to FOLDER      where the site lives; default /opt/airgap-ocr
# --profile        what runs: cpu, deepseek, deepseek-safe, qwen, large, engine, scale; default: what runs already, else cpu
# --set            a line of the site's .env, for instance --set PUBLISH_PORT=8064
# --ask            the same, but the value is asked for and not shown: --ask BOOTSTRAP_PASS
# --rollback       go back to the release that ran before this one
# --erase          stop it and remove its containers, images and folder; --with-data: the volumes and .env too
#
# Verifies the bundle, loads its images, writes FOLDER/.env where there is none, starts, waits until the
# server is ready and lets it read a page. Where any of that fails while an older release ran, that one is
# started again. The data volume, .env and docker-compose.override.yml outlive upgrades and rollbacks; only
# AIRGAP_VERSION changes. From then on FOLDER is where `docker compose` commands are given.
# Needs docker with compose (or podman with docker-compose) and ssh-keygen. CONTAINER_CLI=podman names another CLI.
set -euo pipefail

bundle="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
site=/opt/airgap-ocr profile="" settings=() verify=() action=install with_data=0
while (($#)); do
    case "$1" in
        --to) site="${2:?--to needs a folder}"; shift ;;
        --profile) profile="${2:?--profile needs a name}"; shift ;;
        --set) settings+=("${2:?--set needs NAME=VALUE}"); shift ;;
        --ask)
            read -rsp "${2:?--ask needs the name of a setting}: " answer || { echo "no value for $2" >&2; exit 2; }
            echo >&2
            settings+=("$2=$answer")
            shift
            ;;
        --signers) verify+=(--signers "${2:?--signers needs a file}"); shift ;;
        --unsigned) verify+=(--unsigned) ;;
        --rollback) action=rollback ;;
        --erase) action=erase ;;
        --with-data) with_data=1 ;;
        *) echo "unknown option: $1" >&2; exit 2 ;;
    esac
    shift
done
mkdir -p "$site" || { echo "FAILED: $site cannot be made by $(id -un); --to names another folder" >&2; exit 1; }
site="$(cd "$site" && pwd)"
wait_seconds="${WAIT_SECONDS:-900}"

say() { printf '== %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

get_env() { if [[ -f "$site/.env" ]]; then sed -n "s/^$1=//p" "$site/.env" | tail -n 1; fi; }

set_env() {
    # set_env NAME VALUE: one line of .env, in place; the file is never half written.
    [[ "$1" =~ ^[A-Z][A-Z0-9_]*$ ]] || die "$1 is no name of a setting"
    [[ "$2" != *$'\n'* ]] || die "$1: a value is one line"
    local new
    new="$(mktemp "$site/.env.XXXXXX")"
    touch "$site/.env"
    name="$1" value="$2" awk '
        index($0, ENVIRON["name"] "=") == 1 { if (!done++) print ENVIRON["name"] "=" ENVIRON["value"]; next }
        { print }
        END { if (!done) print ENVIRON["name"] "=" ENVIRON["value"] }
    ' "$site/.env" >"$new"
    chmod 600 "$new"
    mv "$new" "$site/.env"
}

find_engine() {
    cli="${CONTAINER_CLI:-}"
    if [[ -z "$cli" ]]; then
        if command -v docker >/dev/null; then cli=docker; else cli=podman; fi
    fi
    command -v "$cli" >/dev/null || die "neither docker nor podman is installed"
    if "$cli" compose version >/dev/null 2>&1; then
        compose_command=("$cli" compose)
    elif command -v docker-compose >/dev/null; then
        compose_command=(docker-compose)
    else
        die "docker's compose plug-in is not installed"
    fi
}

compose() {
    # As in `cd FOLDER && docker compose …`, and .env alone decides: the caller's own variables do not.
    local engine=() name
    for name in DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG XDG_RUNTIME_DIR CONTAINER_HOST; do
        [[ -z "${!name:-}" ]] || engine+=("$name=${!name}")
    done
    (cd "$site" && env -i PATH="$PATH" HOME="${HOME:-/}" ${engine[@]+"${engine[@]}"} "${compose_command[@]}" "$@")
}

server() {
    # The service that holds accounts, by the profiles that run.
    local name
    for name in $(get_env COMPOSE_PROFILES | tr ',' ' '); do
        case "$name" in
            monitoring) ;;
            scale) echo scale-1; return ;;
            *) echo "$name"; return ;;
        esac
    done
}

# shellcheck disable=SC2016  # the inner shell is given both as arguments
answers() { timeout 10 bash -c ': <"/dev/tcp/$1/$2"' _ "$address" "$port" 2>/dev/null; }

check_port() {
    # The port is free, or it is ours.
    local gateway
    gateway="$(compose ps -q gateway 2>/dev/null | head -n 1)" || gateway=""
    if [[ -n "$gateway" ]] && "$cli" port "$gateway" 8000 2>/dev/null | grep -q ":$port\$"; then return; fi
    answers || return 0
    echo "port $port of $address is taken by another program: end that, or choose another with --set PUBLISH_PORT=…" >&2
    return 1
}

start_and_check() {
    # Start what .env says, wait until a page can be read through the gateway, and read one.
    local scheme=http tls port address smoke
    port="$(get_env PUBLISH_PORT)" address="$(get_env PUBLISH_ADDRESS)" port="${port:-8063}"
    [[ -z "$address" || "$address" == 0.0.0.0 ]] && address=127.0.0.1
    check_port || return 1
    compose up -d --remove-orphans || return 1
    tls="$(get_env TLS_DIR)"
    [[ -f "$(cd "$site" && realpath -m "${tls:-tls}")/tls.crt" ]] && scheme=https
    smoke=(exec -T gateway python /opt/airgap/smoke/smoke.py --url "$scheme://127.0.0.1:8000" --insecure)
    compose "${smoke[@]}" --ready --wait "$wait_seconds" </dev/null || return 1
    # With accounts on, a login of the installation's own, for a few minutes; without, an empty line.
    compose exec -T "$(server)" python -m airgap.accounts.check_login </dev/null | compose "${smoke[@]}" --login || return 1
    answers || { echo "port $port of $address does not answer" >&2; return 1; }
    say "serving on $scheme://$address:$port"
}

use_release() {
    # use_release RELEASE: that one's files are what runs from now on.
    cp "$site/releases/$1/docker-compose.yml" "$site/docker-compose.yml"
    rm -rf "$site/monitoring"
    cp -r "$site/releases/$1/monitoring" "$site/monitoring"
    set_env AIRGAP_VERSION "$1"
}

open_in_words() {
    # Whoever reaches the port may use it, unless accounts are on: that is to be said, not to happen.
    local address
    address="$(get_env PUBLISH_ADDRESS)"
    case "${address:-127.0.0.1}" in 127.0.0.1|::1|localhost) return ;; esac
    case "$(get_env AUTH_ENABLED)$(get_env ALLOW_ANONYMOUS)" in *1*|*[Tt]rue*) return ;; esac
    die "PUBLISH_ADDRESS=$address opens the server to whoever reaches it; add --set AUTH_ENABLED=1 for accounts, or --set ALLOW_ANONYMOUS=1 where that is meant, or --set PUBLISH_ADDRESS=127.0.0.1"
}

go_back() {
    # go_back RELEASE: run that one again.
    [[ -f "$site/releases/$1/docker-compose.yml" ]] || die "release $1 is not in $site/releases"
    say "going back to $1"
    use_release "$1"
    start_and_check || die "release $1 does not start either; see: docker compose logs, in $site"
}

load_images() {
    local archive
    for archive in "$bundle"/images/*.tar; do
        say "loading ${archive##*/}"
        "$cli" load --input "$archive" || die "${archive##*/} cannot be loaded"
    done
}

copy_release() {
    # The files a release is started from, so that the bundle may be taken away.
    local home="$site/releases/$1" name
    rm -rf "$home"
    mkdir -p "$home"
    for name in docker-compose.yml env.example bundle.json install.sh verify.sh SHA256SUMS monitoring; do
        cp -r "$bundle/$name" "$home/$name"
    done
    chmod -R u+w "$home"
}

write_settings() {
    local line
    umask 077
    if [[ ! -f "$site/.env" ]]; then
        cat "$bundle/env.example" >"$site/.env"
        set_env SECRET_KEY "$(head -c 32 /dev/urandom | base64 -w 0)"
    fi
    umask 022
    mkdir -p "$site/models" "$site/tls"
    for line in ${settings[@]+"${settings[@]}"}; do
        [[ "$line" == *=* ]] || die "--set takes NAME=VALUE, not $line"
        set_env "${line%%=*}" "${line#*=}"
    done
    [[ -z "$profile" ]] || set_env COMPOSE_PROFILES "$profile"
    if [[ ! -f "$bundle/images/cpu.tar" ]]; then set_env GATEWAY_IMAGE gpu; fi
}

erase() {
    local file reference down=(down --remove-orphans)
    if ((with_data)); then down+=(--volumes); fi
    compose "${down[@]}" || die "what runs cannot be stopped"
    for file in "$site"/releases/*/bundle.json; do
        while IFS= read -r reference; do
            "$cli" image rm "$reference" >/dev/null 2>&1 </dev/null || say "$reference is still used, and stays"
        done < <(sed -n 's/^ *"reference": "\(.*\)"$/\1/p' "$file")
    done
    rm -rf "$site/releases" "$site/monitoring" "$site/docker-compose.yml"
    if ((with_data)); then rm -f "$site/.env" "$site/.env.before"; fi
    rmdir --ignore-fail-on-non-empty "$site/models" "$site/tls" "$site" 2>/dev/null || true
    if ((with_data)); then say "erased, with all data"; else say "erased; the data volumes and .env stay"; fi
}

find_engine
running="$(get_env AIRGAP_VERSION || true)"
[[ -f "$site/releases/$running/docker-compose.yml" ]] || running=""

if [[ "$action" == erase ]]; then
    [[ -n "$running" ]] || die "nothing is installed in $site"
    erase
    exit 0
fi

if [[ "$action" == rollback ]]; then
    before="$(cat "$site/releases/previous" 2>/dev/null || true)"
    [[ -n "$before" ]] || die "$site knows no release before $running"
    go_back "$before"
    printf '%s\n' "$running" >"$site/releases/previous"
    exit 0
fi

say "verifying $bundle"
bash "$bundle/verify.sh" ${verify[@]+"${verify[@]}"} "$bundle" || die "the bundle is not what it should be; nothing was changed"
release="$(sed -n 's/^  "version": "\([A-Za-z0-9.+-]*\)",$/\1/p' "$bundle/bundle.json")"
[[ -n "$release" ]] || die "bundle.json names no version"
load_images
copy_release "$release"
if [[ -f "$site/.env" ]]; then cp -p "$site/.env" "$site/.env.before"; fi
write_settings
if ! (open_in_words); then
    if [[ -f "$site/.env.before" ]]; then mv "$site/.env.before" "$site/.env"; else rm -f "$site/.env"; fi
    die "nothing was started"
fi
use_release "$release"

if ! start_and_check; then
    compose logs --tail 50 >&2 || true
    [[ -n "$running" && "$running" != "$release" ]] || die "release $release does not start"
    mv "$site/.env.before" "$site/.env"
    go_back "$running"
    die "release $release did not start; $running runs again"
fi
if [[ -n "$running" && "$running" != "$release" ]]; then printf '%s\n' "$running" >"$site/releases/previous"; fi
rm -f "$site/.env.before"
say "release $release is installed in $site"
