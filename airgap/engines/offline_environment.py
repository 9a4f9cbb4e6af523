"""The environment in which vLLM and transformers run: no network, writable caches in one folder.

These libraries read their environment when they are imported, and vLLM's processes inherit it, so
`set_offline_environment` is called before either is imported. It must import neither.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from process.scratch import Scratch

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # transformers would otherwise look for safetensors versions of weights on the hub, in a thread
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # the engine is started, and after a crash started again, from a process that has threads
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # one of vLLM's kernels reads a plain float of its module, which Triton refuses without this;
    # `vllm.plugin.triton_mend` mends it for our classes, and this is for upstream's
    "TRITON_ALLOW_NON_CONSTEXPR_GLOBALS": "1",
    # FlashInfer compiles its sampler with nvcc when it is first used; the image has none, and the engine dies
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
}

_CACHES = {
    "HF_HOME": "huggingface",
    "VLLM_CACHE_ROOT": "vllm",
    "VLLM_CONFIG_ROOT": "vllm-config",
    "VLLM_ASSETS_CACHE": "vllm-assets",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "CUDA_CACHE_PATH": "cuda",
    "XDG_CACHE_HOME": "cache",
}

# The path of a Unix socket has at most 107 characters: vLLM takes 37 for a name, our folder in this one 21.
_LONGEST_SOCKET_FOLDER = 49

TUNED = Path(__file__).parent / "vllm" / "plugin" / "moe_settings"
"""Where settings tuned for a kind of GPU are, if there are any."""


def set_offline_environment(
    cache_dir: Path,
    *,
    search_path: Iterable[Path] = (),
    plugins: Iterable[str] = (),
    one_host: bool = True,
) -> None:
    """Set the variables, and put `search_path` on the path of this process and of its children.

    What keeps the machine offline is set whatever it was; the places of caches, and of settings tuned for
    a GPU, are left where the site has set them. `plugins` are the only vLLM plug-ins that may load. With
    `one_host` vLLM talks to its processes over loopback and does not ask the system for its address.
    """
    for name, value in _OFFLINE.items():
        _set(name, value)
    for name, folder in _CACHES.items():
        if not os.environ.get(name):
            path = cache_dir / folder
            path.mkdir(parents=True, exist_ok=True)
            os.environ[name] = str(path.resolve())
    _set("VLLM_TUNED_CONFIG_FOLDER", os.environ.get("VLLM_TUNED_CONFIG_FOLDER") or str(TUNED))
    if plugins and not os.environ.get("VLLM_RPC_BASE_PATH"):
        os.environ["VLLM_RPC_BASE_PATH"] = _socket_folder()
    if plugins:
        _set("VLLM_PLUGINS", ",".join(plugins))
    if one_host:
        os.environ.setdefault("VLLM_HOST_IP", "127.0.0.1")
    folders = [str(folder) for folder in search_path]
    inherited = os.environ.get("PYTHONPATH", "")
    found = dict.fromkeys([*folders, *filter(None, inherited.split(os.pathsep))])
    _set("PYTHONPATH", os.pathsep.join(found))
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def _set(name: str, value: str) -> None:
    """Only what is new: another library's thread may be looking, and that can end the process."""
    if os.environ.get(name) != value:
        os.environ[name] = value


def _socket_folder() -> str:
    """Where vLLM's processes meet: a folder that goes with this process, for they leave their sockets.

    The server's own folder for temporary files may lie deep.
    """
    given = os.environ.get("TMPDIR", "")
    folder = Scratch(Path(given if 0 < len(given) <= _LONGEST_SOCKET_FOLDER else "/tmp"), "airgap-vllm")
    atexit.register(folder.close)  # which keeps it, and with it the lock, as long as this process
    return str(folder.path)
