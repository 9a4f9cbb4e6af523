"""The README's Docker section, pasted as it is where only the source and what the build needs is there."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy import bundle
from tests.conftest import ROOT, free_port
from tests.image.daemon import docker, environment, run
from tests.image.sites import work_tree

SECTION = (ROOT / "README.md").read_text().partition("## With Docker\n")[2].partition("\n## ")[0]
PLAIN, COMPOSE = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[:2]
PAGE, BUILD, *RUN = PLAIN.splitlines(keepends=True)
PORT = 8063
FILES = ("docker-compose.yml", "deploy/env.example")


@pytest.fixture(scope="module")
def elsewhere(engine: None) -> dict[str, str]:
    """What stands in the place of the README's names where this machine has them already. Else nothing."""
    named = docker("ps", "-aq", "--filter", "name=airgap-ocr") + docker(
        "volume", "ls", "-q", "--filter", "name=airgap-ocr-data"
    )
    with socket.socket() as probe:
        answered = probe.connect_ex(("127.0.0.1", PORT)) == 0
    if not named and not answered:
        return {}
    return {
        str(PORT): str(free_port()),
        "airgap-ocr-data": "airgap-readme-data",
        "PROJECT_NAME=airgap-ocr": "PROJECT_NAME=airgap-readme",
        "--name airgap-ocr ": "--name airgap-readme ",
        "rm -f airgap-ocr\n": "rm -f airgap-readme\n",
    }


@pytest.fixture(scope="module")
def source(cpu_image, egress_counter, elsewhere, tmp_path_factory) -> Iterator[Path]:
    """The source as git has it, after the two lines of the README that build."""
    home = tmp_path_factory.mktemp("readme")
    bundle.export_source(ROOT, work_tree(), home / "source.tar")
    with tarfile.open(home / "source.tar") as archive:
        archive.extractall(home, filter="tar")
    folder = home / "airgap-ocr"
    shutil.copytree(ROOT / "build" / "wheelhouse-cpu", folder / "build" / "wheelhouse-cpu")
    for name in FILES:
        (folder / name).write_text(replaced((folder / name).read_text(), elsewhere))
    paste(PAGE + BUILD, folder, elsewhere)
    yield folder
    run("docker", "image", "rm", "airgap-ocr:latest-cpu", check=False)


@pytest.fixture
def checkout(source: Path, elsewhere: dict[str, str]) -> Iterator[Path]:
    """The built source; what a test starts there is gone after it."""
    yield source
    if (source / ".env").exists():
        run("docker", "compose", "down", "--volumes", cwd=source)
        (source / ".env").unlink()
    run("docker", "rm", "-f", replaced("--name airgap-ocr ", elsewhere).split()[1], check=False)
    run("docker", "volume", "rm", replaced("airgap-ocr-data", elsewhere), check=False)


def replaced(text: str, names: dict[str, str]) -> str:
    for name, own in names.items():
        text = text.replace(name, own)
    return text


def paste(commands: str, folder: Path, names: dict[str, str]) -> str:
    """What the commands print. `python3` is the one that runs these tests: the build wants its pip."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = ("bash", "-euo", "pipefail", "-c", replaced(commands, names))
    return run(*shell, cwd=folder, env=environment() | {"PATH": path}).stdout


def test_from_the_source_to_a_page_read_under_an_account_are_fewer_than_ten_commands():
    commands = re.sub(r"\\\n", "", PAGE + BUILD + COMPOSE).splitlines()
    assert len([line for line in commands if line and not line.startswith("#")]) < 10


def test_compose_ends_with_a_page_read_under_an_account(checkout, elsewhere):
    assert '"text"' in paste(COMPOSE, checkout, elsewhere)
    url = f"http://127.0.0.1:{elsewhere.get(str(PORT), PORT)}/ocr/image/simple"
    with (checkout / "samples" / "table.png").open("rb") as file:
        answer = httpx.post(url, files={"file": file}, trust_env=False)
    assert answer.status_code == 401


def test_docker_run_ends_with_a_page_read(checkout, elsewhere):
    assert '"text"' in paste("".join(RUN), checkout, elsewhere)


def test_make_image_and_compose_up_alone_are_a_server(checkout, elsewhere):
    assert "`make image` and `docker compose up`" in SECTION
    [curl] = [line for line in RUN if line.startswith("curl")]
    # The page is built: `-o web` lets make take it as it is.
    commands = f"make -o web image\ndocker compose up -d\n{curl}"
    assert '"text"' in paste(commands, checkout, elsewhere)
