"""What a simulation plays: the same again and again, never dated ahead, and all of it legal."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.cli import simulation
from services.cli.simulation.plan import MOST_MONTHS, MOST_SERVICES
from services.common.dates import PartialDate
from tests.support.integration import NOW, CatalogJournal, Integration, running_integration, running_journal
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb

TODAY = date(2026, 11, 27)
DAYS = st.dates(date(2020, 1, 1), date(2090, 12, 31))
SIMULATIONS = st.builds(
    simulation.begin, st.integers(), st.integers(1, 60), st.integers(1, MOST_MONTHS), st.just(TODAY) | DAYS
)


def dates_of(act: simulation.Act) -> Iterator[PartialDate]:
    """The date that a command gives, where it gives one."""
    request: Any = act.request
    name = "date" if isinstance(request, pb.SetConnectionCheckRequest) else "effective_date"
    if request.HasField(name):
        told = getattr(request, name).date
        yield PartialDate(told.year, told.month, told.day)


@given(SIMULATIONS, st.integers(0, 400))
def test_the_same_again_and_more_on_later_days(simulated: simulation.Simulation, later: int) -> None:
    """The plan of a day begins with the plan of any day before it, and each command has an id of its own."""
    now = simulation.plan(simulated, simulated.began)
    after = simulation.plan(simulated, simulated.began + timedelta(days=later))

    assert after[: len(now)] == now
    ids = [act.request.request_id for act in after]  # type: ignore[attr-defined]
    assert len({*ids}) == len(ids)


@given(SIMULATIONS)
def test_nothing_is_dated_ahead(simulated: simulation.Simulation) -> None:
    """Commands come in the order of their days, none before the programme; none is dated after the day it is sent on."""
    acts = simulation.plan(simulated, simulated.began)
    days = [act.day for act in acts]

    assert days == sorted(days)
    assert all(simulated.first <= day <= simulated.began for day in days)
    assert all(told.last_day() <= act.day for act in acts for told in dates_of(act))
    assert simulated.began < simulated.target


@given(SIMULATIONS)
def test_some_is_left_to_do(simulated: simulation.Simulation) -> None:
    """However long it goes on, a service is never reported: there is always something to forecast."""
    acts = simulation.plan(simulated, simulated.began + timedelta(days=10_000))
    reported = {act.request.name for act in acts}  # type: ignore[attr-defined]

    assert len(reported) < simulated.services


def test_by_default_everything_happens() -> None:
    """With the defaults every kind of step is seen, enough is complete for a forecast, and not all."""
    acts = simulation.plan(simulation.begin(1, 60, 12, TODAY), TODAY)
    kinds = Counter(type(act.request) for act in acts)
    complete = [act.day for act in acts if getattr(act.request, "stage", 0) == integration_pb2.STAGE_INTEGRATED]
    corrections = [act.request for act in acts if isinstance(act.request, pb.CorrectTransitionRequest)]

    assert {*kinds} == {
        pb.AdvanceIntegrationRequest,
        pb.RevertIntegrationRequest,
        pb.BlockIntegrationRequest,
        pb.UnblockIntegrationRequest,
        pb.SuspendIntegrationRequest,
        pb.ResumeIntegrationRequest,
        pb.WithdrawIntegrationRequest,
        pb.CorrectTransitionRequest,
        pb.SetConnectionCheckRequest,
    }
    assert {each.WhichOneof("correction") for each in corrections} == {"annul", "effective_date"}
    assert 20 <= len(complete) < 50
    told = [date.precision for act in acts for date in dates_of(act)]
    assert 0 < told.count("month") < len(told) / 5


def test_the_programme_says_what_it_is() -> None:
    """The programme and each service are called a simulation, in both languages, and so does every citation."""
    simulated = simulation.begin(1, MOST_SERVICES, 12, TODAY)
    programme = simulation.programme_request(simulated).programme
    made = [request.service for request in simulation.service_requests(simulated)]

    assert programme.display_name == "MÔ PHỎNG – chương trình thử, không phải số liệu thật"
    assert programme.english_gloss == "SIMULATION – not real data"
    assert [service.display_name for service in made][11] == "Dịch vụ mô phỏng số 12"
    assert all("mô phỏng" in service.display_name and "Simulated" in service.english_gloss for service in made)
    citations = [entry.citation for service in made for entry in service.provenance]
    citations += [entry.citation for entry in programme.provenance]
    assert len(citations) > MOST_SERVICES
    assert all(citation.startswith("Mô phỏng") for citation in citations)


def test_a_folder_belongs_to_one_simulation(tmp_path: Path) -> None:
    """A new folder is given to the simulation, which is kept; one with databases of others is not touched."""
    first, other = simulation.begin(1, 60, 12, TODAY), simulation.begin(2, 10, 3, TODAY)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "catalog.db").touch()

    assert simulation.kept(tmp_path / "mine") is None
    assert simulation.claim(tmp_path / "mine", first) == first
    assert simulation.claim(tmp_path / "mine", other) == first
    with pytest.raises(simulation.NotASimulationError):
        simulation.claim(theirs, first)
    assert [file.name for file in theirs.iterdir()] == ["catalog.db"]
    (tmp_path / "mine" / "simulation.json").write_text('{"seed": 1}')
    with pytest.raises(ValueError, match="first"):
        simulation.kept(tmp_path / "mine")


class Office:
    """A real integration service whose catalog lists whatever is to be tried."""

    def __init__(self, runner: asyncio.Runner, catalog: CatalogJournal, service: Integration) -> None:
        self._runner, self._catalog, self._service, self._numbers = runner, catalog, service, count()

    def send(self, acts: list[simulation.Act], services: int) -> int:
        """Send commands to services that nobody has touched yet, each service's in their order; count the accepted."""
        prefix = f"x{next(self._numbers)}"
        for request in simulation.service_requests(simulation.begin(0, services, 1, TODAY)):
            event = catalog_events_pb2.CatalogEvent()
            event.service_created.service.CopyFrom(request.service)
            event.service_created.service.name = f"services/{prefix}-{request.service_id}"
            self._catalog.append(event)
        chains: defaultdict[str, list[Any]] = defaultdict(list)
        for act in acts:
            moved: Any = type(act.request)()
            moved.CopyFrom(act.request)
            service_id = moved.name.rpartition("/")[2]
            moved.name = f"integrations/{prefix}-{service_id}"
            moved.request_id = f"{prefix}/{moved.request_id}"
            chains[service_id].append(moved)
        return self._runner.run(self._send([*chains.values()]))

    async def _send(self, chains: list[list[Any]]) -> int:
        await self._service.rpc.feed.catch_up(10)

        async def send_chain(chain: list[Any]) -> int:
            replies = [
                await self._service.call(type(request).__name__.removesuffix("Request"), request) for request in chain
            ]
            return len(replies)

        return sum(await asyncio.gather(*map(send_chain, chains)))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One for all examples."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Office:
            catalog = await stack.enter_async_context(running_journal(1))
            served = running_integration(tmp_path_factory.mktemp("integration"), catalog.port)
            return Office(runner, catalog, await stack.enter_async_context(served))

        try:
            yield runner.run(start())
        finally:
            runner.run(stack.aclose())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(), st.integers(1, 36), st.integers(1, 24), DAYS)
def test_integration_accepts_all_of_it(office: Office, seed: int, services: int, months: int, today: date) -> None:
    """A real service refuses no command of any simulation, played far beyond its target."""
    simulated = simulation.begin(seed, services, months, today)

    acts = simulation.plan(simulated, min(today + timedelta(days=2_000), NOW.date()))

    assert office.send(acts, services) == len(acts)
