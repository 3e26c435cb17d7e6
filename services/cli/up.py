"""`tiendo up`: all of it on this machine, in the foreground.

Invariant: what it started is gone when it is gone, and the data stays; a second start goes on where the first ended.
"""

import os
import signal
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from services.cli import pages, panel, running, seeding
from services.cli.addresses import WEB_SETTING, Addresses, calling_host, find
from services.cli.children import Child, Children, EndedError
from services.cli.client import connect
from services.cli.engines import ENGINES, Engine
from services.cli.launch import Launch, names
from services.cli.restarts import Restarts
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import figure
from services.common.config import SERVICES
from services.common.ports import PortTakenError, check_port

_WATCH_SECONDS = 0.2
_STOP_ORDER = ("status", "integration", "catalog", "nats", "postgres")


def up(
    session: Session,
    engine: Annotated[str, typer.Option("--engine", help="embedded or production.", metavar="ENGINE")] = "embedded",
) -> None:
    """Start everything on this machine, with the real data; `--engine production`: as it runs in production."""
    if engine not in ENGINES:
        raise UsageProblemError(session.word("screen.common.unknown_choice", value=engine, choices=", ".join(ENGINES)))
    settings = session.settings
    addresses = find(settings, os.environ)
    folder = settings.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with running.alone(folder) as is_alone:
        if not is_alone:
            session.complain(session.word("screen.up.already", folder=folder))
            raise StopError(1)
        shape = ENGINES[engine](session, addresses, folder)
        page_ports = pages.find(addresses.host, [name for service in SERVICES for name in names(shape, service)])
        _check_ports(session, addresses, shape, page_ports)
        running.tell(folder, shape.environ())
        children = Children(shape.folder / "logs", os.environ | addresses.environ() | shape.environ())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        code = 0
        try:
            Launch(session, children, addresses, shape, page_ports).run()
            pages.write(folder, calling_host(addresses.host), page_ports)
            _show(session, addresses, shape)
            _attend(session, children, shape)
        except KeyboardInterrupt:
            session.say("", session.word("screen.up.stopping"))
        except EndedError as end:
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
        session.say(session.word("screen.up.stopped", folder=shape.folder))
        if code:
            raise StopError(code)


def _attend(session: Session, children: Children, shape: Engine) -> None:
    """Look after the parts until interrupted. Raises EndedError where there is only one of each."""

    def tell(child: Child) -> None:
        session.complain(session.word("screen.up.part_restarted", part=child.name, log=child.log))

    restarts = Restarts(children, tell)
    while True:
        if shape.replicas > 1:
            restarts.look()
        elif (ended := children.ended()) is not None:
            raise EndedError(ended)
        time.sleep(_WATCH_SECONDS)


def _stop(children: Children) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it is on its way out, and bounded
    children.stop(_STOP_ORDER)


def _check_ports(session: Session, addresses: Addresses, shape: Engine, page_ports: Mapping[str, int]) -> None:
    wanted = [(addresses.host, addresses.ports[service], f"TIENDO_{service.upper()}_PORT") for service in SERVICES]
    wanted += [(addresses.host, port, pages.setting(name)) for name, port in page_ports.items()]
    if addresses.web_port is not None:
        wanted.append((addresses.host, addresses.web_port, WEB_SETTING))
    wanted += [(host, port, "TIENDO_NATS_URL") for host, port in shape.servers]
    taken = False
    for host, port, setting in wanted:
        try:
            check_port(host, port, setting)
        except PortTakenError:
            session.complain(session.word("screen.up.port_taken", port=port, setting=setting))
            taken = True
    if taken:
        raise StopError(1)


def _show(session: Session, addresses: Addresses, shape: Engine) -> None:
    # The settings were read before the ports were known to all.
    settings = session.settings.model_copy(update={f"{name}_address": addresses.calls[name] for name in SERVICES})
    client = connect(settings, seeding.SEED_ACTOR)
    try:
        revisions = seeding.send(client)
        line = figure(client, session.lang, at_least=tuple(revisions))
    finally:
        client.close()
    if session.as_json:
        shown = {"figure": line, "grpc": dict(addresses.calls), "nats": addresses.nats_url, "page": addresses.page()}
        session.show_json(shown | {"engine": shape.name, "data": str(shape.folder)})
        return
    panel.show(session.console, line, addresses, panel.program(panel.own_script()), session.lang, engine=shape.name)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "up")(up)
