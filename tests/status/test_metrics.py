"""Status measures how far it follows, what it put aside, and how far each programme is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from services.common.dates import PartialDate
from services.common.db import open_engine
from services.common.metrics import Metrics
from services.common.resources import Revision
from services.common.snapshot import Live, Reached
from services.common.telemetry import Telemetry
from services.status import usecases
from services.status.domain import ProgrammeVersion
from services.status.metrics import at_risk, behind_even_pace, observe
from services.status.projection import CompletionSummary, ReadModel, fold
from services.status.storage import State
from services.status.watch import Watches
from tests.support.peers import Peers, integrated, programme_created, service_created, service_named
from tests.support.scrape import page_of, page_when
from tests.support.status_service import running_status

SEPTEMBER = datetime(2022, 9, 30, 12, tzinfo=UTC)
PLAN = ProgrammeVersion(SEPTEMBER, "", "", 100, PartialDate(2022), PartialDate(2022))


def state_of(peers: Peers) -> State:
    """What status makes of both sources."""
    facts = (usecases.decode(source.name, row) for source in (peers.catalog, peers.integration) for row in source.rows)
    return State(peers.integration.head, fold(ReadModel(), (fact for fact in facts if fact is not None)))


@asynccontextmanager
async def measured(state: State, clock: Callable[[], datetime]) -> AsyncIterator[int]:
    """A page of a state's figures at a time; gives its port."""
    live = Live(state, "progress", Reached())
    engine = open_engine("sqlite://")
    watches = Watches(live, engine, asyncio.Event(), bookmark_seconds=15, longest_seconds=10)
    metrics = Metrics(Telemetry("status").resource, scraped=True)
    observe(metrics, live, watches, clock)
    try:
        yield metrics.listen("127.0.0.1", 0)
    finally:
        metrics.close()
        engine.dispose()


async def test_a_programme_is_measured_as_of_now() -> None:
    """On 30/09/2022 the 11 are complete; the target ends with the year in Vietnam, 92 days and 5 hours later; it is at risk."""
    peers = Peers()
    peers.seed()
    now = SEPTEMBER
    async with measured(state_of(peers), lambda: now) as port:
        before = await page_of(port)
        now = datetime(2022, 12, 31, 17, 0, 1, tzinfo=UTC)
        after = await page_of(port)

    def told(name: str) -> tuple[float, float]:
        name = f"tiendo_programme_{name}"
        return before.value(name, programme="bca-2022"), after.value(name, programme="bca-2022")

    assert told("planned_services") == (227, 227)
    assert told("completed_services") == (11, 11)
    assert told("target_left_seconds") == (timedelta(days=92, hours=5).total_seconds(), -1)
    assert told("target_at_risk") == (1, 0)


@pytest.mark.parametrize(("planned", "expected"), [(40, True), (20, False)])
def test_a_forecast_decides_on_the_risk(planned: int, expected: bool) -> None:
    """One a week since summer: 20 are sure to be complete in 2022, 40 are sure not to be; an even pace is not asked."""
    peers = Peers()
    peers.catalog.add(programme_created(planned))
    for number in range(1, 14):
        peers.catalog.add(service_created(number))
        day = date(2022, 9, 30) - timedelta(weeks=13 - number)
        peers.integration.add(integrated(number, peers.catalog.revision, year=day.year, month=day.month, day=day.day))
    state, today = state_of(peers), date(2022, 9, 30)
    summary = state.model.summary("bca-2022", today)
    assert summary

    assert behind_even_pace(PLAN, summary, today)
    assert at_risk(state, "bca-2022", summary, today) is expected


@pytest.mark.parametrize(
    ("completed", "today", "behind"),
    [
        (0, date(2022, 1, 1), False),
        (0, date(2022, 1, 2), True),
        (49, date(2022, 7, 2), True),
        (50, date(2022, 7, 2), False),
        (99, date(2022, 12, 31), True),
        (100, date(2022, 12, 31), False),
        (0, date(2023, 1, 1), False),
        (0, date(2021, 12, 31), False),
    ],
)
def test_an_even_pace_is_asked_for_until_the_target(completed: int, today: date, behind: bool) -> None:
    """Of 100 within 2022, half are asked for on 2 July, after 182 of 365 days; before and after 2022 nothing is at risk."""
    assert behind_even_pace(PLAN, CompletionSummary(100, completed, 0), today) is behind


def test_without_dates_nothing_is_at_risk() -> None:
    """A programme without a start or a target asks for no pace."""
    for start, target in ((None, PartialDate(2022)), (PartialDate(2022), None)):
        plan = ProgrammeVersion(SEPTEMBER, "", "", 100, start, target)
        assert not behind_even_pace(plan, CompletionSummary(100, 0, 0), date(2022, 7, 2))


async def test_rows_that_wait_are_behind() -> None:
    """Integration rows decided on a catalog that is not there yet are lag, in rows and in time, until it comes."""
    async with running_status(seeded=True, listed=3, done=0) as (status, peers):
        port = status.own.metrics_port
        assert port is not None
        await status.completion()
        head = peers.catalog.head
        not_yet = Revision("catalog", head.epoch, head.sequence + 1).encode()
        for number in (1, 2):
            peers.integration.add(integrated(number, not_yet, year=2022, month=10))
        behind = await page_when(
            port,
            lambda page: (
                page.value("tiendo_feed_lag_rows", source="integration") == 2
                and page.value("tiendo_feed_lag_seconds", source="integration") > 0.2
            ),
        )
        peers.catalog.add(service_named(3, "Khai báo tạm vắng"))
        current = await page_when(port, lambda page: page.value("tiendo_feed_lag_rows", source="integration") == 0)

    assert behind.state("tiendo_feed_state", source="integration") == "catching_up"
    assert behind.state("tiendo_feed_state", source="catalog") == "current"
    assert current.state("tiendo_feed_state", source="integration") == "current"
    assert current.value("tiendo_feed_lag_seconds", source="integration") == 0


async def test_rows_put_aside_are_counted() -> None:
    """A row of integration that cannot be read is a dead letter of that source, and of no other."""
    async with running_status(seeded=True, listed=3, done=1) as (status, peers):
        assert status.own.metrics_port is not None
        peers.integration.add_unreadable()
        await status.completion()
        page = await page_of(status.own.metrics_port)

    assert page.value("tiendo_dead_letters", source="integration") == 1
    assert page.value("tiendo_dead_letters", source="catalog") == 0
