"""The Kubernetes manifests: valid by the published schemas, hardened, and without a way out."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from airgap.core.version import VERSION
from config import BACKENDS, Settings
from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
MANIFESTS = [
    (path.name, document)
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
SETTINGS = {name.upper() for name in Settings.model_fields}
LABEL = {"app.kubernetes.io/name": "airgap-ocr"}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for _, document in MANIFESTS if document["kind"] == kind]


DEPLOYMENTS = {item["metadata"]["name"]: item for item in of_kind("Deployment")}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda item: f"{item[0]}-{item[1]['kind']}")
@pytest.mark.parametrize("version", ["1.28", "1.34"])
def test_it_is_valid_by_the_published_schema(manifest, version):
    _, document = manifest
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        assert document["spec"].keys() == {"selector", "jobLabel", "endpoints"}
        return
    kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_does_not_exist_is_found():
    wrong = yaml.safe_load(yaml.safe_dump(DEPLOYMENTS["airgap-ocr-cpu"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_server_is_hardened_and_any_user_may_run_it(name):
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "runAsUser" not in pod["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_server_is_the_bundles_image_with_settings_that_exist(name):
    [container] = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"airgap-ocr:{VERSION}-{name.rpartition('-')[2]}"
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment.keys() <= SETTINGS
    assert environment["BACKEND"] in BACKENDS
    [settings] = of_kind("ConfigMap")
    assert settings["data"].keys() <= SETTINGS
    probes = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")}
    assert probes == {"/readyz"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_nothing_goes_out_but_to_the_database_where_that_is_wanted():
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind("NetworkPolicy")}
    assert all(policy["podSelector"] == {"matchLabels": LABEL} for policy in policies.values())
    assert policies["airgap-ocr"]["egress"] == []
    assert "Egress" in policies["airgap-ocr"]["policyTypes"]
    ports = [port["port"] for rule in policies["airgap-ocr-database"]["egress"] for port in rule["ports"]]
    assert sorted(set(ports)) == [53, 5432]
    for server in DEPLOYMENTS.values():
        assert LABEL.items() <= server["spec"]["template"]["metadata"]["labels"].items()
    [service] = of_kind("Service")
    assert service["spec"]["selector"] == LABEL
