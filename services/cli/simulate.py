"""`tiendo simulate`: a programme that never was, played on an installation of its own.

Invariant: nothing of it goes anywhere but its own folder and its own parts; played again, what was played has no second
effect.
"""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import foreground, panel, seeding, simulation
from services.cli.addresses import Addresses, beside, find
from services.cli.client import connect
from services.cli.engines import Embedded, Engine
from services.cli.session import Session, StopError, command, to_json
from services.cli.simulation.plan import MOST_MONTHS, MOST_SERVICES
from services.cli.status import figure
from services.client import Client, RefusedError
from services.common.config import SERVICES
from services.common.dates import vietnam_day
from services.common.figures import day
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_pb2

FOLDER = ".tiendo-simulation"
_ACTOR = "simulation"
_SEED, _SERVICES, _MONTHS = 1, 60, 12
_NEW_DAY_SECONDS = 60.0
_PROGRAMME = f"programmes/{simulation.PROGRAMME_ID}"


class Simulated(Embedded):
    """The embedded shape, whatever databases the environment names: a simulation has its own."""

    def environ(self) -> dict[str, str]:
        """The folder and the programme, and no database or port of others."""
        return {
            "TIENDO_DATA_DIR": str(self.folder),
            "TIENDO_DEFAULT_PROGRAMME": simulation.PROGRAMME_ID,
            "TIENDO_REUSE_PORT": "false",
            **{f"TIENDO_{service.upper()}_DATABASE_URL": "" for service in SERVICES},
        }

    def known(self, service: str) -> bool:
        """Whether its file is there."""
        return (self.folder / f"{service}.db").exists()


def simulate(
    session: Session,
    speed: Annotated[float, typer.Option("--speed", min=0.01, help="Days of the programme a second.")] = 7,
    seed: Annotated[int | None, typer.Option("--seed", help=f"What chance starts from; default {_SEED}.")] = None,
    services: Annotated[
        int | None,
        typer.Option("--services", min=1, max=MOST_SERVICES, help=f"How many services; default {_SERVICES}."),
    ] = None,
    months: Annotated[
        int | None,
        typer.Option("--months", min=1, max=MOST_MONTHS, help=f"How long it has run by today; default {_MONTHS}."),
    ] = None,
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Its own folder.")] = Path(FOLDER),
) -> None:
    """Play a programme that never was, to see page, charts and watch move; the real data is not touched."""
    found = find(session.settings, os.environ)
    if len(found.nats_servers()) != 1 or not found.own_nats():
        session.complain(session.word("screen.simulate.own_broker"))
        raise StopError(1)
    folder = data.absolute()
    simulated = _claim(session, folder, seed, services, months)
    addresses = beside(found, os.environ)

    def then(shape: Engine, attendance: foreground.Attendance) -> None:
        client = connect(addresses.settings(session.settings), _ACTOR)
        try:
            _prepare(session, client, simulated, addresses, shape)
            _Player(session, client, simulated, attendance, speed).run()
        except RefusedError as refused:
            if refused.reason != "REQUEST_ID_REUSED":
                raise
            session.complain(session.word("screen.simulate.another_version", folder=folder))
            raise StopError(1) from None
        finally:
            client.close()

    foreground.run(session, folder, addresses, Simulated, then, setting="--data")


def _claim(
    session: Session, folder: Path, seed: int | None, services: int | None, months: int | None
) -> simulation.Simulation:
    """Give the simulation of the folder. Raises StopError when it was told why it is not for this one."""
    today = vietnam_day(datetime.now(UTC))
    wanted = simulation.begin(_SEED if seed is None else seed, services or _SERVICES, months or _MONTHS, today)
    try:
        found = simulation.claim(folder, wanted)
    except simulation.NotASimulationError:
        session.complain(session.word("screen.simulate.not_a_simulation", folder=folder))
        raise StopError(1) from None
    except ValueError as fault:
        session.complain(session.word("screen.simulate.unreadable", folder=folder, what=fault))
        raise StopError(1) from None
    same_months = months is None or simulation.begin(found.seed, found.services, months, found.began) == found
    if seed not in {None, found.seed} or services not in {None, found.services} or not same_months:
        first = day(found.first)
        text = session.word(
            "screen.simulate.another", folder=folder, seed=found.seed, services=found.services, first=first
        )
        session.complain(text)
        raise StopError(1)
    return found


