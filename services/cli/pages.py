"""The services' pages for Prometheus under `tiendo up`: where they are, and the file that says so.

Invariant: a page whose port nobody set keeps nothing from starting.
"""

import contextlib
import http.client
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from services.cli.addresses import OWN
from services.common.config import SERVICES
from services.common.server import PortTakenError, check_port

# Below those that the system gives to outgoing connections, which could take one before its service does.
_PORTS = range(17_111, 27_111)
_FILE = "prometheus.json"
_LOOK_SECONDS = 2.0


def find(host: str, draw: Callable[[], int] = lambda: random.choice(_PORTS)) -> dict[str, int]:  # noqa: S311
    """Give each page's port: the one that was set, else a free one."""
    ports = {service: port for service in SERVICES if (port := OWN[service]().metrics_port)}
    for service in SERVICES:
        if service not in ports:
            port = draw()
            while port in ports.values() or not _free(host, port):
                port = draw()
            ports[service] = port
    return {service: ports[service] for service in SERVICES}


def _free(host: str, port: int) -> bool:
    try:
        check_port(host, port, "")
    except PortTakenError:
        return False
    return True


def environ(ports: Mapping[str, int]) -> dict[str, str]:
    """Give the settings that turn the pages on."""
    return {f"TIENDO_{service.upper()}_METRICS_PORT": str(port) for service, port in ports.items()}


def write(folder: Path, host: str, ports: Mapping[str, int]) -> None:
    """Say where the pages are, in the form of Prometheus' `file_sd_configs`."""
    targets = [{"targets": [f"{host}:{port}"], "labels": {"service": service}} for service, port in ports.items()]
    beside = folder / f"{_FILE}.new"
    beside.write_text(json.dumps(targets, indent=1) + "\n", encoding="utf-8")
    beside.replace(folder / _FILE)


def remove(folder: Path) -> None:
    """Say it no longer."""
    (folder / _FILE).unlink(missing_ok=True)


def known(folder: Path, host: str) -> dict[str, str]:
    """Give `host:port` of each page that is known here: set in the environment, or under a `tiendo up` in that folder."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        for target in json.loads((folder / _FILE).read_text(encoding="utf-8")):
            found[str(target["labels"]["service"])] = str(target["targets"][0])
    for service in SERVICES:
        if (port := os.environ.get(f"TIENDO_{service.upper()}_METRICS_PORT", "")) not in {"", "0"}:
            found[service] = f"{host}:{port}"
    return {service: found[service] for service in SERVICES if service in found}


def answers(address: str) -> bool:
    """Tell whether a page is there."""
    host, _, port = address.rpartition(":")
    try:
        page = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_LOOK_SECONDS)
        with contextlib.closing(page):
            page.request("GET", "/metrics")
            return b"target_info" in page.getresponse().read()
    except (OSError, ValueError, http.client.HTTPException):
        return False
