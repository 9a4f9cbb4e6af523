"""Gather everything a closed machine needs into one folder, with checksums and a signature.

    python -m deploy.bundle --target cpu --key ~/.ssh/airgap-release [--model FOLDER] [--out FOLDER]

Run from the repository root on a connected machine, after `deploy/wheelhouse.sh TARGET` and
`npm ci && npm run build` in web/. The image is built and saved with docker (buildx, else
its classic builder), or with buildah. The folder:

    install.sh verify.sh docker-compose.yml env.example bundle.json monitoring/
    images/TARGET.tar          docker archive
    wheelhouse/TARGET/         every Python package, to rebuild the image without internet
    web/dist/                  the built page, for the same purpose
    source/                    the program's source, as the image was built from
    sbom/TARGET.cdx.json       CycloneDX
    licences/TARGET/           of every package in the image
    models/NAME.SHA256SUMS     the model by reference: its folder travels beside the bundle
    signers                    the public key, for `ssh-keygen -Y verify`
    SHA256SUMS SHA256SUMS.sig  every file above, and an SSH signature over the list

Two runs on one commit give the same SHA256SUMS as long as the base image and Debian's packages are the
same: nothing here takes the time of day, and Ed25519 signatures do not vary.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from airgap.core.version import VERSION as VERSION  # a bundle under another version sets it
from deploy import sbom

ROOT = Path(__file__).parent.parent
DOCKERFILES = {"cpu": "Dockerfile.cpu", "gpu": "Dockerfile"}
SIGNATURE_NAMESPACE = "airgap-ocr"
MANIFEST = "SHA256SUMS"
MONITORING = "monitoring"


class BundleError(Exception):
    """The bundle cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The source a bundle is made from. `epoch`: seconds, the commit's own time."""

    identity: str
    epoch: int


def current_commit(root: Path = ROOT) -> Commit:
    """HEAD, of a work tree without changes to tracked files."""
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        raise BundleError("tracked files have changes: commit them first, a bundle is made from a commit")
    identity, epoch = _git(root, "log", "-1", "--format=%H %ct").split()
    return Commit(identity, int(epoch))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def export_source(root: Path, commit: Commit, archive: Path) -> None:
    """`git archive` of the commit: names, modes and times come from git alone."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = ["git", "-c", "tar.umask=0022", "archive", "--format=tar", "--prefix=airgap-ocr/"]
    subprocess.run([*command, f"--output={archive.resolve()}", commit.identity], cwd=root, check=True)


def build_image(context: Path, target: str, reference: str, commit: Commit, archive: Path) -> None:
    """Build from an exported source and save as a docker archive, with the commit's time throughout."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(commit.epoch)}
    dockerfile = DOCKERFILES[target]
    if _works("docker", "buildx", "version") and _works("docker", "info"):
        output = f"type=docker,dest={archive},rewrite-timestamp=true"
        command = ["docker", "buildx", "build", "--provenance=false", "--output", output]
        commands = [[*command, "-f", dockerfile, "-t", reference, "."]]
    elif shutil.which("buildah"):
        build = ["buildah", "bud", "--format", "docker", "--no-cache", "--network", "host"]
        build += ["--timestamp", str(commit.epoch), "-f", dockerfile, "-t", reference, "."]
        commands = [build, ["buildah", "push", reference, f"docker-archive:{archive}:{reference}"]]
    elif _works("docker", "info"):
        print("without buildx layers hold the time of day: two bundles will differ", file=sys.stderr)
        environment["DOCKER_BUILDKIT"] = "0"
        build = ["docker", "build", "-f", dockerfile, "-t", reference, "."]
        commands = [build, ["docker", "save", "--output", str(archive), reference]]
    else:
        raise BundleError(
            "neither docker nor buildah works here: install one, or give --image TARGET=ARCHIVE"
        )
    for arguments in commands:
        subprocess.run(arguments, cwd=context, check=True, env=environment)
    normalise_archive(archive, reference)


