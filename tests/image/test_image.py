"""The image by itself: `docker build`, `docker run`, whoever runs it, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.engines.test_model_folder import tiny_folder
from tests.image.daemon import docker, environment, run
from tests.image.test_operations import blocks

PROFILES = ("cpu", "deepseek", "deepseek-safe", "qwen", "large", "engine", "scale", "monitoring")
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
TMP = ("--tmpfs", "/tmp:size=1g,mode=1777,nosuid,nodev,noexec", "-v", "/data")
READ = ("python", "/opt/airgap/smoke/smoke.py", "--wait", "120")


@pytest.fixture
def started(cpu_image, egress_counter) -> Iterator:
    """`started(*options)` is a container's id; it and its volumes go afterwards."""
    names: list[str] = []

    def start(*options: str, image: str = cpu_image, command: tuple[str, ...] = ()) -> str:
        names.append(docker("run", "-d", *options, image, *command))
        return names[-1]

    yield start
    for name in names:
        docker("rm", "-f", "-v", name)


def test_it_is_smaller_than_900_mb(cpu_image):
    assert int(docker("image", "inspect", "--format", "{{.Size}}", cpu_image)) < 900_000_000


def test_it_holds_neither_pip_nor_a_compiler(cpu_image):
    found = docker("run", "--rm", cpu_image, "sh", "-c", "command -v pip pip3 gcc cc curl wget apt-key; true")
    assert found == ""
    assert run("docker", "run", "--rm", cpu_image, "python", "-m", "pip", check=False).returncode


def test_what_was_taken_out_of_its_packages_is_missed_by_nothing(cpu_image):
    """Colours for tracebacks, and the networks' reader: both are loaded, from what is left."""
    code = (
        "import openvino, rich.console as c, sys\n"
        "openvino.Core().read_model(sys.argv[1])\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: c.Console().print_exception()\n"
    )
    models = "/opt/venv/lib/python3.11/site-packages/rapidocr/models"
    command = ("docker", "run", "--rm", cpu_image, "python", "-c", code)
    assert "ZeroDivisionError" in run(*command, f"{models}/PP-OCRv6_det_small.onnx").stdout


def test_its_user_reads_a_page_without_a_network(started):
    name = started("--network", "none", *HARDENED, *TMP)
    assert "the page was read" in docker("exec", name, *READ)


def test_any_user_of_group_0_reads_a_page_and_keeps_jobs(started):
    """As on platforms that choose the user themselves."""
    name = started("--user", "1000680000:0", *HARDENED, *TMP)
    assert "the page was read" in docker("exec", name, *READ)
    docker("exec", name, "ocr", "send", "/opt/airgap/smoke/page.png", "--job", "-o", "/tmp/out")
    assert docker("exec", name, "find", "/tmp/out", "-name", "results-*.zip")
    assert docker("exec", name, "stat", "-c", "%u", "/data/jobs") == "1000680000"


def test_the_line_of_other_servers_runs_it(started, tmp_path):
    """`docker run -p 8063:8000 -v models:/app/models -e GPU_MEM_UTILIZATION=0.75 image`."""
    name = started("-p", "127.0.0.1::8000", "-v", f"{tmp_path}:/app/models", "-e", "GPU_MEM_UTILIZATION=0.75")
    docker("exec", name, *READ)
    address = docker("port", name, "8000")
    assert (
        "the page was read"
        in run("python3", ROOT / "deploy/smoke/smoke.py", "--url", f"http://{address}").stdout
    )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("BACKEND=vllm", ("vllm", "MODEL_PATH")),
        ("GPU_MEM_UTILIZATION=75", ("GPU_MEM_UTILIZATION",)),
        ("AUTH_ENABLED=1", ("SECRET_KEY", "openssl rand")),
    ],
)
def test_what_it_cannot_do_it_says_and_ends(started, setting, words):
    name = started("-e", setting)
    assert docker("wait", name) in {"1", "2"}
    log = run("docker", "logs", name)
    for word in words:
        assert word in log.stdout + log.stderr
    assert "Traceback" not in log.stdout + log.stderr


def test_a_data_folder_of_somebody_else_stops_the_start_and_is_named(started, tmp_path):
    name = started("-v", f"{tmp_path}:/data")
    assert docker("wait", name) == "2"
    log = run("docker", "logs", name).stderr
    assert "DATA_DIR /data cannot be written by user 10001, group 10001" in log
    assert "chown 10001:10001" in log


@pytest.mark.parametrize("profile", ["deepseek", "large"])
def test_a_profile_for_gpus_says_on_a_machine_without_one_that_it_needs_one(
    cpu_image, egress_counter, tmp_path, profile
):
    """`docker compose --profile deepseek up -d`."""
    for name in ("docker-compose.yml", "deploy/env.example"):
        run("cp", ROOT / name, tmp_path)
    (tmp_path / "env.example").rename(tmp_path / ".env")
    docker("tag", cpu_image, "airgap-ocr:latest-gpu")
    docker("tag", cpu_image, "airgap-ocr:latest-cpu")
    command = ["docker", "compose", "-p", "airgap-gpu", "--profile", profile]
    try:
        done = run(*command, "up", "-d", cwd=tmp_path, env=environment(), check=False)
        assert done.returncode
        assert "could not select device driver" in done.stderr
        assert "nvidia" in done.stderr
    finally:
        run(*command, "down", "--volumes", cwd=tmp_path, check=False)
        docker("image", "rm", "airgap-ocr:latest-gpu", "airgap-ocr:latest-cpu")


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_compose_has_nothing_to_remark_on_the_file(engine, tmp_path, profile):
    for name in ("docker-compose.yml", "deploy/env.example"):
        run("cp", ROOT / name, tmp_path)
    (tmp_path / "env.example").rename(tmp_path / ".env")
    done = run("docker", "compose", *(("--profile", profile) if profile else ()), "config", cwd=tmp_path)
    assert done.stderr == ""
    assert "gateway:" in done.stdout


def test_a_model_is_sealed_as_the_guide_says(cpu_image, egress_counter, tmp_path):
    """Step 2, its second command: the CPU image has the same program, and the model is a tiny one."""
    [(_, body)] = [block for block in blocks("console") if block[0].startswith("2.")]
    seal = "docker run " + body.split("docker run ")[2]
    folder = tmp_path / "models" / "DeepSeek-OCR"
    tiny_folder(folder)
    (tmp_path / "models").chmod(0o755)
    done = run(
        "bash", "-euo", "pipefail", "-c", seal.replace("airgap-ocr:VERSION-gpu", cpu_image), cwd=tmp_path
    )
    assert "deepseek-ocr: 2 tensors" in done.stdout, done
    assert run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=folder).returncode == 0
    (folder / "config.json").chmod(0)
    verify = ("python", "-m", "airgap.engines.model_folder", "/models/DeepSeek-OCR")
    refused = run(
        *("docker", "run", "--rm", "-v", f"{folder.parent}:/models:ro", cpu_image, *verify), check=False
    )
    assert refused.returncode
    assert "config.json cannot be read by user 10001" in refused.stdout + refused.stderr


def test_its_configuration_names_user_health_and_port(cpu_image):
    [found] = json.loads(docker("image", "inspect", cpu_image))
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert config["Healthcheck"]["Test"][-1] == "--ready"
