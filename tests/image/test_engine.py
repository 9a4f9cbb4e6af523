"""Profile `engine`: our server in front of a `vllm serve` in a container of its own.

In the place of the GPU image: the CPU image, vLLM's CPU build from `.venv-vllm` (`make test-vllm` makes it)
mounted into it, and a tiny checkpoint. Command, plug-in and hardening are those of the compose file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.image import images
from tests.image.daemon import run
from tests.image.sites import Site
from tests.image.test_install import PAGE

PYTHON = Path(os.environ.get("VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
SITE_PACKAGES = "/opt/python/lib/python3.11/site-packages"  # not PYTHONPATH: its .pth files are read
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="`make test-vllm` makes the environment of vLLM")


@pytest.fixture(scope="module")
def engine_site(cpu_image, egress_counter, tmp_path_factory) -> Iterator[Site]:
    home = run(PYTHON, "-c", "import sys; print(sys.base_prefix)").stdout.strip()
    packages = run(
        PYTHON, "-c", "import vllm, pathlib; print(pathlib.Path(vllm.__file__).parents[1])"
    ).stdout.strip()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["vllm"]
    # `vllm serve MODEL` is `api_server --model MODEL`; the CPU build has no command of that name.
    [_, _, model, *options] = compose["command"]
    place = Site(tmp_path_factory.mktemp("engine") / "site", "airgap-engine")
    place.make(
        "engine",
        cpu_image,
        vllm={
            "image": images.build_foreign("vllm"),
            "command": [
                *("/opt/python/bin/python3.11", "-m", "vllm.entrypoints.openai.api_server", "--model"),
                *(model.replace("${MODEL_NAME:-DeepSeek-OCR}", "tiny"), *options),
                *("--enforce-eager", "--dtype=float32"),
            ],
            "environment": {
                "LD_LIBRARY_PATH": "/opt/python/lib",
                "VLLM_CPU_KVCACHE_SPACE": "1",
            },
            "volumes": [*compose["volumes"], f"{home}:/opt/python:ro", f"{packages}:{SITE_PACKAGES}:ro"],
            "mem_limit": "8g",
        },
    )
    run(PYTHON, "-m", "tests.tiny_checkpoint", place.folder / "models" / "tiny", cwd=ROOT)
    for file in (place.folder / "models" / "tiny").iterdir():
        file.chmod(0o644)  # safetensors writes them for their owner alone
    with place:
        place.start(600)
        yield place


def test_a_page_is_read_by_vllm_in_its_own_container(engine_site):
    with engine_site.client(timeout=300) as client, PAGE.open("rb") as file:
        ready = client.get("/readyz").json()
        assert "openai" in str(ready)
        answer = client.post("/ocr/image/advanced", files={"file": file}, data={"max_tokens": "32"})
        page = answer.raise_for_status().json()
    assert page["usage"]["completion_tokens"] > 0


def test_what_vllm_compiles_lies_where_code_may_be_run_and_nowhere_else(engine_site):
    inside = engine_site.inside("vllm", "sh", "-c", "cp /bin/true /data/t && /data/t && echo ran; rm /data/t")
    assert inside.stdout.strip() == "ran"
    for place in ("/x", "/app/models/x", "/opt/python/x"):
        assert engine_site.inside("vllm", "touch", place, check=False).returncode


def test_neither_has_a_way_out(engine_site, egress_counter):
    before = egress_counter.read()
    assert engine_site.reached("engine", "vllm") == []
    assert egress_counter.read() == before
