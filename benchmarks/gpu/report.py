"""Lines of results, and the table that is made of them.

Standard library alone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

STARTED = time.monotonic()
COLUMNS = {
    "mode": "mode",
    "variant": "variant",
    "concurrency": "pages at once",
    "pages_per_s": "pages/s",
    "tokens_per_s": "tokens/s",
    "steady_tokens_per_s": "in the middle",
    "ttft_p50_s": "first token s",
    "page_p50_s": "page s",
    "api_cpu_cores": "API cores",
    "engine_cpu_cores": "engine cores",
    "gpu_util": "GPU %",
    "watts": "W",
}


class Results:
    """Lines of JSON in a file, each written as soon as it is known."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.jsonl"

    def add(self, what: str, **values: Any) -> None:
        line = json.dumps({"what": what, "at": round(time.monotonic() - STARTED, 1), **values})
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def report(path: Path) -> str:
    """What RESULTS.md wants: the machine, what was proved, the runs as a table."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if not lines:
        return "Nothing was measured."
    facts = [_fact(line) for line in lines if line["what"] != "run"]
    runs = [line for line in lines if line["what"] == "run"]
    head = [f"| {' | '.join(COLUMNS.values())} |", f"|{'---|' * len(COLUMNS)}"] if runs else []
    rows = [f"| {' | '.join(str(run.get(name, '')) for name in COLUMNS)} |" for run in runs]
    return "\n".join([*facts, "", *head, *rows])


def _fact(line: dict[str, Any]) -> str:
    values = ", ".join(f"{name} {value}" for name, value in line.items() if name not in ("what", "at"))
    return f"- {line['what']}: {values}"
