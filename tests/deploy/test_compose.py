"""compose.yaml: valid by the specification, confined, pinned, and made of files that are there."""

import re
from typing import Any

import pytest

from services.catalog.config import CatalogSettings
from services.common.config import ServiceSettings, Settings, check_environment
from services.integration.config import IntegrationSettings
from services.status.config import StatusSettings
from tests.support.deployment import DEPLOY, check, is_pinned, load

COMPOSE: dict[str, Any] = load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN: dict[str, type[ServiceSettings]] = {
    "catalog": CatalogSettings,
    "integration": IntegrationSettings,
    "status": StatusSettings,
}


def test_it_is_valid() -> None:
    """It follows the schema of the compose specification."""
    done = check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")

    assert done.returncode == 0, done.stdout


def test_the_production_shape() -> None:
    """PostgreSQL, three brokers, two replicas of each service, a migration before them, and what watches."""
    assert set(SERVICES) == {
        *("catalog", "integration", "status", "migrate", "tiendo", "postgres", "nats-1", "nats-2", "nats-3"),
        *("otel-collector", "prometheus", "grafana"),
    }
    assert {SERVICES[name]["deploy"]["replicas"] for name in OWN} == {2}
    assert all(SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully" for name in OWN)
    assert {SERVICES[f"nats-{n}"]["hostname"] for n in (1, 2, 3)} == {"nats-1", "nats-2", "nats-3"}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_may_gain_no_rights(name: str) -> None:
    """Every image is named by a full version; no process may gain privileges; ports are this machine's alone."""
    service = SERVICES[name]

    assert is_pinned(service["image"])
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", ["catalog", "integration", "status", "migrate", "tiendo"])
def test_our_containers_are_confined(name: str) -> None:
    """Ours run as no root user on a read-only root without capabilities."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", OWN)
def test_a_service_starts_with_its_settings(name: str) -> None:
    """The service itself takes the variables it is given, and its ports are those that others name."""
    environment: dict[str, str] = SERVICES[name]["environment"]
    own = OWN[name]

    check_environment(environment, own)
    port = own().port
    assert environment["HEALTH_PORT"] == str(port)
    assert environment[f"TIENDO_{name.upper()}_ADDRESS"] == f"{name}:{port}"
    assert SERVICES[name]["ports"][0].endswith(f":{port}")
    assert SERVICES[name]["command"] == ["serve", name]
    # More than the drain and the 2 s after it, or it is killed in the middle of a call.
    assert int(SERVICES[name]["stop_grace_period"][:-1]) > Settings().drain_seconds + 2


def test_mounted_files_are_there() -> None:
    """Every file or folder that is mounted from here exists, and every volume is declared."""
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]

    assert [mount for mount in mounts if mount[0] == "." and not (DEPLOY / mount).exists()] == []
    assert {mount for mount in mounts if mount[0] != "."} == set(COMPOSE["volumes"])


def test_every_secret_must_be_given() -> None:
    """A variable without a value stops the start (`:?`), and the runbook's loop makes every one of them."""
    text = (DEPLOY / "compose.yaml").read_text()
    runbook = (DEPLOY / "RUNBOOK.md").read_text()
    made = (
        re.findall(r"\$ for name in ([\w\s\\]+); do echo \"\$\{name\}_PASSWORD", runbook)[0].replace("\\", " ").split()
    )

    assert re.findall(r"\$\{\w+(?!\w*:\?\})[^}]*\}", text) == []
    assert {f"{name}_PASSWORD" for name in made} == set(re.findall(r"\$\{(\w+):\?\}", text))
