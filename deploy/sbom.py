"""What an image consists of: a CycloneDX 1.6 bill of materials, and the licence texts.

Python packages are read from the wheelhouse, Debian packages from the image's archive, those of the page
from its lock file; nothing is unpacked to disk or run. Equal inputs give equal bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import tarfile
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from deploy import licences

_LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|COPYRIGHT|AUTHORS)", re.IGNORECASE)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "airgap-ocr")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of an image. `licence` is an SPDX expression; `texts`: licence file name → content."""

    kind: str  # "pypi", "deb" or "npm"
    name: str
    version: str
    licence: str
    digest: tuple[HashAlgorithm, str] | None
    texts: dict[str, bytes]

    @property
    def url(self) -> PackageURL:
        scope, _, name = self.name.rpartition("/")
        namespace = "debian" if self.kind == "deb" else scope or None
        return PackageURL(self.kind, namespace, name, self.version)


def python_packages(wheelhouse: Path) -> Iterator[Package]:
    """Every wheel of a folder, by name."""
    for wheel in sorted(wheelhouse.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata_name = next(n for n in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
            metadata = HeaderParser().parsestr(archive.read(metadata_name).decode("utf-8", "replace"))
            folder = metadata_name.removesuffix("METADATA")
            texts = {
                name.removeprefix(folder).removeprefix("licenses/").replace("/", "_"): archive.read(name)
                for name in names
                if name.startswith(folder)
                and not name.endswith("/")
                and _LICENCE_FILE.search(PurePosixPath(name).name)
            }
        classifiers = [
            value.rsplit(" :: ", 1)[-1]
            for value in metadata.get_all("Classifier", [])
            if value.startswith("License :: ")
        ]
        said = (metadata["License-Expression"] or "", metadata["License"] or "", *classifiers)
        licence = licences.of_python(metadata["Name"], said)
        digest = (HashAlgorithm.SHA_256, hashlib.sha256(wheel.read_bytes()).hexdigest())
        yield Package("pypi", metadata["Name"], metadata["Version"], licence, digest, texts)


def page_packages(lock_file: Path) -> Iterator[Package]:
    """What the page is built from, by npm's lock file (version 3); what only builds it is left out."""
    packages = json.loads(lock_file.read_text())["packages"]
    for place, entry in sorted(packages.items()):
        if not place or entry.get("dev") or entry.get("devOptional"):
            continue
        name = place.rpartition("node_modules/")[2]
        licence = licences.spdx_of(str(entry.get("license", name))) or licences.reference(name)
        digest = base64.b64decode(entry["integrity"].removeprefix("sha512-")).hex()
        yield Package("npm", name, entry["version"], licence, (HashAlgorithm.SHA_512, digest), {})


def debian_packages(archive: Path) -> Iterator[Package]:
    """The installed Debian packages of a docker archive (`docker save`), with their copyright files."""
    status, copyrights = b"", {}
    with tarfile.open(archive) as image:
        for layer_name in json.load(_member(image, "manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=_member(image, layer_name)) as layer:
                for member in layer:
                    path = PurePosixPath(member.name.removeprefix("./").lstrip("/"))
                    if not member.isfile():
                        continue
                    content = layer.extractfile(member)
                    if path == PurePosixPath("var/lib/dpkg/status") and content:
                        status = content.read()
                    elif path.match("usr/share/doc/*/copyright") and content:
                        copyrights[path.parent.name] = content.read()
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        fields = HeaderParser().parsestr(paragraph.strip())
        if fields["Package"] and "installed" in (fields["Status"] or ""):
            name = fields["Package"]
            texts = {"copyright": copyrights[name]} if name in copyrights else {}
            licence = licences.of_debian(name, copyrights.get(name))
            yield Package("deb", name, fields["Version"], licence, None, texts)


def _member(archive: tarfile.TarFile, name: str) -> io.BufferedReader:
    found = archive.extractfile(name)
    if found is None:
        raise ValueError(f"{name} is no file of the archive")
    return found  # type: ignore[return-value]


def bill_of_materials(name: str, version: str, commit: str, epoch: int, packages: Iterable[Package]) -> str:
    """CycloneDX JSON. The serial number follows from the name, the version and the commit."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, f"{name} {version} {commit}"))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.component = Component(
        name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"{name}@{version}"
    )
    for package in packages:
        bom.components.add(
            Component(
                name=package.name,
                version=package.version,
                type=ComponentType.LIBRARY,
                bom_ref=str(package.url),
                purl=package.url,
                licenses=[_licence(package.licence)],
                hashes=[HashType(alg=package.digest[0], content=package.digest[1])] if package.digest else [],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return text + "\n"


def _licence(expression: str) -> DisjunctiveLicense | LicenseExpression:
    """CycloneDX has one licence of the list by its id, and all else as an expression."""
    if " " in expression or expression.startswith("LicenseRef-"):
        return LicenseExpression(expression)
    return DisjunctiveLicense(id=expression)


def write_licences(folder: Path, packages: Iterable[Package]) -> None:
    """`packages.csv` with every package's licence, and each licence text under kind/name-version/."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "packages.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("kind", "name", "version", "licence"))
        for package in packages:
            table.writerow((package.kind, package.name, package.version, package.licence))
            home = folder / package.kind / f"{package.name}-{package.version.replace(':', '_')}"
            for name, text in sorted(package.texts.items()):
                home.mkdir(parents=True, exist_ok=True)
                (home / name).write_bytes(text)
