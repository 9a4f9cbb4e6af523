"""What `make bench-gpu` runs is whole: its stages on the CPU build with small models, and its files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT


def bench(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=390)


def results(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("script", ["script"]),
        ("rule", ["rule"]),
        ("bench", ["started", "probe", "run", "run"]),
        ("tune", ["tune would try"]),
        ("transformers", ["weights written", "started", "run", "run"]),
    ],
)
def test_a_stage_on_the_cpu_build(stage: str, said: list[str], tmp_path: Path) -> None:
    done = bench(tmp_path, "--dry", stage)
    assert done.returncode == 0, (tmp_path / f"{stage}.log").read_text()[-4000:]
    found = results(tmp_path)
    assert [line["what"] for line in found] == said
    for line in found:
        if line["what"] == "run":
            assert line["failures"] == []
            assert line["pages"] == line["concurrency"] or line["pages"] > 1
            assert line["tokens_per_s"] > 0
        if line["what"] == "rule":
            assert line["broken"] == 0
            assert line["steps_with_a_ban"] > 0


def test_what_the_callers_python_finds_is_found_by_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/a/folder/with/vllm")
    asked = "from benchmarks.gpu.__main__ import *; print(environment(ROOT, STAGES['check'])['PYTHONPATH'])"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().split(":")[0] == str(ROOT)
    assert done.stdout.strip().split(":")[-1] == "/a/folder/with/vllm"


def test_without_a_gpu_nothing_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.returncode == 1
    assert "sees no GPU" in done.stdout
    assert "failed: check" in done.stdout
    assert len(results(tmp_path)) == 1


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    done = bench(tmp_path, "chekc")
    assert done.returncode == 2
    assert "chekc" in done.stderr


def test_vllm_finds_a_tuned_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.model_executor.layers.fused_moe.fused_moe import get_moe_configs

    from benchmarks.gpu.tune_moe import EXPERTS, WIDTH, candidates, write

    settings = next(candidates())
    write({16: {"settings": settings}}, tmp_path)
    monkeypatch.setenv("VLLM_TUNED_CONFIG_FOLDER", str(tmp_path))
    get_moe_configs.cache_clear()
    try:
        assert get_moe_configs(EXPERTS, WIDTH, None) == {16: settings}
    finally:
        get_moe_configs.cache_clear()
