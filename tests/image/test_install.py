"""install.sh on the real engine: installed, upgraded, taken back, erased; with accounts and without."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy import factory
from tests.image.conftest import NEW, OLD
from tests.image.daemon import docker, run
from tests.image.sites import Site, make_bundle

PAGE = Path(__file__).parents[2] / "deploy" / "smoke" / "page.png"
ACCOUNTS = {"AUTH_ENABLED": "1", "BOOTSTRAP_USER": "root", "BOOTSTRAP_PASS": "a long password"}


@pytest.fixture
def fresh(releases: dict[str, Path], tmp_path: Path) -> Iterator[Site]:
    """A place where nothing is installed yet."""
    with Site(tmp_path / "a site", f"airgap-{tmp_path.name[-12:].strip('_').lower()}") as place:
        yield place


def read_page(client: httpx.Client, **options: Any) -> httpx.Response:
    with PAGE.open("rb") as file:
        return client.post("/ocr/image/simple", files={"file": file}, **options)


def test_with_accounts_it_is_installed_upgraded_and_taken_back(fresh, releases):
    fresh.settings |= ACCOUNTS
    done = fresh.install_bundle(releases[OLD])
    assert "the page was read" in done.stdout
    with fresh.client() as client:
        assert read_page(client).status_code == 401
        token = client.post("/api/auth/token", data={"username": "root", "password": "a long password"})
        login = {"Authorization": f"Bearer {token.json()['access_token']}"}
        change = {"old_password": "a long password", "new_password": "another password"}
        assert client.post("/api/auth/password", json=change, headers=login).status_code == 204
        audit = fresh.inside("cpu", "ocr", "audit", "verify").stdout
        assert "all as they were written" in audit
    noted = fresh.inside("cpu", "cat", "/data/audit/audit.jsonl").stdout.splitlines()
    assert [json.loads(line)["who"] for line in noted if '"read"' in line] == ["installation check"]
    # The password of .env is none any more; neither an upgrade nor a way back asks for one.
    before = fresh.variables
    fresh.install(releases[NEW] / "install.sh")
    assert fresh.variables == before | {"AIRGAP_VERSION": NEW}
    fresh.install(fresh.folder / "releases" / NEW / "install.sh", "--rollback")
    assert fresh.variables == before
    with fresh.client() as client:
        answer = client.post("/api/auth/token", data={"username": "root", "password": "another password"})
        assert answer.status_code == 200


def test_an_upgrade_that_does_not_start_goes_back_with_its_data(fresh, releases, tmp_path):
    fresh.install_bundle(releases[OLD])
    with fresh.client() as client, PAGE.open("rb") as file:
        job = client.post("/jobs", files={"files": file}).json()["id"]
    image = docker("build", "-q", "-", input=f'FROM airgap-ocr:{OLD}-cpu\nCMD ["false"]\n')
    broken = make_bundle(tmp_path / "broken", "1.2.0", image, factory.signing_key(tmp_path))
    done = fresh.install(broken / "install.sh", check=False, wait=15)
    assert done.returncode == 1
    assert f"release 1.2.0 did not start; {OLD} runs again" in done.stderr
    assert fresh.variables["AIRGAP_VERSION"] == OLD
    with fresh.client() as client:
        assert client.get(f"/jobs/{job}").status_code == 200


def test_it_is_erased_and_the_data_only_when_that_is_said(fresh, releases):
    fresh.install_bundle(releases[OLD])
    fresh.install(fresh.folder / "releases" / OLD / "install.sh", "--erase")
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={fresh.name}") == ""
    assert docker("volume", "ls", "-q", "--filter", f"name={fresh.name}-data") == f"{fresh.name}-data"
    assert [path.name for path in fresh.folder.iterdir()] == [".env"]
    fresh.install_bundle(releases[OLD])
    fresh.install(fresh.folder / "releases" / OLD / "install.sh", "--erase", "--with-data")
    assert docker("volume", "ls", "-q", "--filter", f"name={fresh.name}") == ""
    assert not fresh.folder.exists()
    assert run("docker", "image", "inspect", f"airgap-ocr:{OLD}-cpu", check=False).returncode


@pytest.fixture
def entered_by_all() -> Iterator[Path]:
    """A folder that any user may enter. Those of pytest are their owner's alone."""
    with tempfile.TemporaryDirectory(prefix="airgap-ocr-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def stick(releases: dict[str, Path], entered_by_all: Path) -> Iterator[Path]:
    """The bundle on a file system that cannot be written."""
    mounted = entered_by_all / "stick"
    mounted.mkdir()
    run("mount", "--bind", releases[OLD], mounted)
    run("mount", "-o", "remount,bind,ro", mounted)
    yield mounted
    run("umount", mounted)


@pytest.fixture
def site_of_nobody(entered_by_all: Path) -> Iterator[Site]:
    """A folder of the user nobody: ssh-keygen wants one that has a name."""
    with Site(entered_by_all / "a site", "airgap-member") as place:
        place.folder.mkdir()
        os.chown(place.folder, 65534, 65534)
        yield place


def test_a_member_of_docker_installs_from_a_read_only_stick(site_of_nobody, stick, monkeypatch):
    monkeypatch.setenv("COMPOSE_FILE", "/nowhere.yml")  # the caller's own variables decide nothing
    socket_group = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")[7:]).stat().st_gid
    member = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={socket_group}", "--inh-caps=-all")
    done = site_of_nobody.install_bundle(stick, prefix=member)
    assert "the page was read" in done.stdout
    assert (site_of_nobody.folder / ".env").stat().st_uid == 65534
    # Its folder is nobody else's business, and a second run of the same bundle changes nothing.
    before = site_of_nobody.variables
    site_of_nobody.install(stick / "install.sh", prefix=member)
    assert site_of_nobody.variables == before


def test_a_changed_byte_is_named_and_nothing_is_loaded(fresh, releases, tmp_path):
    damaged = tmp_path / "damaged"
    run("cp", "-r", "--reflink=auto", releases[NEW], damaged)
    images = docker("images", "-q")
    for name in ("images/cpu.tar", "docker-compose.yml"):
        with (damaged / name).open("r+b") as file:
            file.seek(-7, 2)
            byte = file.read(1)[0]
            file.seek(-7, 2)
            file.write(bytes([byte ^ 4]))
        done = fresh.install_bundle(damaged, check=False)
        assert done.returncode == 1
        assert name in done.stderr
    assert docker("images", "-q") == images
    assert not (fresh.folder / ".env").exists()


def test_a_busy_port_is_named_before_anything_starts(fresh, releases):
    with socket.create_server(("127.0.0.1", fresh.port)):
        done = fresh.install_bundle(releases[OLD], check=False)
    assert done.returncode == 1
    assert f"port {fresh.port} of 127.0.0.1 is taken by another program" in done.stderr
    assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={fresh.name}") == ""
