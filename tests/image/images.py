"""Images built here, from Debian's packages and the wheelhouse alone. No registry is asked for anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.image.daemon import WORK, docker, run

BASE = "docker.io/library/debian:12-slim"  # the name that Dockerfile.cpu asks for
CPU = "airgap-ocr:test-cpu"
DOCKERFILES = Path(__file__).parent / "dockerfiles"


def build_cpu() -> str:
    """Dockerfile.cpu: system packages with a network, and everything after them without one."""
    make_base()
    build = ("-f", ROOT / "Dockerfile.cpu", ROOT)
    docker("build", "--network", "host", "--target", "system", *build)
    docker("build", "--network", "none", "-t", CPU, *build)
    return CPU


def build_foreign(name: str) -> str:
    """The stand-in for an image of others, made of Debian's package of the same program."""
    make_base()
    image = f"airgap-ocr-test-{name}:latest"
    docker("build", "--network", "host", "-t", image, "-f", DOCKERFILES / name, DOCKERFILES)
    return image


def make_base() -> None:
    """Debian 12 by debootstrap."""
    if run("docker", "image", "inspect", BASE, check=False).returncode == 0:
        return
    folder = WORK / "base"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", "bookworm", folder)
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if sources.exists():
        shutil.copy(sources, folder / "etc" / "apt" / "sources.list.d")
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        docker("import", "-", BASE, stdin=tar.stdout)
    assert tar.returncode == 0
    shutil.rmtree(folder)
