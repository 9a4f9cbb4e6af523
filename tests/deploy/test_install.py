"""install.sh on a closed machine whose container engine is a script that keeps account of what it is told."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import bundle
from tests.conftest import free_port
from tests.deploy import factory

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
ENGINE = Path(__file__).parent / "docker"
OLD, NEW = "1.0.0", "1.1.0"


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Two signed bundles, by version."""
    home = tmp_path_factory.mktemp("releases")
    root = factory.repository(home / "repository")
    image, key = factory.docker_archive(home / "image.tar"), factory.signing_key(home)
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "ROOT", root)
        for version in (OLD, NEW):
            patch.setattr(bundle, "VERSION", version)
            made[version] = home / version
            bundle.make_bundle(made[version], {"cpu": image}, [], key, bundle.current_commit(root))
    return made


@dataclass
class Machine:
    """A closed machine: a container engine, a site folder and a published port that answers."""

    engine: Path
    site: Path
    port: int
    releases: dict[str, Path]

    def install(
        self, version: str | None, *options: str, broken: str = ""
    ) -> subprocess.CompletedProcess[str]:
        script = (self.releases[version] if version else self.releases[NEW]) / "install.sh"
        environment = {"PATH": f"{self.engine}:/usr/bin:/bin", "WAIT_SECONDS": "1"}
        (self.engine / "broken").write_text(broken)
        command = ["bash", str(script), "--to", str(self.site), *options]
        if not {"--signers", "--rollback", "--erase"} & set(options):
            command += ["--signers", str(script.with_name("signers"))]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")

    def first(self) -> None:
        done = self.install(OLD, "--set", f"PUBLISH_PORT={self.port}")
        assert done.returncode == 0, done.stderr + done.stdout

    @property
    def running(self) -> str:
        return (self.engine / "running").read_text().strip()

    @property
    def calls(self) -> list[str]:
        log = self.engine / "calls"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def settings(self) -> dict[str, str]:
        lines = (self.site / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def machine(releases, tmp_path):
    engine = tmp_path / "engine"
    engine.mkdir()
    shutil.copy(ENGINE, engine / "docker")
    yield Machine(engine, tmp_path / "a site", free_port(), releases)
    if (engine / "listener").exists():
        os.kill(int((engine / "listener").read_text()), signal.SIGKILL)


def test_a_first_installation_loads_writes_settings_starts_and_reads_a_page(machine):
    machine.first()
    assert machine.running == OLD
    assert (machine.engine / "images").read_text().count("\n") == 1
    assert machine.settings["AIRGAP_VERSION"] == OLD
    assert machine.settings["COMPOSE_PROFILES"] == "cpu"
    assert len(machine.settings["SECRET_KEY"]) == 44
    assert stat.S_IMODE((machine.site / ".env").stat().st_mode) == 0o600
    assert [call for call in machine.calls if "smoke.py" in call]
    assert not [call for call in machine.calls if "pull" in call or "build" in call]


def test_it_asks_nothing_outside_for_anything():
    text = (bundle.ROOT / "deploy" / "install.sh").read_text() + (
        bundle.ROOT / "deploy" / "verify.sh"
    ).read_text()
    for word in ("curl", "wget", "http://", "pip ", "apt", "pull", "git "):
        assert word not in text, word


def test_a_damaged_bundle_changes_nothing(machine, tmp_path):
    damaged = Path(shutil.copytree(machine.releases[OLD], tmp_path / "damaged"))
    content = bytearray((damaged / "images" / "cpu.tar").read_bytes())
    content[700] ^= 1
    (damaged / "images" / "cpu.tar").write_bytes(content)
    machine.releases = {OLD: damaged}
    done = machine.install(OLD)
    assert done.returncode == 1
    assert "images/cpu.tar" in done.stderr
    assert "nothing was changed" in done.stderr
    assert [call for call in machine.calls if "version" not in call] == []
    assert not (machine.site / ".env").exists()


def test_an_upgrade_keeps_settings_and_can_be_taken_back(machine):
    machine.first()
    with (machine.site / ".env").open("a") as file:
        file.write("MAX_UPLOAD_MB=7\n")
    before = machine.settings
    done = machine.install(NEW)
    assert done.returncode == 0, done.stderr
    assert machine.running == NEW
    assert machine.settings == before | {"AIRGAP_VERSION": NEW}
    assert machine.install(None, "--rollback").returncode == 0
    assert machine.running == OLD
    assert machine.settings == before
    assert machine.install(None, "--rollback").returncode == 0
    assert machine.running == NEW


def test_commands_of_compose_are_given_in_the_site_and_follow_the_release(machine):
    machine.first()
    (machine.site / "docker-compose.override.yml").write_text("services: {}\n")
    machine.install(NEW)
    release = machine.site / "releases" / NEW
    for name in ("docker-compose.yml", "monitoring/prometheus/prometheus.yml"):
        assert (machine.site / name).read_bytes() == (release / name).read_bytes()
    assert (machine.site / "docker-compose.override.yml").exists()
    assert not [call for call in machine.calls if " -f " in call]


@pytest.mark.parametrize("with_data", [False, True])
def test_it_is_erased_and_data_only_when_that_is_said(machine, with_data):
    machine.first()
    done = machine.install(None, "--erase", *(["--with-data"] if with_data else []))
    assert done.returncode == 0, done.stderr
    [down] = [call for call in machine.calls if " down" in call]
    assert ("--volumes" in down) is with_data
    assert f"image rm airgap-ocr:{OLD}-cpu" in machine.calls
    assert (machine.site / ".env").exists() is not with_data
    assert not (machine.site / "releases").exists()


def test_no_call_ever_removes_anything(machine):
    machine.first()
    machine.install(NEW)
    machine.install(None, "--rollback")
    for word in (" rm", " down", "volume", "prune", "rmi"):
        assert not [call for call in machine.calls if word in call]


def test_an_upgrade_that_does_not_start_goes_back_by_itself(machine):
    machine.first()
    before = machine.settings
    done = machine.install(NEW, "--set", "LOG_LEVEL=debug", broken=NEW)
    assert done.returncode == 1
    assert f"release {NEW} did not start; {OLD} runs again" in done.stderr
    assert f"log of {NEW}" in done.stderr
    assert machine.running == OLD
    assert machine.settings == before


def test_a_first_installation_that_does_not_start_says_so(machine):
    done = machine.install(OLD, "--set", f"PUBLISH_PORT={machine.port}", broken=OLD)
    assert done.returncode == 1
    assert f"release {OLD} does not start" in done.stderr


def test_a_port_that_does_not_answer_is_a_failure(machine):
    (machine.engine / "silent").touch()
    done = machine.install(OLD, "--set", f"PUBLISH_PORT={machine.port}")
    assert done.returncode == 1
    assert f"port {machine.port} of 127.0.0.1 does not answer" in done.stderr


def test_a_port_that_another_program_has_is_named_before_anything_starts(machine):
    with socket.create_server(("127.0.0.1", machine.port)):
        done = machine.install(OLD, "--set", f"PUBLISH_PORT={machine.port}")
    assert done.returncode == 1
    assert f"port {machine.port} of 127.0.0.1 is taken by another program" in done.stderr
    assert "--set PUBLISH_PORT=" in done.stderr
    assert not (machine.engine / "running").exists()


def test_without_an_earlier_release_there_is_no_way_back(machine):
    machine.first()
    done = machine.install(None, "--rollback")
    assert done.returncode == 1
    assert "knows no release before" in done.stderr
    assert machine.running == OLD


@pytest.mark.parametrize("line", ["LOG_LEVEL", "a b=c", "$(id)=1", "X=1\nY=2"])
def test_a_setting_that_is_none_is_refused(machine, line):
    assert machine.install(OLD, "--set", line).returncode == 1
    assert not (machine.engine / "running").exists()


def test_values_are_written_as_they_are(machine):
    value = r"a\n&$HOME `id` 'x' = /|y"
    done = machine.install(OLD, "--set", f"PUBLISH_PORT={machine.port}", "--set", f"LLM_PROMPT={value}")
    assert done.returncode == 0, done.stderr
    assert machine.settings["LLM_PROMPT"] == value


def test_the_release_key_can_be_demanded(machine, tmp_path):
    other = factory.signing_key(tmp_path).with_suffix(".pub").read_text()
    (tmp_path / "signers").write_text(f'release namespaces="airgap-ocr" {other}')
    done = machine.install(OLD, "--signers", str(tmp_path / "signers"))
    assert done.returncode == 1
    assert not (machine.engine / "images").exists()
    assert list(machine.site.iterdir()) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5"])
def test_a_port_is_opened_in_words(machine, address):
    opened = ("--set", f"PUBLISH_PORT={machine.port}", "--set", f"PUBLISH_ADDRESS={address}")
    done = machine.install(OLD, *opened)
    assert done.returncode == 1
    assert "ALLOW_ANONYMOUS=1" in done.stderr
    assert not (machine.engine / "running").exists()
    assert not (machine.site / ".env").exists()


@pytest.mark.parametrize("word", ["AUTH_ENABLED=1", "ALLOW_ANONYMOUS=1"])
def test_a_port_that_was_opened_in_words_is_open(machine, word):
    opened = ("--set", f"PUBLISH_PORT={machine.port}", "--set", "PUBLISH_ADDRESS=0.0.0.0", "--set", word)
    done = machine.install(OLD, *opened)
    assert done.returncode == 0, done.stderr
    assert machine.settings["PUBLISH_ADDRESS"] == "0.0.0.0"


def test_an_address_is_no_command(machine, tmp_path):
    touched = tmp_path / "touched"
    evil = f"127.0.0.1; touch {touched}"
    words = ("--set", "ALLOW_ANONYMOUS=1", "--set", f"PUBLISH_ADDRESS={evil}")
    assert machine.install(OLD, *words).returncode == 1
    machine.install(OLD, "--set", "ALLOW_ANONYMOUS=1", "--set", f"PUBLISH_PORT=1; touch {touched}")
    assert not touched.exists()
