"""The bundle: the same from the same commit, sealed, and refused when one bit of it differs."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import zipfile
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

from deploy import bundle, licences, sbom
from tests.conftest import ROOT
from tests.deploy import factory

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """(make, key): `make(folder)` makes a signed bundle of a tiny image there."""
    home = tmp_path_factory.mktemp("workshop")
    root = factory.repository(home / "repository")
    image = factory.docker_archive(home / "image.tar")
    key = factory.signing_key(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "ROOT", root)
        commit = bundle.current_commit(root)

        def make(folder: Path, models: tuple[Path, ...] = ()) -> Path:
            bundle.make_bundle(folder, {"cpu": image}, list(models), key, commit)
            return folder

        signers = home / "signers"  # as it was handed over, by another way than the bundle
        public = key.with_suffix(".pub").read_text().split()
        signers.write_text(f'release namespaces="airgap-ocr" {public[0]} {public[1]}\n')
        patch.setattr(Handed, "signers", signers)
        yield make, key


class Handed:
    """The release key's public half."""

    signers = Path()


@pytest.fixture(scope="module")
def sealed(workshop, tmp_path_factory):
    return workshop[0](tmp_path_factory.mktemp("sealed") / "airgap-ocr")


@pytest.fixture
def copy(sealed, tmp_path):
    return Path(shutil.copytree(sealed, tmp_path / "carried over"))