def normalise_archive(archive: Path, reference: str) -> None:
    """Take what varies by chance out of a docker archive: names of building containers and stages.

    The image goes by `reference` alone, spelled out: docker and podman take that for the short name.

    The layers are left as they are; the configuration, and with it the image's identity, follows from
    what the image is.
    """
    partial = archive.with_suffix(".part")
    with tarfile.open(archive) as old, tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as new:
        manifest = json.loads(_content(old, "manifest.json"))
        for image in manifest:
            image["RepoTags"] = [f"docker.io/library/{reference}"]
            config = json.loads(_content(old, image["Config"]))
            for field in ("container", "container_config", "parent"):
                config.pop(field, None)
            for step in config.get("history", ()):
                step.pop("comment", None)
            for field in ("Hostname", "Image"):
                config.get("config", {}).pop(field, None)
            content = json.dumps(config, sort_keys=True).encode()
            image["Config"] = f"{hashlib.sha256(content).hexdigest()}.json"
            _add(new, image["Config"], len(content), io.BytesIO(content))
            for layer in image["Layers"]:
                _add(new, layer, old.getmember(layer).size, old.extractfile(layer))
        content = json.dumps(manifest, sort_keys=True).encode()
        _add(new, "manifest.json", len(content), io.BytesIO(content))
    partial.replace(archive)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        raise BundleError(f"{name} of the docker archive is no file")
    return found.read()


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes] | None) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    archive.addfile(member, content)


def _works(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def describe_model(folder: Path, destination: Path) -> dict[str, object]:
    """Copy a model folder's SHA256SUMS into the bundle; the files themselves travel beside it."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleError(f"{folder} has no {MANIFEST}: make it with `make verify-model MODEL_PATH={folder}`")
    lines = manifest.read_text().splitlines()
    names = [line.split(maxsplit=1)[1].lstrip("*") for line in lines if line.strip()]
    destination.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(manifest, destination / f"{folder.name}.{MANIFEST}")
    size = sum((folder / name).stat().st_size for name in names)
    return {"name": folder.name, "files": len(names), "bytes": size}


def write_manifest(folder: Path) -> None:
    """SHA256SUMS over every file of the bundle, sorted by name, in the format of `sha256sum`."""
    lines = []
    for path in sorted(folder.rglob("*"), key=lambda item: item.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or "\n" in name or "\\" in name:
            raise BundleError(f"{name}: neither links nor such names go into a bundle")
        if path.is_dir() or name in (MANIFEST, f"{MANIFEST}.sig"):
            continue
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    (folder / MANIFEST).write_text("".join(lines))


def sign(folder: Path, key: Path) -> None:
    """Sign SHA256SUMS with an SSH key (a file, or the public half of one held by an agent or a token)."""
    (folder / f"{MANIFEST}.sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-Y", "sign", "-q", "-n", SIGNATURE_NAMESPACE, "-f", str(key), MANIFEST]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def write_signers(folder: Path, key: Path) -> None:
    """The public key in ssh-keygen's format of allowed signers, without its comment."""
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(key)] if key.suffix != ".pub" else ["cat", str(key)],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    ).stdout.split()
    (folder / "signers").write_text(f'release namespaces="{SIGNATURE_NAMESPACE}" {public[0]} {public[1]}\n')


