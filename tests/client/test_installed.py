"""The client by itself: what it may import, what it installs, and the command from the folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Only the standard library, ours, and what the client installs can be found.
BLOCKED = """
import json, sys
allowed = set(json.loads(sys.argv.pop(1))) | set(sys.stdlib_module_names) | {"airgap"}
class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Wall())
from airgap.client.app import app
app(prog_name="ocr")
"""
MODULE_NAMES = {
    "markdown-it-py": "markdown_it",
    "typing-extensions": "typing_extensions",
    "typing-inspection": "typing_inspection",
    "annotated-doc": "annotated_doc",
}


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")  # type: ignore[index]


def installed_with(names: list[str]) -> set[str]:
    """The packages, and all that they ask for."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = [Requirement(line) for line in requires(name) or []]
            waiting += [r.name.lower() for r in wanted if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def client_alone(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    packages = installed_with([name_of(line) for line in PROJECT["dependencies"]])
    allowed = json.dumps([MODULE_NAMES.get(name, name.replace("-", "_")) for name in packages])
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, allowed, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def requirements(name: str) -> set[str]:
    """The lines of a requirements file, those of the files it names included."""
    lines: set[str] = set()
    for line in (ROOT / name).read_text().splitlines():
        wanted = line.split("#")[0].strip()
        if wanted.startswith("-r "):
            lines |= requirements(str(Path(name).parent / wanted[3:]))
        elif wanted:
            lines.add(wanted)
    return lines


def extra(name: str) -> set[str]:
    found = set(PROJECT["dependencies"])
    for line in EXTRAS[name]:
        inner = re.fullmatch(r"airgap-ocr\[(\w+)\]", line)
        found |= extra(inner[1]) if inner else {line}
    return found


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("server", "requirements.txt"),
        ("pdf", "requirements.txt"),
        ("vllm", "requirements-gpu.txt"),
        ("develop", "requirements-dev.txt"),
    ],
)
def test_an_extra_installs_what_the_requirements_say(name: str, file: str) -> None:
    assert extra(name) == requirements(file)


def test_the_extras_that_other_servers_document_are_there() -> None:
    assert {"client", "pdf", "transformers", "vllm", "develop"} <= EXTRAS.keys()
    assert extra("transformers") < extra("vllm")
    assert len(installed_with([name_of(line) for line in extra("client")])) < 20


def test_the_client_sends_with_its_own_packages_alone(server: str, picture: Path, tmp_path: Path) -> None:
    done = client_alone("send", picture, "-o", tmp_path / "out", "--ocr-service", "deepseek", OCR_URL=server)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "two_boxes" / "two_boxes.md").exists() or list(
        (tmp_path / "out").rglob("*.md")
    )


def test_services_of_another_client(server: str, picture: Path, nowhere: str) -> None:
    for service, environment in (
        ("qwen", {"QWEN_REMOTE_URL": server, "OCR_URL": nowhere}),
        ("qwen_remote", {"QWEN_REMOTE_URL": server}),
        ("qwen_local", {"OCR_URL": server}),
    ):
        done = client_alone("send", picture, "--ocr-service", service, "--stream", **environment)
        assert done.returncode == 0, done.stderr


def test_reading_here_without_the_servers_packages_names_the_remedy(picture: Path) -> None:
    done = client_alone("read", picture)
    assert done.returncode == 2
    assert "'.[server]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_in_the_folder(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / ".venv" / "bin").mkdir(parents=True)
    script = here / "ocr"
    script.write_bytes((ROOT / "ocr").read_bytes())
    script.chmod(0o755)
    (here / "airgap").symlink_to(ROOT / "airgap")
    without = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert (without.returncode, "make serve" in without.stderr) == (2, True)
    (here / ".venv" / "bin" / "python").symlink_to(sys.executable)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = subprocess.run(
        [script, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "watch" in found.stdout
