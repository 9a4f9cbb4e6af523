#!/usr/bin/env bash
# Check a bundle, at any time and as often as wanted. Touches no network and changes nothing.
#
# Whoever replaced files may have replaced this one: first type the two commands of docs/operations.md, step 4.
#
#   verify.sh --signers FILE | --unsigned [--model FOLDER] [BUNDLE]        default: the folder it lies in
#
# --signers FILE   the release key, received by another way than the bundle; needed, for a key that came with
#                  the bundle proves nothing about who made it
# --unsigned       check for damage alone, whoever made it
# --model FOLDER   check this model folder too, against the list in the bundle of the same name
#
# Refuses, and names the file, when one is changed, missing or not on the list. Exit code 0: all is well.
set -euo pipefail
export LC_ALL=C

bundle="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)" signers="" unsigned=0 models=()
while (($#)); do
    case "$1" in
        --signers) signers="$(realpath "${2:?--signers needs a file}")"; shift ;;
        --unsigned) unsigned=1 ;;
        --model) models+=("$(realpath "${2:?--model needs a folder}")"); shift ;;
        -*) echo "unknown option: $1" >&2; exit 2 ;;
        *) bundle="$(cd "$1" && pwd)" ;;
    esac
    shift
done
cd "$bundle"
failed=0

refuse() {
    printf 'REFUSED: %s\n' "$*" >&2
    failed=1
}

check_list() {
    # check_list FILE: every file the list names has the content it had; names those that do not.
    local line report
    report="$(sha256sum --check --quiet --strict "$1" 2>&1)" && return
    while IFS= read -r line; do
        [[ -z "$line" ]] || refuse "${line}"
    done <<<"$report"
}

check_names() {
    # Nothing may lie in the bundle that the list does not name, and nothing that is no plain file.
    local name
    while IFS= read -r name; do
        refuse "$name: not on the list"
    done < <(comm -13 <(cut -c 67- SHA256SUMS | sort) \
        <(find . -type f ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig -printf '%P\n' | sort))
    while IFS= read -r name; do
        refuse "$name: neither a file nor a folder"
    done < <(find . ! -type f ! -type d -printf '%P\n')
}

check_signature() {
    if [[ -z "$signers" ]]; then
        if ((!unsigned)); then
            refuse "who made it: name the release key with --signers FILE (--unsigned checks for damage alone)"
        fi
        return
    fi
    [[ -f SHA256SUMS.sig ]] || { refuse "SHA256SUMS.sig: missing"; return; }
    # base64 has several spellings of some last bytes; only the one that ssh-keygen writes is taken.
    if ! cmp -s SHA256SUMS.sig <(
        echo '-----BEGIN SSH SIGNATURE-----'
        grep -v '^-----' SHA256SUMS.sig | base64 -d 2>/dev/null | base64 -w 70
        echo '-----END SSH SIGNATURE-----'
    ); then
        refuse "SHA256SUMS.sig: damaged"
        return
    fi
    if ! ssh-keygen -Y verify -q -f "$signers" -I release -n airgap-ocr -s SHA256SUMS.sig <SHA256SUMS >/dev/null 2>&1; then
        refuse "SHA256SUMS: SHA256SUMS.sig is no signature over it by the key in $signers"
        return
    fi
    echo "signed by $(ssh-keygen -l -f <(cut -d ' ' -f 3- "$signers") | cut -d ' ' -f 2)"
}

check_model() {
    local list="$bundle/models/${1##*/}.SHA256SUMS"
    [[ -f "$list" ]] || { refuse "${1##*/}: the bundle has no list for this model"; return; }
    cmp -s "$list" "$1/SHA256SUMS" || refuse "${1##*/}/SHA256SUMS: not the one in the bundle"
    (cd "$1" || exit 1; failed=0; check_list "$list"; exit "$failed") || failed=1
}

[[ -f SHA256SUMS ]] || { echo "REFUSED: SHA256SUMS: missing" >&2; exit 1; }
check_signature
check_list SHA256SUMS
check_names
for model in ${models[@]+"${models[@]}"}; do check_model "$model"; done
if ((failed)); then exit 1; fi
echo "verified: $(wc -l <SHA256SUMS) files"
