"""`ocr eval`: folders of Markdown against folders of truth, under the names that others and we give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airgap.client.app import app
from airgap.evaluation.folder import score_folder

FACTS = [
    {"id": "a", "pdf": "in/report.pdf", "page": 1, "type": "present", "text": "first page"},
    {"id": "b", "pdf": "in/report.pdf", "page": 2, "type": "present", "text": "second page"},
    {"id": "c", "pdf": "in/report.pdf", "page": 2, "type": "math", "math": "x"},
]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    folder = tmp_path / "truth"
    folder.mkdir()
    (folder / "facts.jsonl").write_text("\n".join(json.dumps(fact) for fact in FACTS))
    page = {"page_info": {"image_path": "scan.jpg"}, "extra": {"relation": []}}
    page["layout_dets"] = [{"anno_id": 1, "category_type": "text_block", "order": 1, "text": "Some words"}]
    (folder / "pages.json").write_text(json.dumps([page]))
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {
            "in/report_pg1.md": "first page",
            "in/report_pg2_repeat1.md": "second page",
            "scan.md": "Some words",
        },
        {"report/report.md": "<!-- page 1 -->\n\nfirst page\n\n---\n\n<!-- page 2 -->\n\nsecond page"},
    ],
)
def test_markdown_is_found_under_either_name(truth: Path, tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = tmp_path / "read" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    report = score_folder(truth, tmp_path / "read")
    assert report.by_type == {"present": (2, 2)}
    assert report.unchecked == 1
    assert report.missing == ([] if "scan.md" in files else ["scan, page 1"])
    assert [page.text for page in report.pages] == [0.0 if "scan.md" in files else 1.0]


def test_the_command_prints_and_writes_the_figures(truth: Path, tmp_path: Path) -> None:
    read = tmp_path / "read"
    read.mkdir()
    (read / "scan.md").write_text("Some words")
    out = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["eval", str(truth), str(read), "--json", str(out), "--details"])
    assert result.exit_code == 0, result.output
    assert "No Markdown for in/report, page 2" in result.output
    assert "a (present) does not hold" in result.output
    figures = json.loads(out.read_text())
    assert figures["summary"]["text"] == 0.0
    assert figures["summary"]["teds"] is None
    assert [fact["holds"] for fact in figures["facts"]] == [False, False]


def test_truth_of_another_kind_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}x")
    for truth in (tmp_path / "other.json", tmp_path / "empty"):
        if not truth.exists():
            truth.mkdir()
        result = CliRunner().invoke(app, ["eval", str(truth), str(tmp_path)])
        assert result.exit_code == 2
        assert "OmniDocBench" in result.output
