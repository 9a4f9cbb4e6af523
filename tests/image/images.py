"""Images built here, from Debian's packages and the wheelhouse alone. No registry is asked for anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.image.daemon import WORK, docker, run

BASE = "docker.io/library/debian:12-slim"  # the name that Dockerfile.cpu asks for
CPU = "airgap-ocr:test-cpu"
_NOT_IN_SLIM = (
    "/usr/share/doc/*",
    "/usr/share/groff/*",
    "/usr/share/info/*",
    "/usr/share/linda/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)
FOREIGN = ("postgresql", "prometheus")
DOCKERFILES = Path(__file__).parent / "dockerfiles"


def build_cpu() -> str:
    """Dockerfile.cpu on the base: system packages with a network, and everything after them without one."""
    build = ("-f", ROOT / "Dockerfile.cpu", ROOT)
    docker("build", "--network", "host", "--target", "system", *build)
    docker("build", "--network", "none", "-t", CPU, *build)
    return CPU


def build_foreign(name: str) -> str:
    """The stand-in for an image of others, made of Debian's package of the same program."""
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
    _slim(folder)
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if sources.exists():
        shutil.copy(sources, folder / "etc" / "apt" / "sources.list.d")
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        docker("import", "-", BASE, stdin=tar.stdout)
    assert tar.returncode == 0
    shutil.rmtree(folder)


def _slim(folder: Path) -> None:
    """What Debian's `-slim` images leave out of every package, now and when one is installed later."""
    rules = [f"path-exclude {pattern}" for pattern in _NOT_IN_SLIM]
    rules.append("path-include /usr/share/doc/*/copyright")
    (folder / "etc" / "dpkg" / "dpkg.cfg.d" / "docker").write_text("\n".join(rules) + "\n")
    for path in folder.glob("usr/share/doc/*/*"):
        if path.name != "copyright":
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
    for name in ("groff", "info", "lintian", "linda", "locale", "man"):
        shutil.rmtree(folder / "usr" / "share" / name, ignore_errors=True)
    for archive in (folder / "var" / "cache" / "apt").rglob("*.*"):
        archive.unlink()
    shutil.rmtree(folder / "var" / "lib" / "apt" / "lists")
