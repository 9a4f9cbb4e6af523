"""The libraries below the engine are told to stay offline before they are imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airgap.engines.offline_environment import TUNED, set_offline_environment
from airgap.engines.vllm.plugin import SEARCH_PATH

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept, path = dict(os.environ), list(sys.path)
    for name in (
        "HF_HOME",
        "VLLM_CACHE_ROOT",
        "VLLM_HOST_IP",
        "VLLM_PLUGINS",
        "PYTHONPATH",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", path)
    yield
    os.environ.clear()
    os.environ.update(kept)


def test_network_is_off_whatever_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    set_offline_environment(tmp_path)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"):
        assert os.environ[name] == "1"
    assert os.environ["VLLM_HOST_IP"] == "127.0.0.1"


def test_caches_are_folders_inside_the_given_one_or_the_sites_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "/somewhere/else")
    set_offline_environment(tmp_path / "cache")
    for name in ("HF_HOME", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR"):
        folder = Path(os.environ[name])
        assert folder.is_dir()
        assert folder.is_relative_to(tmp_path)
    assert os.environ["TRITON_CACHE_DIR"] == "/somewhere/else"


def test_no_sampler_that_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_USE_FLASHINFER_SAMPLER", "1")
    set_offline_environment(tmp_path)
    assert os.environ["VLLM_USE_FLASHINFER_SAMPLER"] == "0"


def test_kernels_that_read_plain_numbers_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_ALLOW_NON_CONSTEXPR_GLOBALS", "0")
    set_offline_environment(tmp_path)
    assert os.environ["TRITON_ALLOW_NON_CONSTEXPR_GLOBALS"] == "1"


LEAVES_A_SOCKET = """
import os, signal, socket, sys
from pathlib import Path
from airgap.engines.offline_environment import set_offline_environment
set_offline_environment(Path(sys.argv[1]), plugins=["airgap_ocr"])
folder = os.environ["VLLM_RPC_BASE_PATH"]
set_offline_environment(Path(sys.argv[1]), plugins=["airgap_ocr"])
assert os.environ["VLLM_RPC_BASE_PATH"] == folder
socket.socket(socket.AF_UNIX).bind(folder + "/01234567-89ab-cdef-0123-456789abcdef")
print(folder, flush=True)
if sys.argv[2:]:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def short() -> Iterator[str]:
    """A folder with a short path, to which everybody may write, as to /tmp."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield folder


@pytest.mark.parametrize("given", ["", "short", "/deep" * 10])
def test_vllms_sockets_have_short_paths_and_go_with_their_server(
    given: str, short: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_RPC_BASE_PATH"}
    environment["TMPDIR"] = given = short if given == "short" else given
    command = [sys.executable, "-W", "ignore", "-c", LEAVES_A_SOCKET, str(tmp_path)]

    def ran(*more: str) -> Path:
        child = subprocess.run([*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert child.returncode == (-9 if more else 0), child.stderr
        return Path(child.stdout.strip())

    killed = ran("killed")
    assert str(killed.parent) == (short if given == short else "/tmp")
    assert (killed.stat().st_mode & 0o777, len(list(killed.iterdir()))) == (0o700, 2)
    assert not ran().exists()
    assert not killed.exists()


def test_the_sites_own_place_for_vllms_sockets_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_RPC_BASE_PATH", "/run/vllm")
    set_offline_environment(tmp_path, plugins=["airgap_ocr"])
    assert os.environ["VLLM_RPC_BASE_PATH"] == "/run/vllm"


def test_settings_tuned_for_a_gpu_are_the_packaged_or_the_sites_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_TUNED_CONFIG_FOLDER", raising=False)
    set_offline_environment(tmp_path)
    assert os.environ["VLLM_TUNED_CONFIG_FOLDER"] == str(TUNED)
    assert TUNED.is_dir()
    monkeypatch.setenv("VLLM_TUNED_CONFIG_FOLDER", "/site/moe")
    set_offline_environment(tmp_path)
    assert os.environ["VLLM_TUNED_CONFIG_FOLDER"] == "/site/moe"


def test_several_hosts_find_their_own_address(tmp_path: Path) -> None:
    set_offline_environment(tmp_path, one_host=False)
    assert "VLLM_HOST_IP" not in os.environ


def test_child_processes_find_the_plugin(tmp_path: Path) -> None:
    """As vLLM's engine process does, with nothing installed and from another folder."""
    set_offline_environment(tmp_path, search_path=SEARCH_PATH, plugins=["airgap_ocr"])
    set_offline_environment(tmp_path, search_path=SEARCH_PATH, plugins=["airgap_ocr"])
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(folder) for folder in SEARCH_PATH]
    assert os.environ["VLLM_PLUGINS"] == "airgap_ocr"
    code = (
        "from importlib.metadata import entry_points;"
        "print(*[e.load().__module__ for e in entry_points(group='vllm.general_plugins', name='airgap_ocr')])"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == "airgap.engines.vllm.plugin"


def test_an_engine_that_starts_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> None:
        set_offline_environment(tmp_path, search_path=SEARCH_PATH, plugins=["one", "two"])

    start()
    written: list[str] = []
    with monkeypatch.context() as watched:
        watched.setattr(type(os.environ), "__setitem__", lambda _, name, __: written.append(name))
        start()
    assert written == []


def test_loads_nothing() -> None:
    code = (
        "import sys; sys.path.insert(0, '.');"
        "import airgap.engines.vllm.engine, airgap.engines.vllm.plugin, airgap.engines.offline_environment;"
        "print(*[name for name in ('torch', 'vllm', 'transformers') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert child.stdout.strip() == ""