def gather_target(
    folder: Path, context: Path, target: str, image: Path | None, commit: Commit
) -> dict[str, str]:
    """One image with its wheelhouse, SBOM and licences. Returns its entry in bundle.json."""
    wheelhouse = folder / "wheelhouse" / target
    shutil.copytree(ROOT / "build" / f"wheelhouse-{target}", wheelhouse)
    archive = folder / "images" / f"{target}.tar"
    reference = f"airgap-ocr:{VERSION}-{target}"
    if image is not None:
        archive.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, archive)
    else:
        shutil.copytree(wheelhouse, context / "build" / f"wheelhouse-{target}")
        build_image(context, target, reference, commit, archive)
    packages = [*sbom.python_packages(wheelhouse), *sbom.debian_packages(archive)]
    packages += sbom.page_packages(ROOT / "web" / "package-lock.json")
    (folder / "sbom").mkdir(exist_ok=True)
    bom = sbom.bill_of_materials(f"airgap-ocr-{target}", VERSION, commit.identity, commit.epoch, packages)
    (folder / "sbom" / f"{target}.cdx.json").write_text(bom)
    sbom.write_licences(folder / "licences" / target, packages)
    return {"target": target, "archive": f"images/{target}.tar", "reference": reference}


BESIDE_THE_IMAGES = (
    "docker-compose.yml",
    "LICENSE",
    "NOTICE",
    "deploy/install.sh",
    "deploy/verify.sh",
    "deploy/env.example",
)


def make_bundle(
    folder: Path,
    images: dict[str, Path | None],
    models: list[Path],
    key: Path | None,
    commit: Commit,
) -> None:
    """Fill `folder`, which is emptied first. `images`: target → a ready archive, or None to build one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = folder / "source" / f"airgap-ocr-{VERSION}.tar"
    export_source(ROOT, commit, source)
    context = folder.with_name(f"{folder.name}.context")
    shutil.rmtree(context, ignore_errors=True)
    with tarfile.open(source) as archive:
        archive.extractall(context, filter="tar")
    context_root = context / "airgap-ocr"
    for name in BESIDE_THE_IMAGES:
        shutil.copyfile(context_root / name, folder / Path(name).name)
    for part in ("prometheus", "grafana"):
        shutil.copytree(context_root / MONITORING / part, folder / "monitoring" / part)
    page = ROOT / "web" / "dist"
    if not (page / "index.html").is_file():
        raise BundleError("web/dist holds no page: run `npm ci && npm run build` in web/")
    shutil.copytree(page, folder / "web" / "dist")
    shutil.copytree(page, context_root / "web" / "dist")
    description = {
        "name": "airgap-ocr",
        "version": VERSION,
        "commit": commit.identity,
        "date": datetime.fromtimestamp(commit.epoch, UTC).isoformat(),
        "images": [
            gather_target(folder, context_root, target, image, commit)
            for target, image in sorted(images.items())
        ],
        "models": [describe_model(model, folder / "models") for model in models],
    }
    shutil.rmtree(context)
    (folder / "bundle.json").write_text(json.dumps(description, indent=2) + "\n")
    if key is not None:
        write_signers(folder, key)
    write_manifest(folder)
    if key is not None:
        sign(folder, key)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the air-gapped bundle.")
    parser.add_argument("--target", action="append", choices=sorted(DOCKERFILES), help="default: cpu")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="TARGET=ARCHIVE",
        help="a docker archive that is there",
    )
    parser.add_argument(
        "--model", action="append", default=[], type=Path, help="a model folder with SHA256SUMS"
    )
    parser.add_argument("--key", type=Path, help="SSH key that signs; made with `ssh-keygen -t ed25519`")
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    arguments = parser.parse_args()
    if not all(re.fullmatch(r"(cpu|gpu)=.+", item) for item in arguments.image):
        parser.error("--image takes cpu=ARCHIVE or gpu=ARCHIVE")
    ready = {item.split("=", 1)[0]: Path(item.split("=", 1)[1]) for item in arguments.image}
    targets = set(arguments.target or ()) | set(ready) or {"cpu"}
    folder = arguments.out / f"airgap-ocr-{VERSION}"
    try:
        make_bundle(
            folder,
            {target: ready.get(target) for target in targets},
            arguments.model,
            arguments.key,
            current_commit(),
        )
    except (BundleError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.0f} MB, {'signed' if arguments.key else 'NOT signed (no --key)'}")
    print(f"{MANIFEST} has the sha256 {digest}: hand this line over by another way than the bundle.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
