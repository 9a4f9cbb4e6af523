"""A tiny but genuine docker archive, a wheelhouse of one wheel, and a bundle made of them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

from deploy import bundle

COMMIT = bundle.Commit("0123456789abcdef0123456789abcdef01234567", 1_700_000_000)
STATUS = b"Package: base-files\nStatus: install ok installed\nVersion: 12.4+deb12u11\n\n"


def docker_archive(path: Path, container: str = "c") -> Path:
    """One layer with dpkg's status and a copyright file, as buildah writes it for `docker load`."""
    layer = _tar({"var/lib/dpkg/status": STATUS, "usr/share/doc/base-files/copyright": b"GPL\n"})
    digest = hashlib.sha256(layer).hexdigest()
    identity = {
        "container": container,
        "parent": container,
        "history": [{"comment": f"FROM {container}"}],
        "config": {"Hostname": container},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    config = json.dumps(identity).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["airgap-ocr:0-cpu"], "Layers": [f"{digest}.tar"]}]
    path.write_bytes(
        _tar({"config.json": config, f"{digest}.tar": layer, "manifest.json": json.dumps(manifest).encode()})
    )
    return path


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def wheel(folder: Path) -> None:
    """A wheel with metadata and a licence, and nothing else."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
        home = "tiny-1.0.dist-info"
        archive.writestr(
            f"{home}/METADATA", "Metadata-Version: 2.4\nName: tiny\nVersion: 1.0\nLicense-Expression: MIT\n"
        )
        archive.writestr(f"{home}/licenses/", "")  # some wheels list their folders
        archive.writestr(f"{home}/licenses/LICENSE", "MIT\n")


def repository(root: Path) -> Path:
    """A work tree with the files a bundle takes from its source, in git."""
    source = Path(bundle.__file__).parent.parent
    for name in bundle.BESIDE_THE_IMAGES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, root / name)
    for part in ("prometheus", "grafana"):
        shutil.copytree(source / bundle.MONITORING / part, root / bundle.MONITORING / part)
    wheel(root / "build" / "wheelhouse-cpu")
    (root / "web" / "dist").mkdir(parents=True)
    (root / "web" / "dist" / "index.html").write_text("<!doctype html>")
    shutil.copy(source / "web" / "package-lock.json", root / "web")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.invalid", "-c", "commit.gpgsign=false"]
    for arguments in (
        ["init", "-q"],
        ["add", "docker-compose.yml", "LICENSE", "NOTICE", "deploy", bundle.MONITORING],
        ["commit", "-qm", "x"],
    ):
        subprocess.run([*git, *arguments], cwd=root, check=True)
    return root


def signing_key(folder: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return folder / "key"
