"""Commands that run single parts: serve, migrate, seed.

Invariant: each may be run again at any time; what is done already is not done twice.
"""

from typing import Annotated

import typer

from services.cli import backups, seeding, simulation, streams
from services.cli.client import UNREACHABLE, connect
from services.cli.processes import become, environ_beside, run_all
from services.cli.seed import load
from services.cli.session import Session, StopError, UsageProblemError, command
from services.cli.status import figure
from services.common.config import SERVICES
from tiendo.catalog.v1 import catalog_service_pb2


def _check(session: Session, service: str) -> str:
    if service not in SERVICES:
        raise UsageProblemError(
            session.word("screen.common.unknown_choice", value=service, choices=", ".join(SERVICES))
        )
    return service


def serve(
    session: Session, service: Annotated[str, typer.Argument(metavar="SERVICE", help="catalog, integration or status.")]
) -> None:
    """Be one service, in the foreground."""
    become(_check(session, service))


def migrate(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="One of them; default: all three.")] = "",
    from_sqlite: Annotated[
        str,
        typer.Option(
            "--from-sqlite",
            metavar="FOLDER",
            help="Move the databases of this folder (.tiendo) to where --to says: all or nothing, while nothing serves them.",
        ),
    ] = "",
    to: backups.ToOption = "",
    refill: Annotated[
        str,
        typer.Option(
            "--refill", metavar="STREAM", help="Empty this NATS stream; its service fills it again from its journal."
        ),
    ] = "",
) -> None:
    """Bring databases and NATS streams up to date; twice changes nothing.

    Any number of these may run at once. A schema never goes back.
    """
    if from_sqlite:
        backups.move(session, from_sqlite, to)
        return
    if to:
        raise UsageProblemError(session.word("screen.carry.to_without_from"))
    if refill and refill not in streams.names():
        choices = ", ".join(streams.names())
        raise UsageProblemError(session.word("screen.common.unknown_choice", value=refill, choices=choices))
    chosen = [_check(session, service)] if service else list(SERVICES)
    environ = environ_beside(session)
    url = environ.get("TIENDO_NATS_URL", session.settings.nats_url)
    done = run_all(chosen, "migrate", environ=environ)
    for each in done:
        for line in (*each.stdout.splitlines(), *each.stderr.splitlines()):
            (session.complain if each.returncode or session.as_json else session.say)(line)
    report = streams.look(url, make=True, seconds=5.0, refill=refill)
    # What migrates before the services start must not pass for done without streams.
    code = max(each.returncode for each in done) or (UNREACHABLE if report.reason else 0)
    if session.as_json:
        services = {name: each.stdout.strip() for name, each in zip(chosen, done, strict=True)}
        session.show_json({"services": services, "streams": report.streams, "broker": report.version})
    else:
        for stream, outcome in report.streams.items():
            text = session.word(f"screen.doctor.stream_outcome_{outcome}")
            session.say(session.word("screen.doctor.stream_made", stream=stream, outcome=text))
        if report.reason:
            session.complain(session.word("screen.doctor.streams_not_made", address=streams.shown(url)))
    if code:
        raise StopError(code)


def seed(session: Session) -> None:
    """Send the first programme, its 227 services and the 11 that are complete; twice changes nothing."""
    client = connect(session.settings, seeding.SEED_ACTOR)
    programmes = client.catalog.ListProgrammes(catalog_service_pb2.ListProgrammesRequest()).programmes
    if any(programme.name == f"programmes/{simulation.PROGRAMME_ID}" for programme in programmes):
        session.complain(session.word("screen.simulate.not_for_seed"))
        raise StopError(1)
    revisions = seeding.send(client)
    if session.as_json:
        session.show_json({"revisions": revisions})
        return
    session.say(figure(client, session.lang, f"programmes/{load().programme.id}", tuple(revisions)))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve")(serve)
    command(app, "migrate")(migrate)
    command(app, "seed")(seed)
