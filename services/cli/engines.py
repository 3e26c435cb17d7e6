"""The two shapes in which `tiendo up` runs the whole: embedded, and as in production.

Invariant: each keeps its data to itself, so one never touches what the other made.
"""

import os
import time
from pathlib import Path
from typing import Protocol

from services.cli import brokers, ports
from services.cli.addresses import Addresses
from services.cli.children import Children, EndedError
from services.cli.postgres import STOP_SIGNAL, Postgres, PostgresFailedError, PostgresMissingError
from services.cli.session import Session, StopError
from services.common.config import SERVICES

_POSTGRES_SECONDS = 60.0  # after a crash it reads its log again first
_POLL_SECONDS = 0.05
_NODES = 3


class Engine(Protocol):
    """What differs between the shapes."""

    name: str
    folder: Path
    """Where its data is."""
    replicas: int
    """How many of each service there are; several share a port, are started again when they end, as all parts then."""
    servers: list[tuple[str, int]]
    """Host and port of each NATS server that is started here."""

    def environ(self) -> dict[str, str]:
        """The settings of every service besides the addresses."""

    def known(self, service: str) -> bool:
        """Whether the service has a database from an earlier start, most likely."""

    def begin(self, children: Children) -> None:
        """Start what the services stand on. Raises StopError when it was told why not, EndedError."""


class Embedded:
    """One NATS server, and a database file for each service."""

    name = "embedded"
    replicas = 1

    def __init__(self, session: Session, addresses: Addresses, data_folder: Path) -> None:
        self._session = session
        self.folder = data_folder
        self.servers = [addresses.nats_host_port()] if addresses.own_nats() else []

    def environ(self) -> dict[str, str]:
        """Nothing: the defaults are meant for this."""
        return {}

    def known(self, service: str) -> bool:
        """Whether its file is there."""
        return (self.folder / f"{service}.db").exists() or _database_variable(service) in os.environ

    def begin(self, children: Children) -> None:
        """Start the broker."""
        program = _broker_program(self._session)
        for host, port in self.servers:
            children.start("nats", brokers.single(program, self.folder, host, port))


class Production:
    """PostgreSQL with a database for each service, a cluster of three NATS servers, and two of each service."""

    name = "production"
    replicas = 2

    def __init__(self, session: Session, addresses: Addresses, data_folder: Path) -> None:
        """Find what it needs. Raises SettingsError, and StopError when it was told what is missing."""
        self._session, self._host = session, addresses.host
        self.folder = data_folder / "production"
        self.folder.mkdir(exist_ok=True)
        own_nats = addresses.own_nats()
        self.servers = addresses.nats_cluster(_NODES) if own_nats else []
        self._nats_url = addresses.nats_url
        if own_nats:
            self._nats_url = ",".join(f"nats://{host}:{port}" for host, port in self.servers)
        self._mine = [service for service in SERVICES if not os.environ.get(_database_variable(service))]
        self._postgres: Postgres | None = None
        try:
            self._postgres = Postgres(self.folder) if self._mine else None
        except PostgresMissingError:
            session.complain(session.word("screen.up.postgres_missing"))
            raise StopError(1) from None
        except PostgresFailedError as failure:
            raise self._failed(failure) from None

    def environ(self) -> dict[str, str]:
        """Databases that are started here, the whole cluster, and a port for two."""
        settings = {"TIENDO_NATS_URL": self._nats_url, "TIENDO_REUSE_PORT": "true"}
        if self._postgres is not None:
            settings |= {_database_variable(service): self._postgres.url(service) for service in self._mine}
        return settings

    def known(self, service: str) -> bool:
        """Whether the server's folder was there before this start."""
        return service not in self._mine or (self._postgres is not None and self._postgres.existed)

    def begin(self, children: Children) -> None:
        """Start brokers and PostgreSQL, and wait until its databases are there."""
        given = [ports.find_free(self._host) for _ in self.servers]
        program = _broker_program(self._session)
        for name, command in brokers.cluster(program, self.folder, self.servers, given).items():
            children.start(name, command)
        if self._postgres is None:
            return
        try:
            self._postgres.prepare()
            server = children.start("postgres", self._postgres.command, stop_signal=STOP_SIGNAL)
            deadline = time.monotonic() + _POSTGRES_SECONDS
            while not self._postgres.ready():
                if server.process.poll() is not None:
                    raise EndedError(server)
                if time.monotonic() > deadline:
                    raise PostgresFailedError(f"not ready after {_POSTGRES_SECONDS:.0f} s; see {server.log}")
                time.sleep(_POLL_SECONDS)
            self._postgres.make(self._mine)
        except PostgresFailedError as failure:
            raise self._failed(failure) from None

    def _failed(self, failure: PostgresFailedError) -> StopError:
        self._session.complain(self._session.word("screen.up.postgres_failed", what=failure))
        return StopError(1)


ENGINES: dict[str, type[Embedded] | type[Production]] = {each.name: each for each in (Embedded, Production)}


def _database_variable(service: str) -> str:
    return f"TIENDO_{service.upper()}_DATABASE_URL"


def _broker_program(session: Session) -> str:
    program = brokers.program()
    if program is None:
        session.complain(session.word("screen.up.broker_missing"))
        raise StopError(1)
    return program
