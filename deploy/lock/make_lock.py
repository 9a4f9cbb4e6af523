"""Lock an image's Python packages: requirements → exactly one wheel each, by name, version and SHA-256.

    python deploy/lock/make_lock.py cpu
    python deploy/lock/make_lock.py gpu
    python deploy/lock/make_lock.py pip      the installer itself, used while an image is built

Needs `uv` and a package index; run on a connected machine whenever requirements change. A package
without a wheel for the image's platform stops it: an image never compiles anything. The lock names
files and hashes and no index, so any mirror that holds the same bytes will do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

LOCKS = Path(__file__).parent
ROOT = LOCKS.parent.parent


@dataclass(frozen=True, slots=True)
class Target:
    """An image's interpreter and C library, and what is installed into it."""

    python: tuple[int, int]
    glibc_minor: int  # glibc 2.x
    requirements: Path


TARGETS = {
    "cpu": Target((3, 11), 36, ROOT / "requirements.txt"),  # Debian 12
    "gpu": Target((3, 12), 39, ROOT / "requirements-gpu.txt"),  # Ubuntu 24.04
    "pip": Target((3, 11), 36, LOCKS / "pip.in"),
}


def platforms(target: Target) -> list[str]:
    """Platform tags that the target's C library can load, best first (PEP 600, PEP 599, PEP 513)."""
    tags = [f"manylinux_2_{minor}_x86_64" for minor in range(target.glibc_minor, 4, -1)]
    return [*tags, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


def resolve(target: Target) -> list[dict[str, Any]]:
    """Let uv choose versions for the target. Returns the packages of its pylock.toml (PEP 751)."""
    version = ".".join(map(str, target.python))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.toml"
        command = ["uv", "pip", "compile", "--quiet", "--format", "pylock.toml", "--only-binary", ":all:"]
        command += ["--python-version", version]
        command += ["--python-platform", f"x86_64-manylinux_2_{target.glibc_minor}"]
        subprocess.run([*command, str(target.requirements), "-o", str(out)], check=True, cwd=ROOT)
        packages: list[dict[str, Any]] = tomllib.loads(out.read_text())["packages"]
    return packages


def choose_wheel(package: dict[str, Any], tags: Sequence[Tag]) -> tuple[str, str, int]:
    """The wheel pip would take for these tags: (file name, sha256, bytes). Raises `LookupError` for none."""
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    found: list[tuple[int, str, str, dict[str, Any]]] = []
    for wheel in package.get("wheels", ()):
        name = unquote(Path(urlsplit(wheel["url"]).path).name)
        usable = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        if usable:
            found.append((min(usable), name, wheel["hashes"]["sha256"], wheel))
    if not found:
        raise LookupError(f"{package['name']}=={package['version']} has no wheel for this platform")
    _, name, digest, wheel = min(found, key=lambda item: item[:2])
    return name, digest, wheel.get("size") or size_at(wheel["url"])


def size_at(url: str) -> int:
    """Bytes of a file whose index does not tell them."""
    with urlopen(Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"])


def lock(name: str) -> str:
    """The text of one lock file."""
    target = TARGETS[name]
    wanted = platforms(target)
    interpreter = f"cp{target.python[0]}{target.python[1]}"
    tags = [
        *cpython_tags(target.python, abis=[interpreter], platforms=wanted),
        *compatible_tags(target.python, interpreter=interpreter, platforms=wanted),
    ]
    lines, total = [], 0
    for package in sorted(resolve(target), key=lambda item: str(item["name"])):
        wheel, digest, size = choose_wheel(package, tags)
        total += size
        lines.append(f"# {wheel}\n{package['name']}=={package['version']} --hash=sha256:{digest}\n")
    version = ".".join(map(str, target.python))
    header = (
        f"# Python {version}, x86_64, glibc 2.{target.glibc_minor}: "
        f"{len(lines)} wheel(s), {total / 1e6:.0f} MB. "
        f"Made by deploy/lock/make_lock.py {name}; do not edit.\n"
    )
    return header + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Lock the Python packages of an image.")
    parser.add_argument("target", choices=sorted(TARGETS))
    target = parser.parse_args().target
    path = LOCKS / f"requirements-{target}.lock"
    path.write_text(lock(target))
    print(f"{path.relative_to(ROOT)}: {path.read_text().count('--hash=')} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
