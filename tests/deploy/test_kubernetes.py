"""The Kubernetes manifests: kustomize builds them, they follow the schemas, and they keep what they promise."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.config import SERVICES, Settings
from tests.support.deployment import DEPLOY, check, is_pinned

FOLDERS = ("base", "production")
PORTS = dict(zip(SERVICES, (7101, 7102, 7103), strict=True))


@cache
def built(folder: str) -> str:
    """What kustomize makes of a folder."""
    done = check("kubectl", "kustomize", f"deploy/kubernetes/{folder}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(kind: str, folder: str = "production") -> dict[str, dict[str, Any]]:
    """The objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(built(folder)) if each["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """The pod of every workload by name."""
    workloads = objects("Deployment") | objects("Job")
    return {name: workload["spec"]["template"]["spec"] for name, workload in workloads.items()}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_schemas_take_it(folder: str, tmp_path: Path) -> None:
    """kubernetes-validate accepts every object, and no field is unknown to it."""
    file = tmp_path / "built.yaml"
    file.write_text(built(folder))
    done = check("kubernetes-validate", "--strict", file)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_used(folder: str) -> None:
    """A kustomization names every file beside it: none is forgotten."""
    root = DEPLOY / "kubernetes" / folder
    text = (root / "kustomization.yaml").read_text()

    assert [file.name for file in root.iterdir() if file.name != "kustomization.yaml" and file.name not in text] == []


def test_what_production_has() -> None:
    """Each service may lose one replica at a time, scales from two on, and is not given a fixed number."""
    assert set(objects("Deployment")) == set(objects("PodDisruptionBudget")) == set(SERVICES)
    scalers = objects("HorizontalPodAutoscaler")
    assert {name: scaler["spec"]["scaleTargetRef"]["name"] for name, scaler in scalers.items()} == {
        s: s for s in SERVICES
    }
    assert all(scaler["spec"]["minReplicas"] >= 2 for scaler in scalers.values())
    assert all("replicas" not in deployment["spec"] for deployment in objects("Deployment").values())
    assert all(deployment["spec"]["replicas"] == 2 for deployment in objects("Deployment", "base").values())


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_pods_are_confined(name: str) -> None:
    """No root user, a read-only root, no capability, no token, limits, a pinned image."""
    pod = pods()[name]
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert is_pinned(container["image"])
    # A Service's variables would look like settings.
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("name", SERVICES)
def test_probes_ask_the_overall_health(name: str) -> None:
    """The three probes ask the port the service listens on, by gRPC, for no single part; and it gets time to finish calls."""
    pod = pods()[name]
    container = pod["containers"][0]
    port = PORTS[name]

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"] == {"port": port}
    assert {each["name"]: each["containerPort"] for each in container["ports"]}["grpc"] == port
    assert objects("Service")[name]["spec"]["ports"][0]["port"] == port
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > waits + Settings().drain_seconds + 2


def test_settings_name_the_services() -> None:
    """The addresses in the settings are the Services and their ports."""
    config = next(iter(objects("ConfigMap").values()))

    for name, port in PORTS.items():
        assert config["data"][f"TIENDO_{name.upper()}_ADDRESS"] == f"{name}:{port}"


def test_secrets_are_references_only() -> None:
    """There is no Secret object, and what is secret comes from one."""
    assert objects("Secret") == {}
    for pod in pods().values():
        for variable in pod["containers"][0]["env"]:
            if variable["name"].endswith(("_URL", "PASSWORD")):
                assert "secretKeyRef" in variable["valueFrom"]


def test_nothing_is_open_that_is_not_named() -> None:
    """The first policy closes all; every other selects pods that exist and opens named ports."""
    policies = objects("NetworkPolicy")
    labels = [
        template["spec"]["template"]["metadata"]["labels"]
        for template in (objects("Deployment") | objects("Job")).values()
    ]

    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        wanted = policy["spec"]["podSelector"].get("matchLabels", {}).items()
        assert any(wanted <= have.items() for have in labels), name
        rules = policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
        assert all(rule["ports"] for rule in rules)


def test_who_reads_whom_may() -> None:
    """Status reaches the catalog and integration, integration the catalog; both sides of each way are open."""
    policies = objects("NetworkPolicy")

    def reached(caller: str) -> set[int]:
        rules = policies[caller]["spec"]["egress"]
        return {port["port"] for rule in rules for port in rule["ports"]} & set(PORTS.values())

    def callers(service: str) -> str:
        return str(policies[service]["spec"]["ingress"])

    assert reached("status") == {7101, 7102}
    assert reached("integration") == {7101}
    assert "status" in callers("catalog")
    assert "integration" in callers("catalog")
    assert "status" in callers("integration")
