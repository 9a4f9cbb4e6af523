#!/usr/bin/env bash
# Make the environment in which other people's clients are run against this server.
#
#   tests/clients/setup_env.sh [DIRECTORY]        default: .venv-clients beside pyproject.toml
#
# Of Open WebUI only the files that load documents are wanted: they are taken out of its wheel, as they are,
# into DIRECTORY/open_webui_source. Running it again does nothing while neither this script nor the
# requirements have changed. About 2 GB on disk.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
env_dir="${1:-$root/.venv-clients}"
base_python="${PYTHON:-python3.11}"
open_webui_version=0.12.4
dify_plugin_version=0.7.4

stamp="$env_dir/.ready"
wanted="$(cat "${BASH_SOURCE[0]}" "$root/requirements-clients.txt" | sha256sum)"
if [[ -f "$stamp" && "$(cat "$stamp")" == "$wanted" ]]; then
    exit 0
fi

rm -f "$stamp"
[[ -x "$env_dir/bin/python" ]] || "$base_python" -m venv "$env_dir"
python="$env_dir/bin/python"
pip=("$python" -m pip --disable-pip-version-check --quiet)

"${pip[@]}" install -r "$root/requirements-clients.txt"
"${pip[@]}" install --no-deps "dify_plugin==$dify_plugin_version"

wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
"${pip[@]}" download --no-deps --dest "$wheels" "open-webui==$open_webui_version"
"$python" - "$wheels" "$env_dir/open_webui_source" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

(wheel,) = Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith("open_webui/retrieval/loaders/") or "/licenses/" in name:
            archive.extract(name, sys.argv[2])
PYTHON

"$python" -c 'import docling.service_client, dify_plugin, litellm, mistralai; print("the clients are ready")'
printf '%s' "$wanted" >"$stamp"
