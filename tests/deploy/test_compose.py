"""docker-compose.yml: every service is hardened, has no way out, and says what config.py understands."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from airgap.core.version import VERSION
from airgap.engines.offline_environment import TUNED
from airgap.engines.vllm.plugin import PLUGIN_NAME
from config import BACKENDS, Settings
from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PROFILES = sorted({profile for service in SERVICES.values() for profile in service["profiles"]})
SERVERS = {name: service for name, service in SERVICES.items() if "env_file" in service}
WATCHERS = {name: service for name, service in SERVICES.items() if service["profiles"] == ["monitoring"]}
FOREIGN = {"postgresql", *WATCHERS}
OURS = {name: service for name, service in SERVICES.items() if name not in FOREIGN}
SETTINGS = {name.upper() for name in Settings.model_fields}
# What env.example sets for docker-compose.yml itself.
OF_COMPOSE = {
    "COMPOSE_PROJECT_NAME",
    "COMPOSE_PROFILES",
    "GATEWAY_IMAGE",
    "AIRGAP_VERSION",
    "PUBLISH_ADDRESS",
    "PUBLISH_PORT",
    "MODELS_DIR",
    "MODEL_NAME",
    "TLS_DIR",
}
OPTIONAL = {
    "MEM_LIMIT",
    "SHM_SIZE",
    "DATA_VOLUME",
    "PROMETHEUS_IMAGE",
    "GRAFANA_IMAGE",
    "POSTGRES_IMAGE",
    "POSTGRES_PASSWORD",
    "MONITORING_DIR",
    "QWEN_MODEL_NAME",
    "LARGE_MODEL_NAME",
}
# Where vLLM and what is below it keep code that they compiled.
CACHES = (
    "XDG_CACHE_HOME",
    "VLLM_CACHE_ROOT",
    "TRITON_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "FLASHINFER_WORKSPACE_BASE",
    "CUDA_CACHE_PATH",
)
# Beside the gateway: one server, unless this says otherwise.
RUNNING = {"blackwell": {"qwen"}, "engine": {"engine", "vllm"}, "scale": {"scale-1", "scale-2", "postgresql"}}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001" or (name in FOREIGN and not service["user"].startswith("0"))
    assert service["pull_policy"] == "never"
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert (
        not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"} & service.keys()
    )
    for mount in service["tmpfs"]:
        assert {"nosuid", "nodev", "noexec"} <= set(mount.split(":")[1].split(","))


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_data_volume_can_be_written(name):
    own = {"data:/data", f"{name}:/data", f"{name}:/{name}", f"{name}:/var/lib/{name}"}
    for mount in SERVICES[name]["volumes"]:
        assert mount in own or mount.endswith(":ro")
    assert not any("docker.sock" in mount for mount in SERVICES[name]["volumes"])


@pytest.mark.parametrize("name", SERVERS)
def test_servers_have_no_port_no_way_out_and_ask_no_one_for_names(name):
    service = SERVERS[name]
    assert "ports" not in service
    assert service["networks"] == {"inside": {"aliases": ["ocr"]}}
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert service["dns"] == "127.0.0.1"
    assert "${MODELS_DIR:-./models}:/app/models:ro" in service["volumes"]


def test_the_gateway_alone_publishes_8063_and_sees_neither_data_nor_settings():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["gateway"]
    gateway = SERVICES["gateway"]
    assert gateway["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8063}:8000"]
    assert "environment" not in gateway
    assert [mount.rpartition(":")[0].rpartition(":")[2] for mount in gateway["volumes"]] == ["/tls"]
    published = COMPOSE["networks"]["published"]["driver_opts"]
    assert published == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


def test_what_watches_has_no_way_out_and_its_files_are_here():
    assert set(WATCHERS) == {"prometheus", "grafana"}
    for service in WATCHERS.values():
        assert service["networks"] == ["inside"]
        assert "env_file" not in service
        for mount in service["volumes"]:
            if mount.startswith("${MONITORING_DIR:-./monitoring}"):
                assert (ROOT / "monitoring" / mount.split("}")[1].split(":")[0].lstrip("/")).is_dir()


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"monitoring"}))
def test_a_profile_runs_the_gateway_and_its_servers(profile):
    running = {name for name, service in SERVICES.items() if profile in service["profiles"]}
    assert running == {"gateway"} | RUNNING.get(profile, {profile})


def test_a_separate_engine_reads_the_models_alone_and_runs_our_model_and_rule():
    service = SERVICES["vllm"]
    assert service["networks"] == ["inside"]
    assert "env_file" not in service
    assert service["volumes"] == ["vllm:/data", "${MODELS_DIR:-./models}:/app/models:ro"]
    assert service["environment"]["VLLM_PLUGINS"] == PLUGIN_NAME
    assert service["environment"]["TRITON_ALLOW_NON_CONSTEXPR_GLOBALS"] == "1"
    tuned = service["environment"]["VLLM_TUNED_CONFIG_FOLDER"]
    assert ROOT / tuned.removeprefix("/app/") == TUNED
    command = " ".join(service["command"])
    assert "airgap.engines.vllm.ngram:NoRepeatNgram" in command
    assert "AirgapDeepseekOCRForCausalLM" in command
    assert SERVICES["engine"]["environment"]["LLM_BASE_URL"] == "http://vllm:8000/v1"


@pytest.mark.parametrize("name", [name for name in OURS if "gpu" in OURS[name]["image"].rpartition("-")[2]])
def test_compiled_kernels_are_where_a_program_may_write_and_map_code(name):
    """The root is read-only, and /tmp is mounted noexec: only a volume is left."""
    service = SERVICES[name]
    image = dict(re.findall(r"^(?:ENV)? +([A-Z_]+)=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    environment = image | service["environment"]
    volumes = [mount.split(":")[1] for mount in service["volumes"] if not mount.endswith(":ro")]
    for variable in CACHES:
        place = environment[variable]
        assert any(place.startswith(f"{volume}/") for volume in volumes), f"{variable}={place}"
        assert not any(place.startswith(mount.split(":")[0]) for mount in service["tmpfs"])


def test_servers_that_scale_share_a_database_and_data_and_have_a_gpu_each():
    one, two = (SERVICES[name]["environment"] for name in ("scale-1", "scale-2"))
    assert {one.pop("CUDA_VISIBLE_DEVICES"), two.pop("CUDA_VISIBLE_DEVICES")} == {"0", "1"}
    assert one == two
    assert one["DATABASE_URL"].endswith("@postgresql/airgap")
    assert SERVICES["postgresql"]["networks"] == ["inside"]


@pytest.mark.parametrize("name", SERVERS)
def test_environment_names_are_settings(name):
    environment = SERVERS[name]["environment"]
    assert environment.keys() <= SETTINGS | {"CUDA_VISIBLE_DEVICES"}
    assert environment["BACKEND"] in BACKENDS
    assert environment["DATA_DIR"] == "/data"
    assert environment["PORT"] == "8000"
    if "gpu" in SERVERS[name]["image"]:
        [device] = SERVERS[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]
        assert environment["MODEL_PATH"].startswith("/app/models/")


def test_the_example_of_settings_names_what_is_used():
    text = (ROOT / "deploy" / "env.example").read_text()
    names = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    assert names == OF_COMPOSE
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert used <= OF_COMPOSE | OPTIONAL
    # The server inside reads where the gateway is published, to know how open it is.
    assert {"PUBLISH_ADDRESS"} == (OF_COMPOSE | OPTIONAL) & SETTINGS


def test_the_guide_lists_every_profile_and_every_optional_variable():
    guide = (ROOT / "docs" / "operations.md").read_text()
    for name in [*PROFILES, *OPTIONAL]:
        assert f"`{name}`" in guide


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
def test_docker_compose_accepts_it(profile, tmp_path):
    for name in ("docker-compose.yml", "deploy/env.example"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "env.example").rename(tmp_path / ".env")
    command = ["docker-compose", "--profile", profile, "config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    merged = yaml.safe_load(done.stdout)
    assert "8063" in str(merged["services"]["gateway"]["ports"])


def test_the_version_has_one_form_in_image_names():
    assert re.fullmatch(r"[0-9A-Za-z.+-]+", VERSION)
    assert {service["image"].split("-", 3)[0] for service in OURS.values()} == {"airgap"}
