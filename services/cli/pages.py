"""The services' pages for Prometheus under `tiendo up`: where they are, and the file that says so.

Invariant: a page whose port nobody set keeps nothing from starting.
"""

import contextlib
import http.client
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.cli import ports
from services.cli.addresses import OWN
from services.cli.children import kind_of
from services.cli.files import write_json
from services.common.config import SERVICES

_FILE = "prometheus.json"
_LOOK_SECONDS = 2.0


def find(host: str, parts: Sequence[str] = SERVICES, draw: Callable[[], int] = ports.draw) -> dict[str, int]:
    """Give each page's port: for a service's first part the one that was set, else a free one."""
    given: dict[str, int] = {}
    for service in SERVICES:
        if port := OWN[service]().metrics_port:
            given[next(part for part in parts if kind_of(part) == service)] = port
    for part in parts:
        if part not in given:
            given[part] = ports.find_free(host, given.values(), draw)
    return {part: given[part] for part in parts}


def setting(part: str) -> str:
    """Name the setting of a part's page."""
    return f"TIENDO_{kind_of(part).upper()}_METRICS_PORT"


def write(folder: Path, host: str, ports: Mapping[str, int]) -> None:
    """Say where the pages are, in the form of Prometheus' `file_sd_configs`."""
    targets = [{"targets": [f"{host}:{port}"], "labels": {"service": kind_of(part)}} for part, port in ports.items()]
    write_json(folder / _FILE, targets)


def remove(folder: Path) -> None:
    """Say it no longer."""
    (folder / _FILE).unlink(missing_ok=True)


def known(folder: Path, host: str) -> list[tuple[str, str]]:
    """Give service and `host:port` of each page that is known here: set in the environment, or under a `tiendo up` there."""
    found: list[tuple[str, str]] = []
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        listed = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        found = [(str(target["labels"]["service"]), str(target["targets"][0])) for target in listed]
    for service in SERVICES:
        if (port := os.environ.get(setting(service), "")) not in {"", "0"}:
            found = [each for each in found if each[0] != service] + [(service, f"{host}:{port}")]
    return sorted((each for each in found if each[0] in SERVICES), key=lambda each: SERVICES.index(each[0]))


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
