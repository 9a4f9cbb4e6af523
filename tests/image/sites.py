"""A bundle, and a site that its `install.sh` makes on the real engine."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy import bundle
from tests.conftest import ROOT, free_port
from tests.image.daemon import docker, environment, run

OUTSIDE = {
    **{
        f"{address}:{port}": ("timeout", "3", "bash", "-c", f": </dev/tcp/{address}/{port}")
        for address, port in (("192.0.2.1", 80), ("1.1.1.1", 53), ("198.51.100.1", 443))
    },
    "example.org": ("env", "RES_OPTIONS=timeout:2 attempts:1", "getent", "hosts", "example.org"),
}
"""Places that nothing of ours has to do with, and the command that asks each for an answer."""


def make_bundle(folder: Path, version: str, image: str, key: Path) -> Path:
    """A signed bundle of this work tree under another version, with `image` as its CPU image."""
    archive = folder.with_suffix(".tar")
    docker("tag", image, f"airgap-ocr:{version}-cpu")
    docker("save", "--output", archive, f"airgap-ocr:{version}-cpu")
    docker("image", "rm", f"airgap-ocr:{version}-cpu")
    before, bundle.VERSION = bundle.VERSION, version
    try:
        bundle.make_bundle(folder, {"cpu": archive}, [], key, work_tree())
    finally:
        bundle.VERSION = before
        archive.unlink()
    return folder


def work_tree() -> bundle.Commit:
    """The tracked files as they are now, committed or not."""
    made = run("git", "stash", "create", cwd=ROOT).stdout.strip()
    return bundle.Commit(made or run("git", "rev-parse", "HEAD", cwd=ROOT).stdout.strip(), 1_700_000_000)


@dataclass
class Site:
    """A folder that install.sh fills, under a project name, a volume and a port of its own."""

    folder: Path
    name: str
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def install(
        self,
        script: Path,
        *options: str,
        prefix: tuple[str, ...] = (),
        check: bool = True,
        wait: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run an install.sh. `prefix`: what it is run by. `wait`: seconds a release may take to be ready."""
        command = [*prefix, "bash", str(script), "--to", str(self.folder), *options]
        if not {"--signers", "--rollback", "--erase"} & set(options):
            command += ["--signers", str(script.with_name("signers"))]
        return run(*command, check=check, cwd="/", env=environment() | {"WAIT_SECONDS": str(wait)})

    def install_bundle(
        self, release: Path, *options: str, prefix: tuple[str, ...] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        wanted = {
            "COMPOSE_PROJECT_NAME": self.name,
            "DATA_VOLUME": f"{self.name}-data",
            "PUBLISH_ADDRESS": "127.0.0.1",
            "PUBLISH_PORT": str(self.port),
        } | self.settings
        lines = [word for item in wanted.items() for word in ("--set", "=".join(item))]
        return self.install(release / "install.sh", *lines, *options, prefix=prefix, check=check)

    def compose(self, *words: str | Path, **options: object) -> str:
        return docker("compose", *words, cwd=self.folder, **options)

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        return docker("ps", "-aq", *self._labelled(service)).split()[0]

    def services(self) -> list[str]:
        """The services that run."""
        label = '{{.Label "com.docker.compose.service"}}'
        return sorted(set(docker("ps", "--format", label, *self._labelled()).split()))

    def _labelled(self, service: str | None = None) -> list[str]:
        labels = {"project": self.name} | ({"service": service} if service else {})
        return [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any]
        [found] = json.loads(docker("inspect", self.container(service)))
        return found

    def inside(self, service: str, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        return run("docker", "exec", self.container(service), *command, **options)

    def reached(self, *services: str) -> list[tuple[str, str]]:
        """(service, address or name) of the world outside that one of them gets an answer from."""
        for service in services:  # the same questions, where there is an answer
            self.inside(service, "timeout", "20", "bash", "-c", ": </dev/tcp/gateway/8000")
            self.inside(service, "getent", "hosts", "gateway")
        tries = [(service, place) for service in services for place in OUTSIDE]
        with ThreadPoolExecutor(len(tries)) as pool:
            ended = pool.map(lambda one: self.inside(one[0], *OUTSIDE[one[1]], check=False).returncode, tries)
            return [one for one, code in zip(tries, ended, strict=True) if code == 0]

    def make(self, profiles: str, image: str, **services: dict[str, object] | None) -> None:
        """A site of profiles that want a GPU, without one: every server is `image`, on the CPU engine.

        `services`: what else differs, by service; None as a service leaves it out, None in one its key.
        """
        self.folder.mkdir(parents=True)
        for name in ("models", "tls"):
            (self.folder / name).mkdir()
        shutil.copytree(ROOT / bundle.MONITORING, self.folder / "monitoring")
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        for name, service in compose["services"].items():
            service.pop("deploy", None)
            if "airgap-ocr:" in service["image"]:
                service["image"] = image
            if service.get("environment", {}).get("BACKEND") == "vllm":
                service["environment"]["BACKEND"] = "rapidocr"
                service["mem_limit"] = "4g"
            for key, value in (services.get(name) or {}).items():
                service[key] = service[key] | value if isinstance(value, dict) else value
        for name in [name for name, service in services.items() if service is None]:
            del compose["services"][name]
        (self.folder / "docker-compose.yml").write_text(yaml.safe_dump(compose))
        own = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_PROFILES": profiles,
            "DATA_VOLUME": f"{self.name}-data",
            "PUBLISH_ADDRESS": "127.0.0.1",
            "PUBLISH_PORT": str(self.port),
        }
        lines = [f"{name}={value}\n" for name, value in (own | self.settings).items()]
        (self.folder / ".env").write_text("".join(lines))

    def make_certificate(self) -> Path:
        """tls.crt and tls.key, as a site puts them there; the gateway takes them at its next start."""
        tls = self.folder / "tls"
        subject = ["-subj", "/CN=ocr.test", "-addext", "subjectAltName=IP:127.0.0.1"]
        files: list[str | Path] = ["-keyout", tls / "tls.key", "-out", tls / "tls.crt"]
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files)
        run("chown", "10001", tls / "tls.key")
        return tls / "tls.crt"

    def override(self, **services: dict[str, object]) -> None:
        """What a site adds to the compose file, in a file that outlives upgrades. Health is seen sooner."""
        text = yaml.safe_dump({"services": {"gateway": {"healthcheck": {"interval": "3s"}}} | services})
        (self.folder / "docker-compose.override.yml").write_text(text)

    @property
    def variables(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    @contextmanager
    def client(self, **options: Any) -> Iterator[httpx.Client]:
        scheme = "https" if (self.folder / "tls" / "tls.crt").exists() else "http"
        settings: dict[str, Any] = {"timeout": 120, "trust_env": False, "verify": self.trusted()} | options
        with httpx.Client(base_url=f"{scheme}://127.0.0.1:{self.port}", **settings) as client:
            yield client

    def trusted(self) -> ssl.SSLContext | bool:
        """The site's own certificate and no other, where it has one."""
        certificate = self.folder / "tls" / "tls.crt"
        return ssl.create_default_context(cafile=certificate) if certificate.exists() else False

    def wait_until_ready(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        answer: object = None
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    answer = client.get("/readyz")
                    if answer.status_code == 200:
                        return
                except httpx.TransportError as error:
                    answer = error
                time.sleep(0.3)
        raise AssertionError(f"not ready: {answer}\n{self.compose('logs', '--tail', '40')}")

    def start(self, seconds: float = 120) -> None:
        """`docker compose up`, until the site is ready. What does not start says why."""
        done = run("docker", "compose", "up", "-d", cwd=self.folder, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{self.compose('logs', '--tail', '400')}"
        self.wait_until_ready(seconds)

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Leave nothing behind, whatever state the test left it in."""
        if (self.folder / "docker-compose.yml").exists():
            self.compose("down", "--volumes", "--remove-orphans")
        shutil.rmtree(self.folder, ignore_errors=True)