def _prepare(
    session: Session, client: Client, simulated: simulation.Simulation, addresses: Addresses, shape: Engine
) -> None:
    """Make the programme and show where it is to be seen."""
    known = client.catalog.ListProgrammes(catalog_service_pb2.ListProgrammesRequest()).programmes
    if any(programme.name != _PROGRAMME for programme in known):
        session.complain(session.word("screen.simulate.not_a_simulation", folder=shape.folder))
        raise StopError(1)
    client.catalog.CreateProgramme(simulation.programme_request(simulated))
    revision = seeding.create_all(client, simulation.service_requests(simulated))
    line = figure(client, session.lang, at_least=(revision,))
    if session.as_json:
        shown = {"figure": line, "grpc": dict(addresses.calls), "nats": addresses.nats_url, "page": addresses.page()}
        about = {"programme": _PROGRAMME, "seed": simulated.seed, "services": simulated.services}
        session.say(to_json(shown | about | {"first": str(simulated.first), "data": str(shape.folder)}))
        return
    settings = {"TIENDO_DATA_DIR": str(shape.folder), "TIENDO_DEFAULT_PROGRAMME": simulation.PROGRAMME_ID}
    call = panel.program(panel.own_script())
    panel.show(session.console, line, addresses, call, session.lang, simulated=settings)


class _Player:
    """Sends what happens when its day has come, as fast as days go by."""

    def __init__(
        self,
        session: Session,
        client: Client,
        simulated: simulation.Simulation,
        attendance: foreground.Attendance,
        speed: float,
    ) -> None:
        self._session, self._client, self._simulated, self._attendance = session, client, simulated, attendance
        self._speed, self._started = speed, datetime.now(UTC)

    def run(self) -> None:
        """Play to today, and on when a day has passed, until interrupted."""
        session, simulated = self._session, self._simulated
        if not session.as_json:
            about = {"seed": simulated.seed, "services": simulated.services, "speed": f"{self._speed:g}"}
            session.say(session.word("screen.simulate.playing", first=day(simulated.first), **about))
        played, until = 0, None
        while True:
            today = vietnam_day(datetime.now(UTC))
            if today != until:
                acts = simulation.plan(simulated, today)
                self._play(acts[played:], today)
                played, until = len(acts), today
            self._attendance.during(_NEW_DAY_SECONDS)

    def _play(self, acts: list[simulation.Act], today: date) -> None:
        """Send them; those that were sent at an earlier start take no time."""
        revision, news = "", False
        for act, following in pairwise([*acts, simulation.Act(today, integration_pb2.Integration())]):
            reply = self._send(act)
            revision = reply.revision
            news = news or reply.integration.update_time.ToDatetime(tzinfo=UTC) >= self._started
            if not news:
                continue
            for end in _month_ends(act.day, following.day):
                self._tell("screen.simulate.month", end, revision)
            self._attendance.during((following.day - act.day).days / self._speed)
        self._tell("screen.simulate.month", today, revision)
        if not self._session.as_json:
            self._session.say(self._session.word("screen.simulate.played"))

    def _send(self, act: simulation.Act) -> Any:
        """Call the method that the request's type is named after."""
        method = type(act.request).__name__.removesuffix("Request")
        return getattr(self._client.integration, method)(act.request)

    def _tell(self, key: str, through: date, revision: str) -> None:
        line = figure(self._client, self._session.lang, at_least=(revision,) if revision else ())
        if self._session.as_json:
            self._session.say(to_json({"through": str(through), "figure": line}))
        else:
            self._session.say(self._session.word(key, date=day(through), figure=line))


def _month_ends(begin: date, end: date) -> Iterator[date]:
    """Give the last days of months from `begin` on and before `end`."""
    while begin < end:
        following = begin + timedelta(days=1)
        if following.month != begin.month:
            yield begin
        begin = following


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "simulate")(simulate)
