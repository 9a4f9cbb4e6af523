"""Prove the vLLM engine on a GPU, then measure it; no network, no model.

    python -m benchmarks.gpu [STAGE…] [--out build/bench-gpu]      or: make bench-gpu [STAGES="check bench"]

Runs in the Python that has vLLM, from the project's root. Without stages, all of them (about 15 minutes):

    check         vLLM's kernels against references; SAM's kernel with and without its mend
    script        a small model that must say a given text, in three modes
    rule          every token of a small model against the no-repeat rule
    bench         the product's engine at the published size with random weights: pages and tokens a second
    tune          the best Triton settings of the experts, into OUT/moe; then `tuned`: the bench with them
    fp8cache      the bench with KV_CACHE_DTYPE=fp8
    fp8weights    the bench with QUANTIZATION=fp8
    wide          256 pages at once
    transformers  the engine without vLLM

Each stage is a process with a limit in seconds and a log in OUT, and fails alone; but after a failed `check`
nothing else is run. Results are lines of JSON in OUT/results.jsonl; the table of them is OUT/report.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gpu.report import report

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "airgap" / "engines" / "vllm" / "plugin"
SEARCH_PATH = (str(ROOT), str(PLUGIN), os.environ.get("PYTHONPATH", ""))
FEW_RUNS = ("--no-probe", "--runs", "gundam:128,gundam:128:confidence")


@dataclass(frozen=True)
class Stage:
    module: str
    arguments: tuple[str, ...] = ()
    seconds: int = 240
    tuned: bool = False
    dry: tuple[str, ...] = field(default=("--dry",))


STAGES: dict[str, Stage] = {
    "check": Stage("check", seconds=180, dry=()),
    "script": Stage("vllm_bench", ("script", "--compile", "eager", "--memory", "0.3")),
    "rule": Stage("vllm_bench", ("rule", "--size", "tiny", "--compile", "eager", "--memory", "0.3")),
    "bench": Stage("vllm_bench", ("bench",), 480),
    "tune": Stage("tune_moe", seconds=180),
    "tuned": Stage("vllm_bench", ("bench", *FEW_RUNS), tuned=True),
    "fp8cache": Stage("vllm_bench", ("bench", *FEW_RUNS, "--kv-cache-dtype", "fp8")),
    "fp8weights": Stage("vllm_bench", ("bench", *FEW_RUNS, "--quantization", "fp8")),
    "wide": Stage(
        "vllm_bench",
        ("bench", "--no-probe", "--max-concurrency", "256", "--memory", "0.9", "--runs", "gundam:256"),
    ),
    "transformers": Stage("transformers_bench"),
}


def environment(out: Path, stage: Stage) -> dict[str, str]:
    """Nothing is asked of a network, and what is compiled stays in OUT."""
    cache = out / "cache"
    changes = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ALLOW_INSECURE_SERIALIZATION": "1",  # for what is timed inside the engine's process
        "PYTHONPATH": os.pathsep.join(filter(None, SEARCH_PATH)),
        "PYTHONUNBUFFERED": "1",
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
    }
    if stage.tuned:
        changes["VLLM_TUNED_CONFIG_FOLDER"] = str(out / "moe")
    return os.environ | changes


def run(name: str, out: Path, dry: bool) -> bool:
    """Whether the stage ended well."""
    stage = STAGES[name]
    command = [sys.executable, "-m", f"benchmarks.gpu.{stage.module}", *stage.arguments, "--out", str(out)]
    command += stage.dry if dry else ()
    seconds = 2 * stage.seconds if dry else stage.seconds
    began = time.monotonic()
    print(f"== {name}: {' '.join(command[1:])}", flush=True)
    with (out / f"{name}.log").open("w") as log:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(out, stage), stdout=log, stderr=log, timeout=seconds
            )
            ended = f"ended with {done.returncode}" if done.returncode else "done"
        except subprocess.TimeoutExpired:
            ended = f"stopped after {seconds} s"
    print(f"   {ended}, {time.monotonic() - began:.0f} s; {out / f'{name}.log'}", flush=True)
    return ended == "done"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-gpu")
    parser.add_argument("--dry", action="store_true", help="small models on a CPU: are the scripts whole?")
    options = parser.parse_args()
    unknown = sorted(set(options.stages) - set(STAGES))
    if unknown:
        parser.error(f"no stage {unknown[0]}; there are: {', '.join(STAGES)}")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.jsonl").unlink(missing_ok=True)
    failed = []
    for name in options.stages or STAGES:
        if not run(name, out, options.dry):
            failed.append(name)
            if name == "check":
                break
    text = report(out / "results.jsonl")
    (out / "report.md").write_text(text)
    print(text, f"failed: {', '.join(failed)}" if failed else "", sep="\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
