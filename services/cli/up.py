"""`tiendo up`: all of it on this machine, in the foreground.

Invariant: what it started is gone when it is gone, and the data stays; a second start goes on where the first ended.
"""

import fcntl
import os
import shutil
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli import pages, panel, seeding, streams
from services.cli.addresses import Addresses, calling_host, find
from services.cli.children import Child, Children
from services.cli.client import Client
from services.cli.processes import module_command
from services.cli.session import Session, StopError, command
from services.cli.status import figure
from services.common.config import SERVICES
from services.common.server import PortTakenError, check_port

_START_SECONDS = 30.0
_BROKER_SECONDS = 10.0
_HEALTH_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.2
_STOP_ORDER = ("status", "integration", "catalog", "nats")


class _EndedError(Exception):
    """A part ended by itself."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.name)
        self.child = child


def up(session: Session) -> None:
    """Start everything on this machine, with the real data."""
    settings = session.settings
    addresses = find(settings, os.environ)
    folder = settings.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(session, folder):
        ports = pages.find(addresses.host)
        _check_ports(session, addresses, ports)
        os.environ.update(addresses.environ() | pages.environ(ports))
        children = Children(folder / "logs", os.environ)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        code = 0
        try:
            _start(session, children, addresses, folder)
            pages.write(folder, calling_host(addresses.host), ports)
            _show(session, addresses)
            while True:
                _look(children)
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            session.say("", session.word("screen.up.stopping"))
        except _EndedError as end:
            code = 1
            session.complain(session.word("screen.up.part_ended", part=end.child.name, log=end.child.log))
            for line in end.child.last_lines():
                session.complain(f"  {line}")
        except BaseException:
            _stop(children)
            raise
        finally:
            pages.remove(folder)
        _stop(children)
        session.say(session.word("screen.up.stopped", folder=folder))
        if code:
            raise StopError(code)


def _stop(children: Children) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it is on its way out, and bounded
    children.stop(_STOP_ORDER)


@contextmanager
def _alone(session: Session, folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go when the process ends, however it ends."""
    with (folder / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            session.complain(session.word("screen.up.already", folder=folder))
            raise StopError(1) from None
        yield


def _check_ports(session: Session, addresses: Addresses, page_ports: Mapping[str, int]) -> None:
    wanted = [(addresses.host, addresses.ports[service], f"TIENDO_{service.upper()}_PORT") for service in SERVICES]
    wanted += [(addresses.host, port, f"TIENDO_{service.upper()}_METRICS_PORT") for service, port in page_ports.items()]
    if addresses.own_nats():
        wanted.append((*addresses.nats_host_port(), "TIENDO_NATS_URL"))
    taken = False
    for host, port, setting in wanted:
        try:
            check_port(host, port, setting)
        except PortTakenError:
            session.complain(session.word("screen.up.port_taken", port=port, setting=setting))
            taken = True
    if taken:
        raise StopError(1)


def _start(session: Session, children: Children, addresses: Addresses, folder: Path) -> None:
    if not session.as_json:
        session.say(session.word("screen.up.starting"))
    if addresses.own_nats():
        children.start("nats", nats_command(session, addresses, folder))
    # A database that is there is most likely of this version: its service starts at once, and only one that ends is
    # migrated first. That halves a second start.
    migrating: dict[str, Child] = {}
    running: dict[str, Child] = {}
    for service in SERVICES:
        known = (folder / f"{service}.db").exists() or f"TIENDO_{service.upper()}_DATABASE_URL" in os.environ
        if known:
            running[service] = children.start(service, module_command(service))
        else:
            migrating[service] = _migrate(children, service)
    report = streams.look(addresses.nats_url, make=True, seconds=_BROKER_SECONDS)
    if report.reason:
        session.complain(session.word("screen.doctor.streams_not_made", address=streams.shown(addresses.nats_url)))
    migrated = set(migrating)
    waiting = set(SERVICES)
    deadline = time.monotonic() + _START_SECONDS
    while waiting:
        ended = children.ended()
        if ended is not None and ended.name in migrating and not ended.process.returncode:
            children.forget(migrating.pop(ended.name))
            running[ended.name] = children.start(ended.name, module_command(ended.name))
        elif ended is not None and ended.name in waiting - migrated:
            children.forget(ended)
            migrated.add(ended.name)
            migrating[ended.name] = _migrate(children, ended.name)
        elif ended is not None:
            raise _EndedError(ended)
        for name in waiting - set(migrating):
            if serving(addresses.host, addresses.ports[name]):
                waiting = waiting - {name}
        if waiting and time.monotonic() > deadline:
            name = min(waiting)
            log = (migrating.get(name) or running[name]).log
            session.complain(session.word("screen.up.no_start", part=name, seconds=int(_START_SECONDS), log=log))
            raise StopError(1)
        if waiting:
            time.sleep(_HEALTH_POLL_SECONDS)


def _migrate(children: Children, service: str) -> Child:
    return children.start(service, module_command(service, "migrate"), log_name=f"{service}-migrate")


def nats_command(session: Session, addresses: Addresses, folder: Path) -> list[str]:
    """Give the command line of the embedded broker; every write is on the disk before it is acknowledged."""
    names = [Path(sysconfig.get_path("scripts")) / "nats-server", Path(sys.executable).parent / "nats-server"]
    program = next((str(path) for path in names if path.exists()), shutil.which("nats-server"))
    if program is None:
        session.complain(session.word("screen.up.broker_missing"))
        raise StopError(1)
    config = folder / "nats.conf"
    store = str(folder / "nats").replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(
        f'jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 8GB }}\n', encoding="utf-8"
    )
    host, port = addresses.nats_host_port()
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    return [program, "-c", str(config), "-a", host, "-p", str(port)]


def _look(children: Children) -> None:
    ended = children.ended()
    if ended is not None:
        raise _EndedError(ended)


def serving(host: str, port: int, seconds: float = 1.0) -> bool:
    """Tell whether a service there answers calls."""
    host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
    try:
        # A plain socket tells at once that nobody listens yet; a channel would back off.
        socket.create_connection((host, port), timeout=seconds).close()
        with grpc.insecure_channel(f"{host}:{port}", (("grpc.enable_http_proxy", 0),)) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
    except (OSError, grpc.RpcError):
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _show(session: Session, addresses: Addresses) -> None:
    # The settings were read before the ports were known to all.
    settings = session.settings.model_copy(update={f"{name}_address": addresses.calls[name] for name in SERVICES})
    client = Client(settings, seeding.SEED_ACTOR)
    try:
        revisions = seeding.send(client)
        line = figure(client, session.lang, at_least=tuple(revisions))
    finally:
        client.close()
    if session.as_json:
        session.show_json({"figure": line, "grpc": dict(addresses.calls), "nats": addresses.nats_url})
        return
    panel.show(session.console, line, addresses, panel.program(panel.own_script()), session.lang)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "up")(up)
