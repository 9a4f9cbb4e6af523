"""The Dockerfiles and what is locked for them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.conftest import ROOT

DOCKERFILES = {"cpu": "Dockerfile.cpu", "gpu": "Dockerfile"}
LOCKS = ROOT / "deploy" / "lock"
ENTRY = re.compile(
    r"# (?P<wheel>\S+\.whl)\n(?P<name>\S+)==(?P<version>\S+) --hash=sha256:(?P<hash>[0-9a-f]{64})\n"
)


def entries(name: str) -> list[re.Match[str]]:
    text = (LOCKS / f"requirements-{name}.lock").read_text()
    header, _, body = text.partition("\n")
    found = list(ENTRY.finditer(body))
    assert "".join(match[0] for match in found) == body, "a line that is no entry"
    assert f" {len(found)} wheel" in header
    return found


@pytest.mark.parametrize("name", ["cpu", "gpu", "pip"])
def test_a_lock_names_one_fitting_wheel_and_one_hash_for_each_package(name):
    found = entries(name)
    names = [match["name"] for match in found]
    assert names == sorted(set(names))
    for match in found:
        wheel_name, version, _, tags = parse_wheel_filename(match["wheel"])
        assert wheel_name == canonicalize_name(match["name"])
        assert str(version) == match["version"]
        assert any(tag.platform == "any" or tag.platform.endswith("x86_64") for tag in tags)


@pytest.mark.parametrize("name", ["cpu", "gpu", "pip"])
def test_a_lock_names_no_index(name):
    text = (LOCKS / f"requirements-{name}.lock").read_text()
    assert "://" not in text
    assert "index" not in text.replace("index-", "")


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_lock_holds_the_versions_of_the_requirements(name):
    locked = {match["name"]: match["version"] for match in entries(name)}
    wanted = dict(
        re.findall(
            r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([^\s;]+)", (ROOT / "requirements.txt").read_text(), re.M
        )
    )
    if name == "gpu":
        text = (ROOT / "requirements-gpu.txt").read_text()
        wanted |= dict(re.findall(r"^([A-Za-z0-9_-]+)==(\S+)", text, re.M))
    stale = {k: v for k, v in wanted.items() if locked.get(canonicalize_name(k)) != v}
    assert not stale, f"run: python deploy/lock/make_lock.py {name}"


def rooms() -> set[str]:
    """The packages that the tracked program is made of."""
    tracked = subprocess.run(
        ["git", "ls-files", "*/__init__.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tops = {Path(name).parts[0] for name in tracked.stdout.split()}
    return tops - {"tests", "benchmarks", "deploy"}


@pytest.mark.parametrize("target", DOCKERFILES)
def test_an_image_gets_every_package_of_the_program_and_nothing_else(target):
    text = (ROOT / DOCKERFILES[target]).read_text()
    final = text.rpartition("\nFROM ")[2]
    copied = re.findall(r"^COPY (\w+) \1$", final, re.MULTILINE)
    assert set(copied) == rooms(), f"add or remove a COPY line in {DOCKERFILES[target]}"
    assert "COPY . " not in text


@pytest.mark.parametrize("target", DOCKERFILES)
def test_an_image_ends_unprivileged_with_a_health_check(target):
    final = (ROOT / DOCKERFILES[target]).read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE)[-1] == "10001:10001"
    assert "\nHEALTHCHECK " in final
    assert "\nWORKDIR /app\n" in final
    assert 'CMD ["python", "serve_ocr.py"]' in final
    assert "DATA_DIR=/data" in final


@pytest.mark.parametrize("target", DOCKERFILES)
def test_packages_come_from_the_wheelhouse_alone(target):
    text = (ROOT / DOCKERFILES[target]).read_text()
    assert "pip install" not in text
    assert not re.search(r"\b(ADD|curl|wget)\b", text)
    script = (ROOT / "deploy" / "install_wheels.sh").read_text()
    for option in ("--isolated", "--no-index", "--require-hashes", "--only-binary=:all:"):
        assert option in script


@pytest.mark.parametrize(
    "script", sorted(p.relative_to(ROOT) for p in (ROOT / "deploy").rglob("*.sh")), ids=str
)
def test_shell_scripts_parse(script):
    shell = "bash" if "bash" in (ROOT / script).read_text().splitlines()[0] else "sh"
    assert subprocess.run([shell, "-n", script], cwd=ROOT).returncode == 0


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_is_silent():
    scripts = [
        *(ROOT / "deploy").rglob("*.sh"),
        *(ROOT / "tests" / "image").glob("*.sh"),
        *(ROOT / "tests" / "tripwire").glob("*.sh"),
    ]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="needs hadolint")
@pytest.mark.parametrize("target", DOCKERFILES)
def test_hadolint_is_silent(target):
    done = subprocess.run([str(HADOLINT), DOCKERFILES[target]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
