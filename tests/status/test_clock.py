"""What the calendar alone brings about is told once: by whom, when, and never from what is half read."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

from services.common.dates import PartialDate
from services.status.consumers import rebuild
from services.status.domain import EventKind, Programme, ServiceHistory, Stage
from services.status.projection import Due, ReadModel, draft_of, due
from tests.support.peers import blocked, integrated
from tests.support.status_facts import (
    PLAN,
    TODAY,
    at,
    member,
    on,
    plan,
    programme_version,
    seed,
    service_version,
    stage_step,
)
from tests.support.status_service import StatusService, running_status
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

ALLOWED = dict.fromkeys(Stage, 60)
STALLED, PASSED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_STALLED, events_pb2.PROGRESS_EVENT_KIND_PROGRAMME_TARGET_PASSED


def model_of(*services: ServiceHistory, programme: Programme | None = None) -> ReadModel:
    """A model that holds these services."""
    return ReadModel({PLAN: programme or plan()}, {history.id: history for history in services})


def causes(model: ReadModel, today: date) -> list[str]:
    """What is due on a day."""
    return [one.cause for one in due(model, today, ALLOWED)]


def test_a_target_is_due_from_the_day_after_it() -> None:
    """The last day of 2022 belongs to the target; another target date is told by itself."""
    moved = Programme(PLAN, (programme_version(), replace(programme_version(), target=PartialDate(2023, 6))))

    assert causes(model_of(*seed()), date(2022, 12, 31)) == []
    assert causes(model_of(*seed()), date(2023, 1, 1)) == [f"target_passed/{PLAN}/2022-12-31"]
    assert causes(model_of(programme=moved), date(2023, 1, 1)) == []
    assert causes(model_of(programme=moved), date(2024, 1, 1)) == [f"target_passed/{PLAN}/2023-06-30"]


def test_a_service_is_due_once_for_each_step_that_it_stalls_after() -> None:
    """The cause names the step, so the same standstill is one event, and one after the next step another."""
    first = stage_step(1, Stage.BUILT, on("2022-08"), at("2022-09-01"))
    second = stage_step(2, Stage.TESTED, on("2022-11-01"), at("2022-11-02"))
    retired = member(first, version=replace(service_version(), retired=True))

    assert causes(model_of(member(first)), date(2022, 10, 30)) == []
    assert causes(model_of(member(first)), date(2022, 10, 31)) == [f"stalled/bca-001/1/{PLAN}"]
    assert causes(model_of(member(first)), date(2022, 12, 30)) == [f"stalled/bca-001/1/{PLAN}"]
    assert causes(model_of(member(first, second)), date(2022, 12, 31)) == []
    assert causes(model_of(member(first, second)), date(2023, 1, 1))[-1] == f"stalled/bca-001/2/{PLAN}"
    assert causes(model_of(retired), date(2022, 10, 31)) == []


def test_a_milestone_that_the_calendar_reached_is_due() -> None:
    """Five of fifty, in September on the last day: the date became certain and nobody reported anything."""
    services = [member(stage_step(1, Stage.INTEGRATED, on("2022-09"), at("2022-11-01")), number=n) for n in range(1, 6)]
    model = model_of(*services, programme=plan(50))

    assert causes(model, date(2022, 9, 29)) == []
    assert causes(model, date(2022, 9, 30)) == [f"milestone/{PLAN}/10"]


def test_what_no_longer_holds_is_not_told() -> None:
    """Between finding and telling a report may have come."""
    first = stage_step(1, Stage.BUILT, on("2022-08"), at("2022-09-01"))
    second = stage_step(2, Stage.TESTED, on("2022-10-20"), at("2022-10-21"))
    today = date(2022, 10, 31)
    (found,) = due(model_of(member(first)), today, ALLOWED)

    draft = draft_of(model_of(member(first)), found, today, ALLOWED)
    assert draft
    assert (draft.kind, draft.service, draft.plan_number) == (EventKind.SERVICE_STALLED, "bca-001", 1)
    assert (draft.effective, draft.origin, draft.from_stage) == (on("2022-08"), None, None)
    assert draft_of(model_of(member(first, second)), found, today, ALLOWED) is None
    assert draft_of(ReadModel(), found, today, ALLOWED) is None
    assert draft_of(ReadModel(), Due(f"target_passed/{PLAN}/2022-12-31", PLAN), TODAY, ALLOWED) is None


async def told(status: StatusService, *kinds: Any, least: int = 0) -> list[events_pb2.ProgressEvent]:
    """The events of these kinds, once there are at least so many."""
    request = pb.ListProgressEventsRequest(programme="programmes/-", kinds=kinds)
    async with asyncio.timeout(10):
        while len(events := (await status.stub.ListProgressEvents(request, timeout=5)).events) < least:
            await asyncio.sleep(0.02)
    return list(events)


async def test_the_passed_target_is_told_with_the_counts_once() -> None:
    """It says the counts and names no source; a restart and a rebuild tell nothing again."""
    async with running_status(seeded=True, calendar_seconds=0.05) as (status, peers):
        (event,) = await told(status, PASSED, least=1)
        await status.stop()
        await status.start()
        await rebuild(status.shared, status.own)
        peers.integration.add(blocked(12, peers.catalog.revision, transition=1, blocks=True))
        peers.integration.add(blocked(12, peers.catalog.revision, transition=2, blocks=False))
        (stalled,) = await told(status, STALLED, least=1)
        again = await told(status, PASSED)

    counts = event.completion
    assert (counts.planned, counts.completed, counts.not_reported) == (227, 11, 216)
    assert (event.cause, event.programme) == ("target_passed/bca-2022/2022-12-31", "programmes/bca-2022")
    assert (event.service, event.actor, event.source_revision, event.request_id) == ("", "", "", "")
    assert event.effective_date.date.year == 2022
    assert (stalled.cause, stalled.service) == ("stalled/bca-012/2/bca-2022", "services/bca-012")
    assert (stalled.effective_date.date.month, stalled.plan_number) == (10, 12)
    assert again == [event]


async def test_nothing_is_told_before_the_sources_were_followed_to_their_ends() -> None:
    """While a source is away its count may be half of it; once it is back the whole is told."""
    async with running_status(seeded=True, done=5) as (status, peers):
        await status.completion()
        await status.stop()
        await peers.stop()
        for number in range(6, 12):
            peers.integration.add(integrated(number, peers.catalog.revision, at_latest=True, year=2022, month=9))
        status.own = status.own.model_copy(update={"calendar_seconds": 0.02})
        await status.start()
        await status.freshness_when(lambda sources: sources["integration"].state == 3)
        early = await status.stub.ListProgressEvents(pb.ListProgressEventsRequest(kinds=[PASSED]), timeout=5)
        await peers.start()
        (event,) = await told(status, PASSED, least=1)

    assert list(early.events) == []
    assert event.completion.completed == 11


async def test_of_two_replicas_one_tells() -> None:
    """Both look at the clock; the event is there once, whoever follows the sources."""
    async with running_status(seeded=True, calendar_seconds=0.05, lease_seconds=0.5) as (status, peers):
        other = StatusService(status.shared.data_dir, peers, url=status.url, calendar_seconds=0.05, lease_seconds=0.5)
        await other.start()
        try:
            (event,) = await told(status, PASSED, least=1)
            await status.stop()
            peers.integration.add(blocked(12, peers.catalog.revision, transition=1, blocks=True))
            peers.integration.add(blocked(12, peers.catalog.revision, transition=2, blocks=False))
            await told(other, STALLED, least=1)
            assert await told(other, PASSED) == [event]
        finally:
            await other.stop()


async def test_a_new_progress_epoch_tells_it_again() -> None:
    """Where a source was replaced progress begins anew, and so does what the clock tells: once in the new epoch too."""
    async with running_status(seeded=True, calendar_seconds=0.05) as (status, peers):
        (before,) = await told(status, PASSED, least=1)
        peers.integration.begin("0123456789abcdef")
        peers.integration.add(integrated(1, peers.catalog.revision, at_latest=True, year=2022, month=9))
        await rebuild(status.shared, status.own)
        async with asyncio.timeout(10):
            while (await status.stub.GetFreshness(pb.GetFreshnessRequest(), timeout=5)).progress.epoch == before.epoch:
                await asyncio.sleep(0.02)
        after = await told(status, PASSED, least=1)

    assert len(after) == 1
    assert after[0].completion.completed == 1
