"""The services' pages for Prometheus under `tiendo up`: where they are, and the file that says so.

Invariant: a page never keeps anything from starting; where nobody set its port and the customary one is taken, another is found.
"""

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from services.cli.addresses import OWN
from services.common.config import SERVICES

CUSTOMARY_PORTS = {"catalog": 7111, "integration": 7112, "status": 7113}
_FILE = "prometheus.json"
_LOOK_SECONDS = 2.0


def find(host: str) -> dict[str, int]:
    """Give each page's port: the one that was set, else the customary one, else a free one."""
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as held:  # until all are found, so that none is found twice
        for service in SERVICES:
            port = OWN[service]().metrics_port
            ports[service] = port or _free(host, CUSTOMARY_PORTS[service] if port is None else 0, held)
    return ports


def _free(host: str, wanted: int, held: contextlib.ExitStack) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        probe = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((host, port))
            probe.listen()  # a port only bound could be bound again
            return int(probe.getsockname()[1])
    return 0


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
