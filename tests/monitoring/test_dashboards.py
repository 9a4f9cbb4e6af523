"""Dashboards and alerts name metrics that exist, and Prometheus takes its files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "monitoring" / "prometheus"
DASHBOARDS = sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))
VLLM_METRICS = ROOT / "tests" / "data" / "metrics" / "vllm_0.32.0.txt"

KEYWORDS = {"and", "or", "unless", "on", "by", "without", "ignoring", "group_left", "group_right", "bool"}
BY_PROMETHEUS_ITSELF = {"up"}


def exposed(lines: list[tuple[str, str]]) -> set[str]:
    """The names of the series that metrics of these names and types consist of."""
    names = set()
    for name, kind in lines:
        if kind in ("histogram", "summary"):
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        else:
            names.add(name)
    return names


@pytest.fixture(scope="module")
def metrics(server: str) -> set[str]:
    """Every name on the server's own page, and those that vLLM adds where it runs."""
    page = httpx.get(f"{server}/metrics", trust_env=False).text
    own = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    vllm = [tuple(line.split()) for line in VLLM_METRICS.read_text().splitlines()]
    return exposed([*own, *((name, kind) for name, kind in vllm)]) | BY_PROMETHEUS_ITSELF


def named_in(expression: str) -> set[str]:
    """The metrics in a PromQL expression."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    bare = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^()]*\)", " ", bare)
    found = re.finditer(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(\s*\()?", bare)
    return {match[1] for match in found if not match[2]} - KEYWORDS


def panels(path: Path) -> Iterator[dict[str, Any]]:
    yield from json.loads(path.read_text())["panels"]


def test_expressions_are_taken_apart_rightly() -> None:
    text = 'histogram_quantile(0.95, sum by (le) (rate(a_bucket{b="c, d"}[5m]))) > 2 and on (e) vllm:f == 0'
    assert named_in(text) == {"a_bucket", "vllm:f"}


def test_there_are_four_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["api", "jobs", "ocr", "vllm"]
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == 4


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_names_metrics_that_exist(path: Path, metrics: set[str]) -> None:
    for panel in panels(path):
        for target in panel["targets"]:
            names = named_in(target["expr"])
            assert names, panel["title"]
            assert names <= metrics, (panel["title"], names - metrics)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_can_be_drawn(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    sources = yaml.safe_load(
        (ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    uids = {source["uid"] for source in sources["datasources"]}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["datasource"]["uid"] in uids
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                summed = re.findall(r"by \(([^()]*)\)", target["expr"])
                kept = {name.strip() for names in summed for name in names.split(",")}
                assert not summed or label in kept, (panel["title"], label)


def test_every_alert_names_metrics_that_exist_and_says_what_to_do(metrics: set[str]) -> None:
    rules = [
        rule
        for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert named_in(rule["expr"]) <= metrics, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        for setting in re.findall(r"\b[A-Z]+_[A-Z_]+\b", rule["annotations"]["action"]):
            assert setting.lower() in Settings.model_fields, setting


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(command: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run([promtool, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
