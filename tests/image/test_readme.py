"""The README's Docker section, pasted by somebody who has only the source and what the build needs."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import bundle
from tests.conftest import ROOT, free_port
from tests.image.daemon import run
from tests.image.sites import work_tree

SECTION = (ROOT / "README.md").read_text().partition("## With Docker\n")[2].partition("\n## ")[0]
PLAIN, COMPOSE = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[:2]


@pytest.fixture(scope="module")
def checkout(cpu_image, egress_counter, tmp_path_factory) -> Iterator[Path]:
    """The source as git has it, with the built page and the wheels, which the first line makes."""
    home = tmp_path_factory.mktemp("readme")
    bundle.export_source(ROOT, work_tree(), home / "source.tar")
    with tarfile.open(home / "source.tar") as archive:
        archive.extractall(home, filter="tar")
    folder = home / "airgap-ocr"
    shutil.copytree(ROOT / "web" / "dist", folder / "web" / "dist")
    shutil.copytree(ROOT / "build" / "wheelhouse-cpu", folder / "build" / "wheelhouse-cpu")
    with (folder / "deploy" / "env.example").open("a") as settings:
        settings.write("DATA_VOLUME=airgap-readme-data\n")
    yield folder
    run("docker", "compose", "-p", "airgap-readme", "down", "--volumes", cwd=folder, check=False)
    run("docker", "rm", "-f", "airgap-readme", check=False)
    run("docker", "volume", "rm", "airgap-readme-data", check=False)
    run("docker", "image", "rm", "airgap-ocr:latest-cpu", check=False)


def pasted(commands: str, folder: Path, port: int) -> str:
    """What the commands print. Names, port and volume are those of this test."""
    settings = folder / "deploy" / "env.example"
    text = settings.read_text().replace("PROJECT_NAME=airgap-ocr", "PROJECT_NAME=airgap-readme")
    settings.write_text(re.sub(r"PUBLISH_PORT=\d+", f"PUBLISH_PORT={port}", text))
    commands = re.sub(r"^\(cd web .*\n", "", commands)
    for name, own in {
        "8063": str(port),
        "airgap-ocr-data": "airgap-readme-data",
        "--name airgap-ocr ": "--name airgap-readme ",
        "rm -f airgap-ocr\n": "rm -f airgap-readme\n",
    }.items():
        commands = commands.replace(name, own)
    # The page is built: `-o web` lets make take it as it is.
    commands = commands.replace("make image\n", f"make -o web image PYTHON={sys.executable}\n")
    return run("bash", "-euo", "pipefail", "-c", commands, cwd=folder).stdout


def test_they_are_fewer_than_ten():
    assert len(re.sub(r"\\\n", "", COMPOSE).splitlines()) + 2 < 10


def test_docker_run_ends_with_a_page_read(checkout):
    assert '"text"' in pasted(PLAIN, checkout, free_port())


def test_make_image_and_compose_up_alone_are_a_server(checkout):
    assert "`make image` and `docker compose up`" in SECTION
    port = free_port()
    commands = (
        f"make image\ndocker compose up -d\n{next(line for line in PLAIN.splitlines() if 'curl' in line)}\n"
    )
    assert '"text"' in pasted(commands, checkout, port)
    run("docker", "compose", "-p", "airgap-readme", "down", "--volumes", cwd=checkout)
    (checkout / ".env").unlink()


def test_compose_ends_with_a_page_read_under_an_account(checkout):
    assert '"text"' in pasted(COMPOSE, checkout, free_port())
