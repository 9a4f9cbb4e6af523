#!/usr/bin/env bash
# Fill a wheelhouse with exactly the wheels that an image's lock names. Needs a package index and pip 23 or later.
#
#   deploy/wheelhouse.sh cpu|gpu [FOLDER]        default: build/wheelhouse-TARGET
#
# Every file is checked against its hash; a source distribution is never taken. Running it again
# fetches only what is missing and removes what the lock no longer names.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
target="${1:?usage: deploy/wheelhouse.sh cpu|gpu [FOLDER]}"
folder="${2:-$root/build/wheelhouse-$target}"
locks=("$root/deploy/lock/requirements-$target.lock" "$root/deploy/lock/requirements-pip.lock")
python="${PYTHON:-python3}"

[[ -f "${locks[0]}" ]] || { echo "no such target: $target" >&2; exit 2; }
case "$(head -n 1 "${locks[0]}")" in
    *"Python 3.11"*) version=3.11 ;;
    *"Python 3.12"*) version=3.12 ;;
    *) echo "${locks[0]}: names no Python version this script knows" >&2; exit 2 ;;
esac
abi="cp${version/./}"

platforms=()
for minor in $(seq 40 -1 5); do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
for name in manylinux2014 manylinux2010 manylinux1 linux; do platforms+=(--platform "${name}_x86_64"); done

mkdir -p "$folder"
wanted="$(sed -n 's/^# \(.*\.whl\)$/\1/p' "${locks[@]}" | sort)"
for path in "$folder"/*; do
    if [[ -e "$path" ]] && ! grep -qxF "$(basename "$path")" <<<"$wanted"; then rm -f "$path"; fi
done
for lock in "${locks[@]}"; do
    "$python" -m pip download --quiet --disable-pip-version-check --dest "$folder" --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version "$version" --abi "$abi" --abi abi3 --abi none \
        "${platforms[@]}" --requirement "$lock"
done

got="$(find "$folder" -maxdepth 1 -name '*.whl' -printf '%f\n' | sort)"
if [[ "$got" != "$wanted" ]]; then
    echo "$folder holds other wheels than the lock names:" >&2
    diff <(echo "$wanted") <(echo "$got") >&2 || true
    exit 1
fi
echo "$folder: $(wc -l <<<"$got") wheels, $(du -sm "$folder" | cut -f1) MiB"
