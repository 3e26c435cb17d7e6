"""Brings up what `tiendo up` runs, and waits until it serves.

Invariant: a service is started on a database that was migrated for it, and migrations of one service never run twice at once.
"""

import socket
import time
from collections.abc import Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import pages, streams
from services.cli.addresses import Addresses, calling_host
from services.cli.children import Child, Children, EndedError
from services.cli.engines import Engine
from services.cli.processes import module_command
from services.cli.session import Session, StopError
from services.common.config import SERVICES

_START_SECONDS = 30.0
_BROKER_SECONDS = 10.0
_HEALTH_POLL_SECONDS = 0.05


def names(engine: Engine, service: str) -> list[str]:
    """Give the names of a service's processes: `catalog`, or `catalog-1` and so on where there are several."""
    return [service] if engine.replicas == 1 else [f"{service}-{each}" for each in range(1, engine.replicas + 1)]


class Launch:
    """One start of the whole."""

    def __init__(
        self,
        session: Session,
        children: Children,
        addresses: Addresses,
        engine: Engine,
        page_ports: Mapping[str, int],
    ) -> None:
        self._session, self._children, self._addresses, self._engine = session, children, addresses, engine
        self._page_ports = page_ports
        self._migrating: dict[str, Child] = {}
        self._running: dict[
            str, Child
        ] = {}  # a service's first process under the service's name, the others under theirs
        self._migrated: set[str] = set()

    def run(self) -> None:
        """Start everything; return when every process of each service answers.

        Raises EndedError, and StopError when it was told why not.
        """
        if not self._session.as_json:
            self._session.say(self._session.word("screen.up.starting"))
        self._engine.begin(self._children)
        # A database that is there is most likely of this version: its service starts at once, and only one that ends is
        # migrated first. That halves a second start.
        for service in SERVICES:
            if self._engine.known(service):
                self._serve(service)
            else:
                self._migrate(service)
        url = self._engine.environ().get("TIENDO_NATS_URL", self._addresses.nats_url)
        report = streams.look(url, make=True, seconds=_BROKER_SECONDS)
        if report.reason:
            self._session.complain(self._session.word("screen.doctor.streams_not_made", address=streams.shown(url)))
        self._wait()

    def _wait(self) -> None:
        waiting = set(SERVICES)
        deadline = time.monotonic() + _START_SECONDS
        while waiting:
            self._look(waiting)
            for service in sorted(waiting - set(self._migrating)):
                if self._answers(service):
                    waiting.remove(service)
            if waiting and time.monotonic() > deadline:
                service = min(waiting)
                log = (self._migrating.get(service) or self._running[service]).log
                text = self._session.word("screen.up.no_start", part=service, seconds=int(_START_SECONDS), log=log)
                self._session.complain(text)
                raise StopError(1)
            if waiting:
                time.sleep(_HEALTH_POLL_SECONDS)

    def _answers(self, service: str) -> bool:
        """Whether all of a service's processes answer; the others are started once the first does."""
        if not serving(self._addresses.host, self._addresses.ports[service]):
            return False
        others = names(self._engine, service)[1:]
        for name in others:
            if name not in self._running:
                self._running[name] = self._start(name, service)
        # Which of those that share a port answers a call is for the system to choose: each one's page tells of itself.
        return all(pages.answers(f"{calling_host(self._addresses.host)}:{self._page_ports[name]}") for name in others)

    def _look(self, waiting: set[str]) -> None:
        """Go on with a service whose migration ended, and migrate one that ended on an old database."""
        ended = self._children.ended()
        if ended is None:
            return
        service = next((each for each, child in self._migrating.items() if child is ended), None)
        if service is not None and not ended.process.returncode:
            self._children.forget(self._migrating.pop(service))
            self._serve(service)
            return
        service = next((each for each, child in self._running.items() if child is ended), None)
        if service not in waiting - self._migrated:
            raise EndedError(ended)
        self._children.forget(ended)
        self._migrate(str(service))

    def _migrate(self, service: str) -> None:
        self._migrated.add(service)
        command = module_command(service, "migrate")
        self._migrating[service] = self._children.start(service, command, log_name=f"{service}-migrate")

    def _serve(self, service: str) -> None:
        self._running[service] = self._start(names(self._engine, service)[0], service)

    def _start(self, name: str, service: str) -> Child:
        environ = {pages.setting(name): str(self._page_ports[name])}
        return self._children.start(name, module_command(service), environ=environ)


def serving(host: str, port: int, seconds: float = 1.0) -> bool:
    """Tell whether a service there answers calls."""
    host = calling_host(host)
    try:
        # A plain socket tells at once that nobody listens yet; a channel would back off.
        socket.create_connection((host, port), timeout=seconds).close()
        with grpc.insecure_channel(f"{host}:{port}", (("grpc.enable_http_proxy", 0),)) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
    except (OSError, grpc.RpcError):
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
