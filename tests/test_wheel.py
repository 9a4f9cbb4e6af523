"""The wheel: what it holds, and that a server installed from it shows the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.architecture import ROOT
from tests.conftest import free_port, wait_until_ready

USERS_OWN = {path.stem for path in ROOT.glob("*.py")} - {"test_ocr"} | {"process"}
PAGE = "<!doctype html><title>the page</title>"
NOT_RUN = {".md"}


def project(folder: Path, *, page: bool) -> Path:
    """The files that a wheel is made of, in a folder of their own."""
    leave = shutil.ignore_patterns("__pycache__", "page")
    for name in ("airgap", "process", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    for path in (*ROOT.glob("*.py"), ROOT / "pyproject.toml", ROOT / "LICENSE", ROOT / "NOTICE"):
        shutil.copy(path, folder)
    if page:
        assets = folder / "web" / "dist" / "assets"
        assets.mkdir(parents=True)
        (assets.parent / "index.html").write_text(PAGE)
        (assets / "page-1a2b.js").write_text("export {};")
    return folder


def made(folder: Path) -> tuple[Path, str]:
    """The wheel, and what was said while it was made. Nothing is fetched."""
    out = folder / "wheel"
    command = [sys.executable, "-m", "pip", "wheel", ".", "-v", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", str(out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = out.glob("*.whl")
    return wheel, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(project(tmp_path_factory.mktemp("project"), page=True))[0]


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_one_importable_name_beside_the_users_own(wheel: Path) -> None:
    tops = {name.split("/")[0].removesuffix(".py") for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == USERS_OWN | {"airgap"}


def test_every_file_of_the_packages_is_in_it(wheel: Path) -> None:
    held = names(wheel)
    for package in ("airgap", "process"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in NOT_RUN:
                name = str(path.relative_to(ROOT))
                assert name in held or name.startswith("airgap/http/page/"), name


@pytest.mark.slow
def test_a_server_installed_from_it_shows_the_page(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(site), str(wheel)], check=True, cwd=tmp_path
    )
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(site), "BACKEND": "fake", "PORT": str(port)}
    log = tmp_path / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "serve_ocr"],
            cwd=tmp_path,
            env=environment | {"DATA_DIR": str(tmp_path / "data")},
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, server, log)
        assert httpx.get(f"{url}/ui/", trust_env=False).text == PAGE
        assert httpx.get(f"{url}/ui/assets/page-1a2b.js", trust_env=False).text == "export {};"
    finally:
        server.terminate()
        server.wait(30)
    helped = subprocess.run(
        [site / "bin" / "ocr", "--help"], env=environment, capture_output=True, check=False
    )
    assert helped.returncode == 0, helped.stderr


@pytest.mark.slow
def test_without_a_page_it_is_said_while_the_wheel_is_made(tmp_path: Path) -> None:
    wheel, said = made(project(tmp_path, page=False))
    assert "web/dist holds no page" in said
    assert not any(name.startswith("airgap/http/page/") for name in names(wheel))
