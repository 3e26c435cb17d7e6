"""`tiendo up`: all of it on this machine, in the foreground.

Invariant: what it started is gone when it is gone, and the data stays; a second start goes on where the first ended.
"""

import os
from typing import Annotated

import typer

from services.cli import foreground, panel, seeding, simulation
from services.cli.addresses import Addresses, find
from services.cli.client import connect
from services.cli.engines import ENGINES, Engine
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import figure

_LOOK_SECONDS = 60.0


def up(
    session: Session,
    engine: Annotated[str, typer.Option("--engine", help="embedded or production.", metavar="ENGINE")] = "embedded",
) -> None:
    """Start everything on this machine, with the real data; `--engine production`: as it runs in production."""
    if engine not in ENGINES:
        raise UsageProblemError(session.word("screen.common.unknown_choice", value=engine, choices=", ".join(ENGINES)))
    addresses = find(session.settings, os.environ)
    folder = session.settings.data_dir.absolute()
    if simulation.kept(folder):
        session.complain(session.word("screen.simulate.not_for_up", folder=folder))
        raise StopError(1)

    def then(shape: Engine, attendance: foreground.Attendance) -> None:
        _show(session, addresses, shape)
        while True:
            attendance.during(_LOOK_SECONDS)

    foreground.run(session, folder, addresses, ENGINES[engine], then, setting="TIENDO_DATA_DIR")


def _show(session: Session, addresses: Addresses, shape: Engine) -> None:
    client = connect(addresses.settings(session.settings), seeding.SEED_ACTOR)
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
