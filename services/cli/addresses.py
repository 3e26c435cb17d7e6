"""Where the parts listen on this machine, and where callers find them.

Invariant: a port that was set moves the address callers use along with it, and the other way round, unless both were set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from services.cli.ports import find_free
from services.common.config import SERVICES, ServiceSettings, Settings, SettingsError, explain
from services.common.ports import PortTakenError, check_port

DEFAULT_PORTS = {"catalog": 7101, "integration": 7102, "status": 7103}
DEFAULT_WEB_PORT = 7100
DEFAULT_NATS_URL = "nats://127.0.0.1:7104"
WEB_SETTING = "TIENDO_STATUS_WEB_PORT"
_DEFAULT_NATS_PORT = 4222


class CatalogPort(ServiceSettings):
    """The catalog's own settings, as far as they are common to all services."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_CATALOG_", frozen=True)


class IntegrationPort(ServiceSettings):
    """The same of integration."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_INTEGRATION_", frozen=True)


class StatusPort(ServiceSettings):
    """The same of status, and where its pages are."""

    model_config = SettingsConfigDict(env_prefix="TIENDO_STATUS_", frozen=True)

    web_port: Annotated[int | None, BeforeValidator(lambda given: None if given == "" else given)] = Field(
        default=DEFAULT_WEB_PORT, ge=0, le=65535, description="Port of the pages for people; empty: none."
    )


OWN: Mapping[str, type[ServiceSettings]] = {
    "catalog": CatalogPort,
    "integration": IntegrationPort,
    "status": StatusPort,
}


def nats_servers(nats_url: str) -> list[tuple[str, int]]:
    """Give host and port of each server that TIENDO_NATS_URL names. Raises SettingsError."""
    servers = []
    for url in nats_url.split(","):
        place = url.strip().rpartition("://")[2].rpartition("@")[2].rstrip("/")
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        if not (port or "0").isdigit():
            raise SettingsError(f"TIENDO_NATS_URL: give nats://host:port, not {url!r}")
        servers.append((host, int(port or _DEFAULT_NATS_PORT)))
    return servers


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports to listen on, and addresses to call."""

    host: str
    ports: Mapping[str, int]
    calls: Mapping[str, str]
    nats_url: str
    web_port: int | None = None
    """None: no pages."""

    def settings(self, settings: Settings) -> Settings:
        """The shared settings with the addresses to call, for those who read theirs before these were known."""
        return settings.model_copy(update={f"{name}_address": self.calls[name] for name in SERVICES})

    def environ(self) -> dict[str, str]:
        """The settings that make every part agree."""
        settings = {"TIENDO_NATS_URL": self.nats_url, WEB_SETTING: "" if self.web_port is None else str(self.web_port)}
        for service in SERVICES:
            settings[f"TIENDO_{service.upper()}_PORT"] = str(self.ports[service])
            settings[f"TIENDO_{service.upper()}_ADDRESS"] = self.calls[service]
        return settings

    def page(self) -> str:
        """Where the pages are, to call; empty where there are none."""
        return "" if self.web_port is None else f"http://{calling_host(self.host)}:{self.web_port}"

    def nats_servers(self) -> list[tuple[str, int]]:
        """Host and port of each NATS server that is named. Raises SettingsError."""
        return nats_servers(self.nats_url)

    def nats_cluster(self, count: int) -> list[tuple[str, int]]:
        """Host and port of each of `count` servers: as named, or one that is named and those on the ports after it.

        Raises SettingsError.
        """
        servers = self.nats_servers()
        if len(servers) == 1:
            host, port = servers[0]
            return [(host, port + number) for number in range(count)]
        if len(servers) != count:
            raise SettingsError(f"TIENDO_NATS_URL: name one server or all {count} of the cluster, not {len(servers)}")
        return servers

    def nats_host_port(self) -> tuple[str, int]:
        """Host and port of the first NATS server."""
        return self.nats_servers()[0]

    def own_nats(self) -> bool:
        """Whether the NATS server is to run on this machine."""
        return self.nats_host_port()[0] in {"127.0.0.1", "localhost", "[::1]"}

    def assignments(self) -> dict[str, str]:
        """What a command in another terminal needs besides the defaults."""
        needed = {
            f"TIENDO_{service.upper()}_ADDRESS": self.calls[service]
            for service in SERVICES
            if self.calls[service] != f"127.0.0.1:{DEFAULT_PORTS[service]}"
        }
        if self.web_port not in {None, DEFAULT_WEB_PORT}:
            needed[WEB_SETTING] = str(self.web_port)
        if self.nats_url != DEFAULT_NATS_URL:
            needed["TIENDO_NATS_URL"] = self.nats_url
        return needed


def calling_host(host: str) -> str:
    """Give the host at which to call what listens on `host`."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104


def find(settings: Settings, environ: Mapping[str, str]) -> Addresses:
    """Read the ports and addresses in force. Raises SettingsError."""
    ports: dict[str, int] = {}
    calls: dict[str, str] = {}
    host = calling_host(settings.host)
    for service in SERVICES:
        prefix = f"TIENDO_{service.upper()}_"
        try:
            own = OWN[service]()
        except ValidationError as error:
            raise explain(error, prefix) from None
        address = settings.address_of(service)
        if own.port:
            ports[service] = own.port
        elif f"{prefix}ADDRESS" in environ:
            text = address.rpartition(":")[2]
            if not text.isdigit():
                raise SettingsError(f"{prefix}ADDRESS: give host:port, not {address!r}")
            ports[service] = int(text)
        else:
            ports[service] = DEFAULT_PORTS[service]
        calls[service] = address if f"{prefix}ADDRESS" in environ else f"{host}:{ports[service]}"
    return Addresses(settings.host, ports, calls, settings.nats_url, _web_port(settings.host))


def beside(found: Addresses, environ: Mapping[str, str]) -> Addresses:
    """Give addresses on this machine alone, for an installation beside others.

    Free ports take the place of the defaults where one of these is taken; what was set stays as it was set.
    """
    host = calling_host(found.host)
    wanted = {
        name: found.ports[name]
        for name in SERVICES
        if not {f"TIENDO_{name.upper()}_{end}" for end in ("PORT", "ADDRESS")} & environ.keys()
    }
    if WEB_SETTING not in environ and found.web_port is not None:
        wanted["web"] = found.web_port
    if "TIENDO_NATS_URL" not in environ:
        wanted["nats"] = found.nats_host_port()[1]
    taken = any(_taken(host, port) for port in wanted.values())
    given = {name: find_free(host) for name in wanted} if taken else {}
    ports = {name: given.get(name, port) for name, port in found.ports.items()}
    return Addresses(
        found.host,
        ports,
        {name: f"{host}:{port}" for name, port in ports.items()},
        f"nats://127.0.0.1:{given['nats']}" if "nats" in given else found.nats_url,
        given.get("web", found.web_port),
    )


def _taken(host: str, port: int) -> bool:
    try:
        check_port(host, port, "")
    except PortTakenError:
        return True
    return False


def _web_port(host: str) -> int | None:
    # 0 asks for any: one is drawn here, so that all who name the pages agree.
    port = StatusPort().web_port
    return find_free(host) if port == 0 else port