def verify(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What verify.sh says, with the key that was handed over unless the options say otherwise."""
    if not {"--signers", "--unsigned"} & set(options):
        options = ("--signers", str(Handed.signers), *options)
    return subprocess.run(["bash", folder / "verify.sh", *options, folder], capture_output=True, text=True)


def test_two_bundles_of_one_commit_are_equal_to_the_byte(workshop, sealed, tmp_path):
    again = workshop[0](tmp_path / "airgap-ocr")
    for name in ("SHA256SUMS", "SHA256SUMS.sig"):
        assert (again / name).read_bytes() == (sealed / name).read_bytes()


def test_it_holds_what_a_closed_machine_needs(sealed):
    names = {path.relative_to(sealed).as_posix() for path in sealed.rglob("*") if path.is_file()}
    assert {
        "install.sh",
        "verify.sh",
        "docker-compose.yml",
        "env.example",
        "bundle.json",
        "images/cpu.tar",
        "wheelhouse/cpu/tiny-1.0-py3-none-any.whl",
        "sbom/cpu.cdx.json",
        "licences/cpu/packages.csv",
        "licences/cpu/pypi/tiny-1.0/LICENSE",
        "licences/cpu/deb/base-files-12.4+deb12u11/copyright",
        "signers",
        "web/dist/index.html",
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "LICENSE",
        "NOTICE",
        "monitoring/grafana/dashboards/api.json",
        "monitoring/grafana/dashboards/jobs.json",
        "monitoring/grafana/dashboards/ocr.json",
        "monitoring/grafana/dashboards/vllm.json",
        "monitoring/grafana/provisioning/dashboards/dashboards.yml",
        "monitoring/grafana/provisioning/datasources/prometheus.yml",
        "monitoring/prometheus/alerts.yml",
        "monitoring/prometheus/alerts_test.yml",
        "monitoring/prometheus/prometheus.yml",
        f"source/airgap-ocr-{bundle.VERSION}.tar",
    } == names


def test_the_bill_of_materials_lists_the_packages_of_python_debian_and_the_page(sealed):
    bom = json.loads((sealed / "sbom" / "cpu.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    found = {component["purl"]: component for component in bom["components"]}
    react = found.pop("pkg:npm/react@" + locked("react"))
    assert react["licenses"] == [{"license": {"id": "MIT"}}]
    assert len(react["hashes"][0]["content"]) == 128
    assert "pkg:npm/%40tanstack/react-virtual@" + locked("@tanstack/react-virtual") in found
    assert not any(purl.startswith("pkg:npm/vite") for purl in found)
    assert {purl for purl in found if not purl.startswith("pkg:npm")} == {
        "pkg:pypi/tiny@1.0",
        "pkg:deb/debian/base-files@12.4%2Bdeb12u11",
    }
    with (sealed / "licences" / "cpu" / "packages.csv").open() as file:
        licence = {row["name"]: row["licence"] for row in csv.DictReader(file)}
    assert (licence["tiny"], licence["base-files"]) == ("MIT", "LicenseRef-Debian-base-files-copyright")
    assert licence["dompurify"] == "(MPL-2.0 OR Apache-2.0)"


def locked(name: str) -> str:
    """The version of a package of the page."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    return str(lock["packages"][f"node_modules/{name}"]["version"])


@pytest.mark.parametrize(
    ("said", "spdx"),
    [
        ("MIT License", "MIT"),
        ("Apache 2.0", "Apache-2.0"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("MPL-2.0 AND MIT", "MPL-2.0 AND MIT"),
        ("BSD License", None),
        ("Copyright (c) 2005-2025, somebody", None),
    ],
)
def test_what_a_package_says_is_an_spdx_expression_or_none(said, spdx):
    assert licences.spdx_of(said) == spdx


def test_every_locked_python_package_here_has_an_spdx_licence():
    for line in (ROOT / "deploy" / "lock" / "requirements-cpu.lock").read_text().splitlines():
        name = line.partition("==")[0]
        if line.startswith("#"):
            continue
        try:
            package = metadata(name)
        except PackageNotFoundError:
            continue
        classifiers = [
            one.rsplit(" :: ", 1)[-1] for one in package.get_all("Classifier", []) if "License" in one
        ]
        fields = [package[field] for field in ("License-Expression", "License") if field in package]
        said = (*fields, *classifiers)
        assert "see-its-text" not in licences.of_python(name, said), name


def test_a_debian_copyright_file_names_its_licences():
    text = (
        b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        b"Files: *\nLicense: GPL-2+ or Artistic\n\nFiles: a\nLicense: Expat\n\nLicense: my own\n words\n"
    )
    assert licences.of_debian("x", text) == (
        "(Artistic-1.0-Perl OR GPL-2.0-or-later) AND LicenseRef-my-own AND MIT"
    )
    assert licences.of_debian("x", None) == "LicenseRef-Debian-x-copyright"


def test_a_whole_bundle_is_accepted_anywhere(copy, workshop):
    done = verify(copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("signed by SHA256:")


def test_who_made_a_bundle_is_not_asked_of_the_bundle(copy):
    done = subprocess.run(["bash", copy / "verify.sh", copy], capture_output=True, text=True)
    assert done.returncode == 1
    assert "--signers" in done.stderr


def typed(folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """The two commands that docs/operations.md has people type, as they stand there."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    block = text.split("### 4. Carry and verify")[1].split("```sh\n")[1].split("```")[0]
    first, signature, sums = block.strip().splitlines()
    assert first.startswith("cd ")
    signature = signature.replace("/media/other/signers", str(Handed.signers))
    return [
        subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True)
        for line in (signature, sums)
    ]


def test_the_typed_commands_accept_a_whole_bundle(copy):
    signature, sums = typed(copy)
    assert (signature.returncode, sums.returncode, sums.stdout + sums.stderr) == (0, 0, "")
    assert signature.stdout.startswith('Good "airgap-ocr" signature for release')


@pytest.mark.parametrize("signed", ["not", "with a key of its own"])
def test_the_typed_commands_refuse_a_bundle_whose_scripts_were_replaced(copy, tmp_path, signed):
    """Scripts that say yes to everything, sums that fit them, and, at best, another key's signature."""
    for name in ("verify.sh", "install.sh"):
        (copy / name).write_text("#!/bin/sh\necho 'signed by SHA256:right'; echo 'verified: 12 files'\n")
    assert verify(copy).returncode == 0, "the bundle's own script proves nothing"
    names = [line[66:] for line in (copy / "SHA256SUMS").read_text().splitlines()]
    made = subprocess.run(["sha256sum", *names], cwd=copy, capture_output=True, text=True, check=True)
    (copy / "SHA256SUMS").write_text(made.stdout)
    if signed != "not":
        (copy / "SHA256SUMS.sig").unlink()
        key = factory.signing_key(tmp_path)
        command = ["ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", "airgap-ocr", copy / "SHA256SUMS"]
        subprocess.run(command, check=True, capture_output=True)
    signature, sums = typed(copy)
    assert sums.returncode == 0, "the sums fit what was replaced"
    assert signature.returncode != 0
    assert "Good" not in signature.stdout


def test_one_flipped_bit_in_any_file_is_refused_and_the_file_named(copy):
    for path in sorted(copy.rglob("*")):
        if not path.is_file() or path.name == "verify.sh":
            continue
        whole = path.read_bytes()
        for position in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            done = verify(copy)
            assert done.returncode == 1, (path, position)
            assert path.relative_to(copy).as_posix() in done.stderr, (path, position, done.stderr)
        path.write_bytes(whole)


def test_a_changed_verify_sh_is_refused_by_the_one_that_was_kept(copy, sealed):
    (copy / "verify.sh").write_text((copy / "verify.sh").read_text() + "# \n")
    command = ["bash", sealed / "verify.sh", "--signers", Handed.signers, copy]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "verify.sh" in done.stderr


def test_every_bit_of_the_signature_counts(copy):
    signature = copy / "SHA256SUMS.sig"
    whole = signature.read_bytes()
    for position in range(0, len(whole), 3):
        signature.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert verify(copy).returncode == 1, position


def test_missing_added_and_linked_files_are_refused(copy):
    (copy / "bundle.json").rename(copy / "renamed.json")
    (copy / "link").symlink_to("/etc/hostname")
    done = verify(copy)
    assert done.returncode == 1
    for name in ("bundle.json", "renamed.json: not on the list", "link: neither a file nor a folder"):
        assert name in done.stderr


def test_another_key_is_refused(copy, tmp_path):
    other = factory.signing_key(tmp_path)
    public = other.with_suffix(".pub").read_text()
    (tmp_path / "signers").write_text(f'release namespaces="airgap-ocr" {public}')
    done = verify(copy, "--signers", str(tmp_path / "signers"))
    assert done.returncode == 1
    assert "no signature over it by the key" in done.stderr


def test_an_unsigned_bundle_must_be_asked_for(copy):
    (copy / "SHA256SUMS.sig").unlink()
    assert verify(copy).returncode == 1
    assert verify(copy, "--unsigned").returncode == 0


def test_a_model_is_listed_and_checked_beside_the_bundle(workshop, tmp_path):
    model = tmp_path / "models" / "DeepSeek-OCR"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    with pytest.raises(bundle.BundleError, match="has no SHA256SUMS"):
        workshop[0](tmp_path / "early", (model,))
    subprocess.run("sha256sum config.json > SHA256SUMS", shell=True, cwd=model, check=True)
    folder = workshop[0](tmp_path / "airgap-ocr", (model,))
    assert json.loads((folder / "bundle.json").read_text())["models"] == [
        {"name": "DeepSeek-OCR", "files": 1, "bytes": 2}
    ]
    assert verify(folder, "--model", str(model)).returncode == 0
    (model / "config.json").write_text("{ ")
    done = verify(folder, "--model", str(model))
    assert done.returncode == 1
    assert "config.json" in done.stderr


def test_what_varies_by_chance_is_taken_out_of_an_archive(tmp_path):
    archives = [factory.docker_archive(tmp_path / f"{n}.tar", container=n) for n in ("one", "two")]
    assert archives[0].read_bytes() != archives[1].read_bytes()
    for archive in archives:
        bundle.normalise_archive(archive, "airgap-ocr:1-cpu")
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert [package.name for package in sbom.debian_packages(archives[0])] == ["base-files"]


def test_a_work_tree_with_changes_makes_no_bundle(tmp_path):
    root = factory.repository(tmp_path / "repository")
    (root / "LICENSE").write_text("changed")
    with pytest.raises(bundle.BundleError, match="commit them first"):
        bundle.current_commit(root)


def test_licence_texts_of_one_name_are_all_kept(tmp_path):
    with zipfile.ZipFile(tmp_path / "two-1.0-py3-none-any.whl", "w") as wheel:
        home = "two-1.0.dist-info"
        wheel.writestr(
            f"{home}/METADATA", "Name: two\nVersion: 1.0\nLicense-Expression: MIT AND BSD-2-Clause\n"
        )
        wheel.writestr(f"{home}/licenses/LICENSE", "ours")
        wheel.writestr(f"{home}/licenses/vendored/LICENSE", "theirs")
    [package] = sbom.python_packages(tmp_path)
    assert package.licence == "MIT AND BSD-2-Clause"
    assert package.texts == {"LICENSE": b"ours", "vendored_LICENSE": b"theirs"}


def test_the_notice_names_what_understands_languages():
    notice = (ROOT / "NOTICE").read_text()
    for package in ("langcodes", "language_data", "marisa-trie"):
        assert package in notice
