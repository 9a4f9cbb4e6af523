"""Documentation that is made from code is the code's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import config

ROOT = Path(__file__).resolve().parent.parent


def test_configuration_is_up_to_date() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert written == config.to_markdown(), "run `make docs`"


def test_every_setting_has_a_meaning() -> None:
    assert all(field.description for field in config.Settings.model_fields.values())


def test_the_readme_names_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"@(samples/[\w.]+)", text) + re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / name).exists(), name


def test_the_readmes_tree_has_every_room_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    tree = text[text.index("serve_ocr.py        the") :].split("```")[0]
    drawn = set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
    assert drawn == {path.parent.name for path in (ROOT / "airgap").glob("*/__init__.py")}
    folders = set(re.findall(r"(?:^|; )(\w+)/ ", tree, re.MULTILINE))
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tops = {line.split("/")[0] for line in kept.splitlines() if "/" in line}
    assert folders == {top for top in tops if not top.startswith(".")} - {"docs"} or not tops


def test_the_readme_has_a_line_for_every_module_at_the_top() -> None:
    text = (ROOT / "README.md").read_text()
    for path in ROOT.glob("*.py"):
        assert path.name in text or path.name == "version.py", path.name
